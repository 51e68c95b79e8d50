"""Which API server, and as whom: kubeconfig files on a disk; no server is asked."""

import base64
import pwd
import textwrap
from pathlib import Path

import pytest

from tac.kubernetes.client.config import User
from tac.kubernetes.place import Place
from tests.support.kubeconfigs import SERVER, document, machine

__all__ = ["machine"]

PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws"}


def test_without_kubeconfig_the_users_own_file_counts(machine):
    machine.write(".kube/config", document())

    assert machine.access().place == Place("one", "default", "https://one.example:6443")


def test_the_namespace_is_the_contexts_or_the_one_that_was_asked_for(machine):
    machine.write(".kube/config", document(namespace="ns"))

    assert machine.access().place.namespace == "ns"
    assert machine.access(namespace="other").place.namespace == "other"


def test_of_several_files_the_first_one_that_names_something_counts(machine):
    machine.write("a/config", {"contexts": [], "users": None})
    machine.write("b/config", document(user={"token": "b"}, current="two"))
    machine.write("c/config", document(user={"token": "c"}))
    machine.write("d/config", document(context="two", user={"token": "d"}, current="one"))
    machine.use("none", "a/config", "b/config", "c/config", "d/config")

    assert machine.access().user.token == "d"
    assert machine.access(context="one").user.token == "b"


def test_paths_begin_where_their_file_is(machine):
    cluster = {**SERVER, "certificate-authority": "ca.crt"}
    user = {"client-certificate": "own/crt", "client-key": "/keys/key", "tokenFile": "token"}
    machine.write("a/config", document(cluster=cluster, user=user))
    machine.use("a/config")
    access = machine.access()
    folder = machine.path / "a"

    assert access.authority == folder / "ca.crt"
    assert access.user == User(
        certificate=folder / "own/crt", key=Path("/keys/key"), token_file=folder / "token"
    )


def test_data_comes_before_files(machine):
    data = base64.b64encode(b"pem").decode()
    cluster = {**SERVER, "certificate-authority": "f", "certificate-authority-data": data}
    machine.write(".kube/config", document(cluster=cluster))

    assert machine.access().authority == b"pem"


def test_all_that_may_stand_beside_a_server_is_read(machine):
    cluster = {
        **SERVER,
        "insecure-skip-tls-verify": True,
        "tls-server-name": "name",
        "proxy-url": "http://proxy:1",
    }
    machine.write(".kube/config", document(cluster=cluster))
    access = machine.access()

    assert (access.verify, access.server_name, access.proxy) == (False, "name", "http://proxy:1")


def test_a_pod_asks_as_its_own_service_account(machine):
    machine.be_a_pod()
    access = machine.access()

    assert access.place == Place("in-cluster", "own", "https://10.0.0.1:443")
    assert access.user == User(token_file=machine.account / "token")
    assert access.authority == machine.account / "ca.crt"


def test_a_pod_with_a_kubeconfig_uses_it_unless_another_is_chosen(machine):
    machine.be_a_pod(host="fd00::1")
    machine.write(".kube/config", document())

    assert machine.access().place.context == "one"
    assert machine.access(context="in-cluster").place.server == "https://[fd00::1]:443"


def test_a_pod_has_no_other_context(machine):
    machine.be_a_pod()

    assert machine.refusal(context="two") == (
        "context 'two': there is none in this pod but in-cluster",
        None,
    )


def test_a_file_that_is_named_stands_for_kubeconfig(machine):
    machine.use("none")
    path = machine.write("other", document())

    assert machine.access(path=str(path)).place.context == "one"


def test_what_is_no_pod_has_no_service_account(machine):
    machine.write(".kube/config", document())

    assert machine.refusal(context="in-cluster") == (
        "context 'in-cluster': this is not a pod with the token of a service account",
        "set automountServiceAccountToken in the pod, or name a context of a kubeconfig",
    )


def test_what_must_be_a_pod_looks_at_no_file(machine):
    machine.write(".kube/config", document())
    refusal = machine.refusal(in_pod=True)
    machine.be_a_pod()

    assert refusal == machine.refusal(context="in-cluster", path="none")
    assert machine.access(in_pod=True).place.context == "in-cluster"


def test_there_is_nothing(machine):
    assert machine.refusal() == (
        "kubernetes: no API server is configured: HOME/.kube/config names none, "
        "and this is not a pod",
        "`minikube start`, or set KUBECONFIG to the file of another cluster",
    )


