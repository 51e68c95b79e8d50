"""Which engine the `docker` command would use, by its files."""

import hashlib
import json

import pytest

from tac.errors import ConfigError
from tac.runners.docker.context import DockerContext, current_context
from tac.runners.docker.engine import Engine


class Machine:
    """A home with the files of `docker`."""

    def __init__(self, path):
        self.folder = path / ".docker"

    def use(self, name):
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.json").write_text(json.dumps({"currentContext": name}))

    def write(self, name, endpoint, *files):
        identifier = hashlib.sha256(name.encode()).hexdigest()
        meta = self.folder / "contexts" / "meta" / identifier / "meta.json"
        meta.parent.mkdir(parents=True)
        meta.write_text(
            endpoint
            if isinstance(endpoint, str)
            else json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}})
        )
        tls = self.folder / "contexts" / "tls" / identifier / "docker"
        tls.mkdir(parents=True)
        for each in files:
            (tls / each).touch()
        return tls

    def current(self, **variables):
        return current_context(variables.get)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Machine(tmp_path)
    for name in ("alpha", "beta"):
        made.write(name, {"Host": f"unix:///{name}.sock", "SkipTLSVerify": False})
    return made


ALPHA, BETA = DockerContext("unix:///alpha.sock"), DockerContext("unix:///beta.sock")


def test_the_variable_wins_over_the_file_and_dockers_host_over_both(machine):
    assert machine.current() is None
    assert machine.current(DOCKER_CONTEXT="beta") == BETA

    machine.use("alpha")

    assert machine.current() == ALPHA
    assert machine.current(DOCKER_CONTEXT="") == ALPHA
    assert machine.current(DOCKER_CONTEXT="beta") == BETA
    assert machine.current(DOCKER_CONTEXT="default") is None
    assert machine.current(DOCKER_CONTEXT="beta", DOCKER_HOST="unix:///x") is None
    assert machine.current(DOCKER_CONTEXT="gone", DOCKER_HOST="unix:///x") is None


def test_the_folder_of_the_files_may_be_another(machine, monkeypatch):
    monkeypatch.setenv("HOME", "/nowhere")

    assert machine.current() is None
    assert machine.current(DOCKER_CONFIG=str(machine.folder), DOCKER_CONTEXT="beta") == BETA


@pytest.mark.parametrize("content", ["", "{", "[]", '{"currentContext": null}'])
def test_a_config_json_without_a_context_means_the_default(machine, content):
    (machine.folder / "config.json").write_text(content)

    assert machine.current() is None


@pytest.mark.parametrize(
    ("endpoint", "files", "expected"),
    [
        ({"Host": "tcp://h:1"}, [], {}),
        ({"Host": "tcp://h:1"}, ["ca.pem"], {"authority": "ca.pem"}),
        (
            {"Host": "tcp://h:1", "SkipTLSVerify": False},
            ["ca.pem", "cert.pem", "key.pem"],
            {"authority": "ca.pem", "certificate": ("cert.pem", "key.pem")},
        ),
        ({"Host": "tcp://h:1"}, ["cert.pem"], {}),
        ({"Host": "tcp://h:1", "SkipTLSVerify": True}, [], {"verify": False}),
    ],
)
def test_the_tls_of_a_context_is_its_own(machine, endpoint, files, expected):
    tls = machine.write("far", endpoint, *files)

    found = machine.current(DOCKER_CONTEXT="far")

    whole = {
        "authority": str(tls / "ca.pem") if "authority" in expected else None,
        "certificate": (str(tls / "cert.pem"), str(tls / "key.pem"))
        if "certificate" in expected
        else None,
        "verify": expected.get("verify", True),
    }
    assert found == DockerContext("tcp://h:1", **whole)
    assert found.has_tls == bool(expected)


HINT = (
    "`docker context ls` shows those that there are: set DOCKER_CONTEXT, or "
    "`docker context use default`"
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "list indices must be integers or slices, not str"),
        ('{"Endpoints": {}}', "'docker'"),
        ('{"Endpoints": {"docker": {}}}', "'Host'"),
    ],
)
def test_a_context_that_cannot_be_read_is_not_the_default(machine, content, said):
    machine.write("bad", content)

    with pytest.raises(ConfigError) as caught:
        machine.current(DOCKER_CONTEXT="bad")

    meta = f"{machine.folder}/contexts/meta/{hashlib.sha256(b'bad').hexdigest()}/meta.json"
    assert caught.value.message == f"docker context 'bad': {meta}: cannot be read: {said}"
    assert caught.value.hint == HINT


def test_a_context_that_is_not_there_is_not_the_default(machine):
    machine.use("gone")

    with pytest.raises(ConfigError) as caught:
        machine.current()

    assert caught.value.message == (
        f"docker context 'gone': there is none in {machine.folder}/contexts"
    )
    assert caught.value.hint == HINT


def test_tls_without_its_files_is_not_an_outage(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))

    with pytest.raises(ConfigError) as caught:
        Engine()

    assert caught.value.message == (
        "docker engine: its TLS cannot be used: Path to a certificate and key files must be "
        "provided through the client_cert param"
    )
    assert caught.value.hint == (
        "DOCKER_CERT_PATH, by default ~/.docker, is to hold ca.pem, cert.pem and key.pem; "
        "without TLS unset DOCKER_TLS_VERIFY"
    )
