"""A step that may take only so long, as a process of this machine."""

import re

import pytest

from tac import runners, settings
from tac.errors import StepFailed
from tac.runners.local import LocalRunner
from tac.step_task import StepTask
from tac.target import in_store


class Slow(StepTask):
    """A step that would take a minute."""

    active_deadline_seconds = 1

    def output(self):
        return in_store("slow.csv")

    def command(self):
        return ("sleep", "60")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TAC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("TAC_STOP_GRACE_SECONDS", "2")
    settings.current.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    settings.current.cache_clear()


@pytest.mark.parametrize("cmd", [["sleep", "60"], ["sh", "-c", "trap '' TERM; sleep 60"]])
def test_a_step_that_takes_longer_than_its_deadline_is_stopped_and_says_so(here, cmd):
    found = type("Slow", (Slow,), {"cmd": cmd})()

    for _ in range(2):  # the same task again, as Luigi's retry runs it
        with runners.using(LocalRunner()), pytest.raises(StepFailed) as caught:
            found.run()

        name = re.escape(found.uu_name)
        assert re.fullmatch(
            rf"step/{name}: took longer than it may, stopped after \d\.\d s: "
            "active_deadline_seconds is 1",
            caught.value.message,
        )
        assert caught.value.hint == (
            "raise the limit, or give it less to do at once; "
            f"log: {here}/store/_tac/logs/{found.uu_name}.log"
        )