def test_a_context_that_is_not_there(machine):
    machine.write("a", document())
    machine.write("b", document(context="two"))
    machine.use("a", "b")

    assert machine.refusal(context="three") == (
        "context 'three': HOME/a:HOME/b has none of that name; there are one, two",
        "name one with the setting `kubernetes_context`, or set KUBECONFIG to the file that has it",
    )


def test_no_context_is_current(machine):
    machine.write(".kube/config", document(current=""))

    assert machine.refusal() == (
        "kubernetes: HOME/.kube/config has no current context; there are one",
        "`kubectl config use-context …`, or name one with the setting `kubernetes_context`",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("users: [token: secret\n - :", "HOME/.kube/config: is not YAML: line 2"),
        ("- secret", "HOME/.kube/config: is not a kubeconfig"),
        ("users: secret", "HOME/.kube/config: users is not a list"),
        ("users: [{user: secret}]", "HOME/.kube/config: an entry of users has no name"),
        ("users: [{name: a, user: secret}]", "HOME/.kube/config: user 'a' has no fields"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_not_quoted(machine, content, said):
    machine.write(".kube/config", content)

    assert machine.refusal() == (said, None)


def test_bytes_that_are_no_text(machine):
    machine.write(".kube/config", "").write_bytes(b"\xff\xfe\xff")

    assert machine.refusal() == ("HOME/.kube/config: cannot be read: is not text", None)


@pytest.mark.parametrize("server", ["", "one.example", "ftp://one", "https://u:secret@one"])
def test_a_server_without_a_usable_address(machine, server):
    machine.write(".kube/config", document(cluster={"server": server, "x": "y"}))

    assert machine.refusal() == (
        "context 'one': its server is not an address like https://HOST:PORT",
        None,
    )


def test_a_context_that_names_what_is_not_there(machine):
    machine.write(".kube/config", document(user={}) | {"users": []})

    assert machine.refusal() == (
        "context 'one': HOME/.kube/config names the user 'one': there is none",
        None,
    )


def test_data_that_is_not_base64_is_not_quoted(machine):
    machine.write(".kube/config", document(user={"client-key-data": "secret!"}))

    assert machine.refusal() == ("HOME/.kube/config: client-key-data is not base64", None)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_base64_may_be_broken_into_lines(machine, end, kind):
    certificate = bytes(range(200))
    lines = end.join(textwrap.wrap(base64.b64encode(certificate).decode(), 64)) + end
    machine.write(
        ".kube/config",
        document(
            cluster={**SERVER, "certificate-authority-data": kind(lines)},
            user={"client-certificate-data": kind(lines), "client-key-data": kind(lines)},
        ),
    )

    found = machine.access()

    assert (found.authority, found.user.certificate, found.user.key) == (certificate,) * 3


@pytest.mark.parametrize("data", ["QU JD", "QUJ", "QUJD\t", "ключ", b"\xff", 5, ["QUJD"]])
def test_what_is_no_base64_stays_an_error(machine, data):
    machine.write(".kube/config", document(cluster={**SERVER, "certificate-authority-data": data}))

    assert machine.refusal() == (
        "HOME/.kube/config: certificate-authority-data is not base64",
        None,
    )


def test_a_user_without_a_home_may_be_in_a_pod(machine, monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # as for a uid that /etc/passwd has not

    assert machine.refusal() == (
        "kubernetes: no API server is configured: ~/.kube/config names none, and this is not a pod",
        "`minikube start`, or set KUBECONFIG to the file of another cluster",
    )
    machine.be_a_pod()
    assert machine.access().place.context == "in-cluster"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"exec": "aws"}, "'str' object has no attribute 'get'"),
        ({"exec": {**PLUGIN, "args": 5}}, "'int' object is not iterable"),
        ({"exec": {**PLUGIN, "env": [{}]}}, "'name'"),
        ({"as": "me", "as-groups": 5}, "object of type 'int' has no len()"),
    ],
)
def test_a_value_of_the_wrong_type_is_no_bug_of_tac(machine, user, said):
    machine.write(".kube/config", document(user=user))

    message, hint = machine.refusal()

    assert message == (
        f"context 'one': HOME/.kube/config: a field has a value of the wrong type: {said}"
    )
    assert hint == f"`kubectl --kubeconfig {machine.path}/.kube/config config view` names it"
