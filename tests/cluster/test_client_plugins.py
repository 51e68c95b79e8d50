"""Credential plugins, for a real API server: run as seldom as can be, and what goes wrong."""

import base64
import datetime as dt
import json
import threading

import pytest

from tac.errors import ApiUnavailable, ConfigError, Unauthorized
from tac.kubernetes.watch.reflector import Reflector
from tests.support.cluster import who
from tests.support.processes import ended, pids_in, until

PLUGIN = """#!/bin/sh
echo run >>"$FOLDER/runs"
printf %s "$KUBERNETES_EXEC_INFO" >"$FOLDER/told"
[ ! -e "$FOLDER/fails" ] || { echo "log in first" >&2; exit 7; }
cat "$FOLDER/printed"
"""


class Plugin:
    """A credential plugin, and what it prints from now on."""

    def __init__(self, folder, cluster, version="v1"):
        self.folder = folder
        self.version = f"client.authentication.k8s.io/{version}"
        self.cluster = cluster
        self.path = folder / "plugin"
        self.path.write_text(PLUGIN)
        self.path.chmod(0o755)
        self.entry = {
            "apiVersion": self.version,
            "command": "./plugin",
            "interactiveMode": "IfAvailable",
            "env": [{"name": "FOLDER", "value": str(folder)}],
        }

    def prints(self, seconds=None, **status):
        if seconds is not None:
            end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
            status["expirationTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        printed = {"kind": "ExecCredential", "apiVersion": self.version, "status": status}
        (self.folder / "printed").write_text(json.dumps(printed))

    @property
    def runs(self):
        return len((self.folder / "runs").read_text().splitlines())


@pytest.fixture
def plugin(cluster, tmp_path):
    return Plugin(tmp_path, cluster)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_plugin_runs_once_for_many_requests_of_many_threads(
    as_user, cluster, tmp_path, token_of, version
):
    plugin = Plugin(tmp_path, cluster, version)
    plugin.prints(token=token_of("default"), seconds=3600)
    client = as_user({"exec": plugin.entry})
    threads = [threading.Thread(target=client.list, args=("Pod",)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    for _ in range(20):
        client.list("Pod")

    assert plugin.runs == 1
    assert json.loads((tmp_path / "told").read_text()) == {
        "apiVersion": plugin.version,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }


def test_the_reflector_raises_the_error_of_a_plugin_with_its_hint(as_user, plugin, caplog):
    (plugin.folder / "fails").touch()
    client = as_user({"exec": plugin.entry})
    with pytest.raises(ConfigError) as asked:
        client.list("Pod")
    reflector = Reflector(client)
    try:
        with pytest.raises(ConfigError) as told:
            reflector.wait_until_listed(20)
    finally:
        reflector.close()

    assert (told.value.message, told.value.hint) == (asked.value.message, asked.value.hint)
    assert told.value.hint
    assert caplog.messages == []


def test_a_plugin_runs_again_shortly_before_its_credential_ends(as_user, plugin, token_of):
    first, second = token_of("first"), token_of("second")
    plugin.prints(token=first, seconds=5)  # less than the time kept back: used once
    client = as_user({"exec": plugin.entry})
    seen = [who(client)]
    plugin.prints(token=second, seconds=3600)
    seen += [who(client), who(client)]

    assert seen == ["first", "second", "second"]
    assert plugin.runs == 2


def test_a_plugin_runs_again_once_when_its_credential_is_refused(as_user, plugin, token_of):
    plugin.prints(token=token_of("default"))
    client = as_user({"exec": plugin.entry})
    client.list("Pod")
    client._sender._credentials._held = client._sender._credentials._held.__class__(token="bad")
    client.list("Pod")
    again = plugin.runs
    plugin.prints(token="bad")
    client._sender._credentials._held = client._sender._credentials._held.__class__(token="bad")
    with pytest.raises(Unauthorized, match=r"rejected the credentials \(401 Unauthorized\)"):
        client.list("Pod")

    assert (again, plugin.runs) == (2, 3)


def test_a_plugin_may_give_a_certificate(as_user, plugin, cluster):
    user = cluster.user
    plugin.prints(
        clientCertificateData=base64.b64decode(user["client-certificate-data"]).decode(),
        clientKeyData=base64.b64decode(user["client-key-data"]).decode(),
    )
    client = as_user({"exec": plugin.entry})

    assert client.create("ConfigMap", {"metadata": {"name": "one"}})
    assert plugin.runs == 1


def test_a_plugin_gets_the_cluster_information_if_it_wants_it(as_user, plugin, cluster, token_of):
    plugin.prints(token=token_of("default"))
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    as_user({"exec": {**plugin.entry, "provideClusterInfo": True}}, extensions=[extension]).list(
        "Pod"
    )
    told = json.loads((plugin.folder / "told").read_text())["spec"]["cluster"]

    assert told == {
        "server": cluster.server,
        "certificate-authority-data": cluster.cluster["certificate-authority-data"],
        "config": {"audience": "x"},
    }


def test_a_plugin_that_is_not_installed(as_user, plugin):
    entry = {**plugin.entry, "command": "no-such-plugin", "installHint": "brew install it\n"}
    with pytest.raises(ConfigError) as caught:
        as_user({"exec": entry}).list("Pod")

    assert caught.value.message == (
        "context 't': its credential plugin 'no-such-plugin' cannot be started: "
        "No such file or directory"
    )
    assert caught.value.hint == "brew install it"


def test_a_plugin_that_fails_says_why_and_may_work_again_if_it_has(as_user, plugin, token_of):
    (plugin.folder / "fails").touch()
    client = as_user({"exec": plugin.entry})
    with pytest.raises(ConfigError) as first:
        client.list("Pod")
    (plugin.folder / "fails").unlink()
    plugin.prints(token=token_of("default"), seconds=5)
    client.list("Pod")
    (plugin.folder / "fails").touch()
    with pytest.raises(ApiUnavailable) as later:
        client.list("Pod")

    assert first.value.message == later.value.message
    assert first.value.message == (
        f"context 't': its credential plugin '{plugin.path}' failed: exit code 7: log in first"
    )
    assert first.value.hint == "run it by hand; you may have to log in again"


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("secret", "is no ExecCredential"),
        ("[]", "is no ExecCredential"),
        ('{"kind": "Pod"}', "is no ExecCredential"),
        (
            '{"kind": "ExecCredential", "apiVersion": "v0", "status": {"token": "secret"}}',
            "not of client.authentication.k8s.io/v1, which the kubeconfig names",
        ),
        (
            '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1"}',
            "is no ExecCredential",
        ),
        (
            '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",'
            '"status": {"clientKeyData": "secret"}}',
            "a client certificate and its key go together",
        ),
        (
            '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",'
            '"status": {}}',
            "neither a token nor a certificate",
        ),
        (
            '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",'
            '"status": {"token": "secret", "expirationTimestamp": "secret"}}',
            "its expirationTimestamp is no time",
        ),
    ],
)
def test_a_plugin_that_prints_something_else_is_not_quoted(as_user, plugin, printed, said):
    (plugin.folder / "printed").write_text(printed)
    with pytest.raises(ConfigError) as caught:
        as_user({"exec": plugin.entry}).list("Pod")

    assert caught.value.message == (
        f"context 't': its credential plugin '{plugin.path}' printed what cannot be used: {said}"
    )
    assert caught.value.__cause__ is None


def test_a_plugin_that_does_not_end_is_ended_with_all_that_it_started(
    as_user, plugin, tmp_path, monkeypatch
):
    monkeypatch.setattr("tac.kubernetes.client.exec_plugin._DEADLINE_SECONDS", 5.0)
    plugin.path.write_text('#!/bin/sh\nsleep 600 &\necho $! >"$FOLDER/pid"\nwait\n')
    with pytest.raises(ConfigError, match=r"(?m)took over 5 s$"):
        as_user({"exec": plugin.entry}).list("Pod")

    pid = pids_in(tmp_path / "pid")[0]
    until(lambda: ended(pid), "the end of what the plugin started")
