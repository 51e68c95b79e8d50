import errno
import os

import pytest

from tac.errors import ConfigError
from tac.runners.docker.engine import Engine, State, _state, unavailable

HOST = "unix:///var/run/docker.sock"
START = (
    "start it (`sudo systemctl start docker`, or Docker Desktop), "
    "name another by DOCKER_HOST, or use `--runner local`"
)


def raised(*chain):
    """An error whose cause lies below others, as HTTP libraries wrap it."""
    error = None
    for each in reversed(chain):
        each.__context__ = error
        error = each
    return error


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            raised(RuntimeError("wrapped"), FileNotFoundError(errno.ENOENT, "x")),
            f"docker engine at {HOST}: does not answer: No such file or directory",
            START,
        ),
        (
            raised(OSError("requests'"), ConnectionRefusedError(errno.ECONNREFUSED, "x")),
            f"docker engine at {HOST}: does not answer: Connection refused",
            START,
        ),
        (
            raised(RuntimeError("wrapped"), PermissionError(errno.EACCES, "x")),
            f"docker engine at {HOST}: user {os.geteuid()} may not use it: Permission denied",
            "`sudo usermod -aG docker $USER`, then log in again",
        ),
        (
            RuntimeError("Read timed out.\n(read timeout=30)"),
            f"docker engine at {HOST}: does not answer: Read timed out. (read timeout=30)",
            START,
        ),
    ],
)
def test_an_engine_that_cannot_be_asked_is_named_with_the_reason(error, message, hint):
    found = unavailable(HOST, error)

    assert (found.message, found.hint) == (message, hint)


HOW = (
    "set DOCKER_HOST like unix:///var/run/docker.sock or tcp://host:2376, "
    "or fix the context: `docker context inspect`"
)


@pytest.mark.parametrize(
    ("host", "message", "hint"),
    [
        (
            "ssh://me@there:2222",
            "docker engine at ssh://me@there:2222: cannot be asked through ssh",
            "run tac on that machine, whose files the containers see; here, a context with "
            "unix:// or tcp://: `docker context ls`",
        ),
        (
            "tcp://h:x",
            "docker engine at 'tcp://h:x': is no address of one: "
            "Port could not be cast to integer value as 'x'",
            HOW,
        ),
        (
            "tcp://h",
            "docker engine at 'tcp://h': is no address of one: "
            "Invalid bind address format: port is required: tcp://h",
            HOW,
        ),
        (
            "gopher://h:1",
            "docker engine at 'gopher://h:1': is no address of one: "
            "Invalid bind address protocol: gopher://h:1",
            HOW,
        ),
    ],
)
def test_a_wrong_address_of_the_engine_is_not_an_outage(host, message, hint, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)

    with pytest.raises(ConfigError) as raised:
        Engine()

    assert (raised.value.message, raised.value.hint) == (message, hint)


# As Docker 20.10 answers; fields that tac does not read are left out.
ENDED = {
    "Status": "exited",
    "Running": False,
    "OOMKilled": True,
    "ExitCode": 137,
    "Error": "",
    "StartedAt": "2026-11-21T01:52:01.123456789Z",
    "FinishedAt": "2026-11-21T01:52:03.623456789Z",
}
NEVER_STARTED = {
    "Status": "created",
    "Running": False,
    "OOMKilled": False,
    "ExitCode": 127,
    "Error": 'exec: "no-python": executable file not found in $PATH: unknown',
    "StartedAt": "0001-01-01T00:00:00Z",
    "FinishedAt": "0001-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    ("state", "labels", "expected", "finished"),
    [
        (
            ENDED,
            {"tac/step": "x"},
            State("c1", "x-1", "exited", 137, True, 2.5, 48 << 20, {"tac/step": "x"}, 0, 0),
            True,
        ),
        (
            NEVER_STARTED,
            None,
            State("c1", "x-1", "created", 127, False, 0.0, 48 << 20, {}),
            False,
        ),
    ],
)
def test_a_state_is_read_out_of_the_engines_reply(state, labels, expected, finished):
    found = _state(
        {
            "Id": "c1",
            "Name": "/x-1",
            "State": state,
            "Config": {"Labels": labels},
            "HostConfig": {"Memory": 48 << 20},
        }
    )

    assert (found, found.finished) == (expected, finished)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({}, (0, 0)),
        ({"PidsLimit": None, "Tmpfs": None}, (0, 0)),
        ({"PidsLimit": -1, "Tmpfs": {"/tmp": ""}}, (0, 0)),
        ({"PidsLimit": 40, "Tmpfs": {"/tmp": "noexec,size=8388608"}}, (40, 8 << 20)),
        ({"PidsLimit": 40, "Tmpfs": {"/tmp": "size=8m", "/run": "size=1"}}, (40, 0)),
    ],
)
def test_the_limits_of_a_container_are_its_own(host, expected):
    reply = {"Id": "c1", "Name": "/x-1", "State": ENDED, "Config": {"Labels": {}}}

    found = _state({**reply, "HostConfig": host})

    assert (found.pids, found.tmp_bytes) == expected
