"""What a StepTask makes of the verdicts that a runner comes to."""

from typing import ClassVar

import pytest

from tac import runners, verdict
from tac.errors import StepFailed
from tac.step_task import StepTask
from tac.target import in_store


class ReadyMade(StepTask):
    """A task whose step is never run: the runner of the test has the verdicts ready."""

    step = "nobody.runs.this"

    def output(self):
        return in_store("ready.csv")


class Ready:
    """A runner that hands out verdicts, and is told to stop while it has the last one."""

    detaches_on_interrupt: ClassVar[bool] = False

    def __init__(self, *verdicts):
        self._verdicts = list(verdicts)

    def run(self, command, *, follow, stop):
        found = self._verdicts.pop(0)
        if not self._verdicts:
            stop.set()
        return found

    def detaches(self):
        return False

    def detach(self): ...

    def preflight(self, addresses=()):
        return ""

    def close(self): ...


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_who_is_told_to_stop_hears_what_became_of_the_attempt():
    lost = verdict.lost("nobody answers", seconds=2.0, log="x.log", remedy="job/x may still run")

    with runners.using(Ready(lost)), pytest.raises(StepFailed) as caught:
        ReadyMade().run()

    assert caught.value.message.endswith(": lost after 2.0 s: nobody answers")
    assert caught.value.hint == "job/x may still run; log: x.log"
