"""What the system refuses is tried again later; a server that cannot start is given up."""

import pytest

from tac.runners import step_server
from tac.verdict import Reason
from tests.support.processes import no_descriptor_left, place

WITHOUT_FORK = f"""\
import os, runpy

def fork():
    raise BlockingIOError(11, "Resource temporarily unavailable")

os.fork = fork
runpy.run_path({step_server.__file__!r}, run_name="__main__")
"""


@pytest.fixture
def at(tmp_path):
    with place(tmp_path, "cold") as found:
        yield found


def test_a_process_without_a_descriptor_left_starts_its_step_later(at):
    at.log.parent.mkdir(exist_ok=True)
    with no_descriptor_left():
        verdict = at.run("true")

    assert verdict.reason is Reason.TRY_AGAIN
    assert verdict.detail == (
        f"could not be started just now: [Errno 24] Too many open files: '{at.log}'"
    )
    assert at.run("true").reason is Reason.DONE


def test_a_system_without_room_for_a_process_starts_the_step_later(at, tmp_path, monkeypatch):
    program = tmp_path / "without_fork.py"
    program.write_text(WITHOUT_FORK)
    monkeypatch.setattr(step_server, "__file__", str(program))

    verdict = at.run("true")

    assert verdict.reason is Reason.TRY_AGAIN
    assert verdict.detail == (
        "could not be started just now: [Errno 11] Resource temporarily unavailable"
    )


def test_a_server_that_cannot_live_is_why_its_step_is_lost(at, tmp_path, monkeypatch):
    program = tmp_path / "broken.py"
    program.write_text("print('once', file=open('times', 'a'))\nimport no_such")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(step_server, "__file__", str(program))

    verdict = at.run("true")

    assert verdict.reason is Reason.LOST
    assert verdict.detail.endswith(
        " s: the step server ended with exit code 1: ModuleNotFoundError: No module named 'no_such'"
    )
    assert (tmp_path / "times").read_text() == "once\n" * 3
