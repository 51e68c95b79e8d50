"""A step that runs out of memory gets more, and the next run begins with what it needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tac import memory_history, runners
from tac.errors import StepFailed
from tac.step_task import StepTask
from tac.target import in_store
from tests.support.docker_place import DockerPlace, at

__all__ = ["at"]

NEEDS_130_MIB = """
import sys
eaten = bytearray(b"x") * (130 << 20)
open(sys.argv[1], "w").close()
"""


IS_KILLED_BELOW_130_MIB = """
import sys
from pathlib import Path
limits = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
limit = next(int(Path(each).read_text()) for each in limits if Path(each).exists())
if limit < 130 << 20:
    sys.exit(137)
open(sys.argv[1], "w").close()
"""
"""The state from an engine that notices the kill only when the container has ended, or never."""


class Eats(StepTask):
    """A task that says that it needs less than it does."""

    memory = "80Mi"

    def output(self):
        return in_store("eats.csv")

    def command(self):
        return ("python", "-c", NEEDS_130_MIB, self.output().path)


class IsKilled(Eats):
    """A task that is killed while it has too little memory, without a reason in its state."""

    def command(self):
        return ("python", "-c", IS_KILLED_BELOW_130_MIB, self.output().path)


def attempts(at: DockerPlace, task: type[Eats] = Eats) -> int:
    """Run the task in a driver of its own, and count its attempts in the log."""
    before = sum(log.read_text().count("$ python -c") for log in logs(at))
    with runners.using(at.new_runner()):
        task().run()
    return sum(log.read_text().count("$ python -c") for log in logs(at)) - before


def logs(at: DockerPlace) -> Iterator[Path]:
    return (at.path / "store" / "_tac" / "logs").glob("*.log")


def test_a_step_that_ran_out_of_memory_begins_with_what_it_needed_ever_after(at, monkeypatch):
    at.set(TAC_RUNNER="docker")
    made = at.path / "store" / "eats.csv"

    first = attempts(at)
    made.unlink()
    monkeypatch.setattr(memory_history, "_known", {})  # another driver
    second = attempts(at)
    made.unlink()
    at.set(TAC_MEMORY="160Mi")
    as_set = attempts(at)
    made.unlink()
    at.set(TAC_MEMORY="1Gi,Eats=80Mi")
    as_set_for_it = attempts(at)

    assert (first, second, as_set, as_set_for_it) == (2, 1, 1, 2)
    assert made.exists()
    kept = [path.name for path in (at.path / "store" / "_tac" / "memory" / "Eats").iterdir()]
    assert kept == ["160"]


def test_a_step_that_was_killed_for_no_reason_gets_more_and_the_memory_history_is_unchanged(at):
    at.set(TAC_RUNNER="docker")

    assert attempts(at, IsKilled) == 2
    assert (at.path / "store" / "eats.csv").exists()
    assert not (at.path / "store" / "_tac" / "memory").exists()


def test_what_ran_out_of_all_it_may_have_is_not_run_again(at):
    at.set(TAC_RUNNER="docker", TAC_MOST_MEMORY="80Mi")

    with runners.using(at.new_runner()), pytest.raises(StepFailed) as caught:
        Eats().run()

    (log,) = logs(at)
    assert log.read_text().count("$ python -c") == 1
    assert caught.value.message.startswith(
        f"step/{log.stem}: ran out of memory, exit code 137 (SIGKILL) after "
    )
    assert caught.value.hint == (
        f"it is given no more than TAC_MOST_MEMORY (now 80Mi): raise that; log: {log}"
    )


def test_what_ran_out_of_memory_is_run_again_as_long_as_it_gets_more(at):
    at.set(TAC_RUNNER="docker", TAC_MOST_MEMORY="100Mi")

    with runners.using(at.new_runner()), pytest.raises(StepFailed):
        Eats().run()

    (log,) = logs(at)
    assert log.read_text().count("$ python -c") == 2
