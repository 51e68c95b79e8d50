import errno
import os

import pytest

from tac.runners.docker.engine import State, _state, away

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
    found = away(HOST, error)

    assert (found.message, found.hint) == (message, hint)


# As Docker 20.10 tells them; everything that is not read is left out.
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
            State("c1", "exited", 137, True, 2.5, {"tac/step": "x"}),
            True,
        ),
        (NEVER_STARTED, None, State("c1", "created", 127, False, 0.0, {}), False),
    ],
)
def test_a_state_is_read_out_of_the_engines_reply(state, labels, expected, finished):
    found = _state({"Id": "c1", "State": state, "Config": {"Labels": labels}})

    assert (found, found.finished) == (expected, finished)
