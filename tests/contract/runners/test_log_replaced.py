"""What a step has put in place of a log: nothing is written to it, and it never blocks."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tac import settings
from tac.request import RunRequest
from tac.runners import step_server
from tac.runners.local import LocalRunner
from tac.verdict import Phase, Reason
from tests.support.processes import Place, environment, ignore, place

LINK = "is a symbolic link, and what a step may have made is not followed"


@pytest.fixture(params=["cold", "warm"])
def at(request, tmp_path):
    with place(tmp_path, request.param) as found:
        found.log = tmp_path / "store" / "_tac" / "logs" / "x.log"
        (tmp_path / "secret").write_text("kept")
        (tmp_path / "elsewhere").mkdir()
        yield found
        assert (tmp_path / "secret").read_text() == "kept"
        assert list((tmp_path / "elsewhere").iterdir()) == []


def step(at: Place, script: str) -> None:
    """Let a step do something to the store, its log elsewhere."""
    log, at.log = at.log, at.path / "other.log"
    assert at.run("sh", "-c", f"mkdir -p {log.parent}; {script}").reason is Reason.DONE, at.words
    at.log = log


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("ln -s {here}/secret {log}", f"{{log}}: {LINK}"),
        ("ln -s {here}/none {log}", f"{{log}}: {LINK}"),
        ("rmdir {logs}; ln -s {here}/elsewhere {logs}", f"{{logs}}: {LINK}"),
        ("mkfifo {log}", "{log}: is a FIFO, not a file"),
        ("mkdir {log}", "{log}: is a directory, not a file"),
        ("rm -r {own}; ln -s {here}/elsewhere {own}", f"{{own}}: {LINK}"),
        ("rm -r {own}; mkfifo {own}", "{own}: is a FIFO, not a directory"),
    ],
)
def test_what_a_step_put_in_place_of_a_log_is_named_and_the_next_step_does_not_begin(
    at, script, said
):
    logs = at.log.parent
    places = {"here": at.path, "log": at.log, "logs": logs, "own": logs.parent}
    step(at, script.format(**places))

    verdict = at.run("sh", "-c", "echo ran > $0", at.path / "ran")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    assert verdict.detail == f"could not be started: {said.format(**places)}"
    assert (verdict.remedy or "").startswith("`ls -l")
    assert not (at.path / "ran").exists()


def test_a_step_that_replaces_its_own_log_writes_to_the_old_one(at):
    verdict = at.run("sh", "-c", "rm $0; ln -s $1 $0; echo here", at.log, at.path / "secret")

    assert verdict.reason is Reason.DONE
    assert at.log.is_symlink()


@pytest.mark.parametrize("what", ["link", "file", "FIFO"])
def test_what_is_put_there_between_the_headline_and_the_step_is_not_written_to(tmp_path, what):
    log, secret = tmp_path / "x.log", tmp_path / "secret"
    secret.write_text("kept")
    with log.open("a") as ours:
        found = os.fstat(ours.fileno())
        log.unlink()
        if what == "FIFO":
            os.mkfifo(log)
        else:
            _ = log.symlink_to(secret) if what == "link" else secret.rename(log)
        with contextlib.ExitStack() as stack:
            if what == "FIFO":
                stack.callback(os.close, os.open(log, os.O_RDWR))
            ended = enter(log, found)

    assert ended.returncode == 1
    assert "another file than the log" in ended.stderr
    if what != "FIFO":
        assert (secret if what == "link" else log).read_text() == "kept"


def enter(log: Path, found: os.stat_result) -> "subprocess.CompletedProcess[str]":
    """Become a step in a process of its own, as the server's child does."""
    request = {
        "log": str(log),
        "log_is": (found.st_dev, found.st_ino),
        "directory": str(log.parent),
        "module": "",
    }

    program = f"from tac.runners.step_server import _enter; _enter({request!r}); print('entered')"
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(step_server.__file__).parents[2],
    )


def test_a_directory_for_logs_that_the_settings_name_may_be_a_link(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("TAC_LOGS", str(tmp_path / "link" / "logs"))
    settings.current.cache_clear()
    log = settings.current().log_directory / "x.log"
    settings.current.cache_clear()
    runner = LocalRunner(environment=environment(str(tmp_path)))
    command = RunRequest("x", ("echo", "so"), environment(str(tmp_path)), log)

    verdict = runner.run(command, follow=ignore, stop=threading.Event())
    runner.close()

    assert verdict.reason is Reason.DONE
    assert (tmp_path / "real" / "logs" / "x.log").read_text() == "$ echo so\nso\n"
