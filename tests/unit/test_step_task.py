"""What a StepTask makes of the verdicts that a runner comes to."""

import pytest

from tac import runners, verdict
from tac.errors import StepFailed
from tac.runners.runner import Runner
from tac.step_task import StepTask
from tac.target import in_store


class ReadyMade(StepTask):
    """A task whose step is never run: the runner of the test has the verdicts ready."""

    step = "never.runs"

    def output(self):
        return in_store("ready.csv")


class Ready(Runner):
    """A runner that returns given verdicts, and is stopped with the last one."""

    def __init__(self, *verdicts):
        self._verdicts = list(verdicts)

    def run(self, command, *, follow, stop):
        found = self._verdicts.pop(0)
        if not self._verdicts:
            stop.set()
        return found

    def close(self): ...


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_stopped_task_raises_the_verdict_of_its_attempt():
    lost = verdict.lost("no answer", seconds=2.0, log="x.log", remedy="job/x may still run")

    with runners.using(Ready(lost)), pytest.raises(StepFailed) as caught:
        ReadyMade().run()

    assert caught.value.message.endswith(": lost after 2.0 s: no answer")
    assert caught.value.hint == "job/x may still run; log: x.log"
