"""Tasks in processes of their own, and how Luigi is told of their ends."""

import pytest

from tests.support.runs import tac

PIPELINE = """
import luigi, os, signal, sys, time

class Task(luigi.Task):
    def output(self):
        return luigi.LocalTarget(f"{self.task_family}.txt")

class Interrupted(Task):
    def run(self):
        raise KeyboardInterrupt

class Signalled(Task):
    def run(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

class Killed(Task):
    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)

class Exits(Task):
    def run(self):
        os._exit(3)

class Good(Task):
    def run(self):
        self.output().open("w").close()

class FailsOnce(Good):
    retry_count = 2
    def run(self):
        if not os.path.exists("tried"):
            open("tried", "w").close()
            raise RuntimeError("first")
        super().run()

class Batched(Good):
    x = luigi.IntParameter(batch_method=max)

class Both(luigi.WrapperTask):
    def requires(self):
        return [FailsOnce(), Batched(x=1)]

class FromElsewhere(Task):
    run = NotImplemented

class Context:
    def __init__(self, process):
        self.task = process.task
    def __enter__(self):
        note("begins", self.task)
    def __exit__(self, *failure):
        note("ends", self.task)

def note(what, task, *more):
    with open("noted", "a") as file:
        file.write(f"{what} {task.task_family}\\n")

for name in ("START", "FAILURE", "SUCCESS", "PROCESS_FAILURE", "BROKEN_TASK"):
    def handle(task, *more, name=name):
        note(name, task)
    Task.event_handler(getattr(luigi.Event, name))(handle)
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "ends.py").write_text(PIPELINE)
    return tmp_path


def noted(here):
    return (here / "noted").read_text().splitlines()


@pytest.mark.parametrize(
    ("task", "said", "events"),
    [
        ("Interrupted", "run() was interrupted: KeyboardInterrupt", ["START"]),
        ("Signalled", "run() was interrupted: KeyboardInterrupt", ["START"]),
        ("Killed", "its process was ended by SIGKILL", ["START", "PROCESS_FAILURE"]),
        (
            "Exits",
            "its process ended with exit code 3 and without a result",
            ["START", "PROCESS_FAILURE"],
        ),
    ],
)
def test_an_end_without_a_result_is_a_failure_once(here, task, said, events):
    ended = tac(here, "run", "--module", "ends", task)

    assert (ended.code, ended.lines[1]) == (30, f"Error: {task}(): {said}")
    assert noted(here) == [f"{event} {task}" for event in events]


def test_a_task_is_tried_again_beside_one_that_may_be_batched(here):
    (here / "luigi.cfg").write_text("[scheduler]\nretry_delay=0.1\n")

    ended = tac(here, "run", "--module", "ends", "Both")

    assert ended.code == 0, ended.err


def test_the_process_context_of_luigi_cfg_is_around_the_run(here):
    (here / "luigi.cfg").write_text("[worker]\ntask_process_context=ends.Context\n")

    ended = tac(here, "run", "--module", "ends", "Good")

    assert ended.code == 0, ended.err
    assert noted(here) == ["begins Good", "START Good", "SUCCESS Good", "ends Good"]


def test_a_task_whose_run_is_not_implemented_is_missing_data(here):
    assert tac(here, "run", "--module", "ends", "FromElsewhere").code == 20
