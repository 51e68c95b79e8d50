"""Who we are, as a kubeconfig says it."""

import base64

import pytest

from tac.kubernetes.client.config import Plugin, User
from tests.support.kubeconfigs import SERVER, document, machine

__all__ = ["machine"]

V1 = "client.authentication.k8s.io/v1"


def test_a_plugin(machine):
    entry = {
        "apiVersion": V1,
        "command": "aws",
        "args": ["eks", 1],
        "env": [{"name": "A", "value": "b"}],
        "installHint": " install it\n",
    }

    assert machine.user(exec=entry).plugin == Plugin(
        command="aws",
        api_version=V1,
        arguments=("eks", "1"),
        environment={"A": "b"},
        install_hint="install it",
    )
    beside = {**entry, "command": "bin/aws", "provideClusterInfo": True}
    plugin = machine.user(exec=beside).plugin
    assert (plugin.command, plugin.cluster) == (str(machine.path / "bin/aws"), SERVER)


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}},
            "context 'one': its credential plugin 'x' has the API version "
            "'client.authentication.k8s.io/v1alpha1'; tac supports "
            "client.authentication.k8s.io/v1 and client.authentication.k8s.io/v1beta1",
        ),
        (
            {"exec": {"apiVersion": V1, "command": "x", "interactiveMode": "Always"}},
            "context 'one': its credential plugin 'x' is interactive "
            "(interactiveMode: Always), and tac runs none of these",
        ),
        ({"exec": {"apiVersion": V1}}, "context 'one': its credential plugin '' has no command"),
        (
            {"auth-provider": {"name": "gcp"}},
            "context 'one': its user has an auth-provider, which Kubernetes 1.26 dropped",
        ),
        (
            {"client-certificate": "x"},
            "context 'one': a client certificate and its key go together",
        ),
        (
            {"as": "a", "as-groups": ["b", "c"]},
            "context 'one': tac impersonates a user and one group, no more",
        ),
    ],
)
def test_a_user_that_cannot_be(machine, user, said):
    machine.write(".kube/config", document(user=user))

    assert machine.refusal()[0] == said


def test_whom_to_act_as(machine):
    user = machine.user(**{"as": "a", "as-uid": "u", "as-groups": ["g"]})

    assert user.impersonation == {
        "Impersonate-User": "a",
        "Impersonate-Uid": "u",
        "Impersonate-Group": "g",
    }


def test_no_credential_is_shown(machine):
    data = base64.b64encode(b"secret").decode()
    user = {
        "token": "secret",
        "password": "secret",
        "client-key-data": data,
        "client-certificate-data": data,
        "exec": {
            "apiVersion": V1,
            "command": "x",
            "args": ["secret"],
            "env": [{"name": "A", "value": "secret"}],
        },
    }
    cluster = {**SERVER, "proxy-url": "http://u:secret@proxy"}
    machine.write(".kube/config", document(user=user, cluster=cluster))

    assert "secret" not in repr(machine.access())


CREDENTIALS = [
    {"token": "hush"},
    {"tokenFile": "hush"},
    {"username": "me", "password": "hush"},
    {"exec": {"apiVersion": V1, "command": "hush"}},
]


@pytest.mark.parametrize("user", CREDENTIALS)
@pytest.mark.parametrize("server", ["http://one.example:8080", "http://10.0.0.1", "http://[::2]"])
def test_no_token_and_no_password_goes_over_http_to_another_machine(machine, user, server):
    machine.write(".kube/config", document(user=user, cluster={"server": server}))

    assert machine.refusal() == (
        f"context 'one': its server {server} speaks http, over which a token or a password is not"
        " sent",
        "name its https:// address: `kubectl config set-cluster … --server https://…`; for"
        " `kubectl proxy`, its address on this machine",
    )


@pytest.mark.parametrize("user", CREDENTIALS)
@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:8001", "http://127.8.0.1", "http://localhost:8001", "http://[::1]"]
)
def test_a_proxy_of_this_machine_is_asked_without_them_as_kubectl_does(machine, user, server):
    machine.write(".kube/config", document(user={**user, "as": "a"}, cluster={"server": server}))

    assert machine.access().user == User(impersonation={"Impersonate-User": "a"})


@pytest.mark.parametrize(
    "user",
    [{}, {"as": "a"}, {"client-certificate-data": "aHVzaA==", "client-key-data": "aHVzaA=="}],
)
def test_who_shows_nothing_that_others_could_show_may_ask_over_http(machine, user):
    machine.write(".kube/config", document(user=user, cluster={"server": "http://one.example"}))

    assert machine.access().user == machine.user(**user)
