from pathlib import Path

import pytest

from tac.errors import StorageUnavailable, TacError
from tac.request import RunRequest
from tac.runners.docker.attempt import conclude_not_started

UNSEEN = 'invalid mount config for type "bind": bind source path does not exist: '
COMMAND = RunRequest("x", ("true",), {}, Path("/s/x.log"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            TacError(f"{UNSEEN}/s"),
            f"step/x: could not be started: {UNSEEN}/s\n"
            "Hint: the engine may not see all of this machine's files: keep the store where it "
            "does, or on S3 (`--store s3://bucket/prefix`); for an engine on another machine run "
            "tac there",
        ),
        (
            TacError(f"{UNSEEN}/tmp/tac-keys-a1/credentials"),
            f"step/x: could not be started: {UNSEEN}/tmp/tac-keys-a1/credentials\n"
            "Hint: the engine must see this machine's temporary directory, which holds S3's keys "
            "for the container: set TMPDIR to one that it sees; for an engine on another "
            "machine run tac there",
        ),
        (
            TacError("it cannot: log-opt max-buffer-size needs mode non-blocking"),
            "step/x: could not be started: it cannot: log-opt max-buffer-size needs mode "
            "non-blocking\n"
            "Hint: take `max-buffer-size` out of `log-opts` in the engine's daemon.json: "
            "tac's containers use a log driver that blocks until the log is written",
        ),
        (
            StorageUnavailable("s3://b/x: S3 asks to slow down (503)", hint="try again later"),
            "step/x: could not be started just now: s3://b/x: S3 asks to slow down (503)\n"
            "Hint: try again later; log: /s/x.log",
        ),
    ],
)
def test_the_error_that_kept_a_container_from_starting_has_a_remedy(error, message):
    assert conclude_not_started(error, COMMAND).message("x") == message
