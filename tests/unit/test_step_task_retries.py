"""How often a step is tried again, and with how much memory: each reason has a budget of its own.

The ends are recorded from a real Kubernetes.
"""

import pytest

from tac import memory_history, runners, settings
from tac.errors import StepFailed
from tac.retry import BUDGETS
from tac.runners.runner import Runner
from tac.step_task import StepTask
from tac.target import in_store
from tac.verdict import Reason
from tests.support.retries import Stop, backoff, end, in_turn

OOM, PERHAPS = Reason.OUT_OF_MEMORY, Reason.PERHAPS_OUT_OF_MEMORY


class Retried(StepTask):
    """A task whose step is never run: the runner of the test has the ends ready."""

    step = "never.runs"
    memory = "64Mi"

    def output(self):
        return in_store("retried.csv")


class Ready(Runner):
    """A runner that returns given ends, and keeps the memory of each attempt."""

    def __init__(self, reasons):
        self._reasons = list(reasons)
        self.memory = []

    def run(self, command, *, follow, stop):
        self.memory.append(command.memory)
        ended = end(self._reasons.pop(0))
        if ended.reason is Reason.DONE:
            with in_store("retried.csv").open("w"):
                pass
        return ended

    def close(self): ...


@pytest.fixture
def setting(tmp_path, monkeypatch):
    """Change settings of the run that begins then."""

    def change(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        settings.current.cache_clear()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory_history, "_known", {})
    change(TAC_STORE=str(tmp_path / "store"), TAC_RUNNER="kubernetes")
    yield change
    monkeypatch.undo()
    settings.current.cache_clear()


def run(*reasons):
    """Run the task through these ends; return how long it waited, and its memory each time."""
    task, runner = Retried(), Ready(reasons)
    task._stop = stop = Stop()
    with runners.using(runner):
        task.run()
    return stop.waited, runner.memory


def failure(*reasons):
    """Run the task through these ends, of which it fails; return the error and the memory."""
    runner = Ready(reasons)
    task = Retried()
    task._stop = Stop()
    with runners.using(runner), pytest.raises(StepFailed) as caught:
        task.run()
    assert runner._reasons == [], "it gave up too early"
    return caught.value, runner.memory


def learned_mib(tmp_path):
    folder = tmp_path / "store" / "_tac" / "memory" / "Retried"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_no_reason_uses_up_the_budget_of_another(setting):
    setting(TAC_MOST_MEMORY="64Gi")
    reasons = in_turn(tuple(BUDGETS))

    waited, _ = run(*reasons, Reason.DONE)

    assert waited == backoff(reasons)


@pytest.mark.parametrize("reason", BUDGETS)
def test_a_reason_without_budget_left_is_final_whatever_else_was_retried(setting, reason):
    setting(TAC_MOST_MEMORY="64Gi")

    error, _ = failure(*in_turn(tuple(BUDGETS)), reason)

    assert error.message.endswith(f": {end(reason).detail}")


def test_what_the_platform_did_not_do_is_final(setting):
    error, _ = failure(Reason.EVICTED, Reason.BUG)

    assert error.message.endswith(f": {end(Reason.BUG).detail}")


@pytest.mark.parametrize(
    ("reasons", "memory", "kept"),
    [
        ((), ["64Mi"], []),
        ((OOM,), ["64Mi", "128Mi"], ["128"]),
        ((OOM, OOM), ["64Mi", "128Mi", "256Mi"], ["256"]),
        # A guess gets more too, and is not learned from.
        ((PERHAPS,), ["64Mi", "128Mi"], []),
        ((PERHAPS, PERHAPS), ["64Mi", "128Mi", "256Mi"], []),
        ((PERHAPS, OOM), ["64Mi", "128Mi", "256Mi"], ["256"]),
        ((OOM, PERHAPS), ["64Mi", "128Mi", "256Mi"], ["128"]),
        # At the cap: what may have been something else may go well with as much as it had.
        ((OOM, PERHAPS, PERHAPS), ["64Mi", "128Mi", "256Mi", "256Mi"], ["128"]),
        # Nothing else is a reason for more.
        ((Reason.KILLED,), ["64Mi", "64Mi"], []),
        ((Reason.EVICTED, Reason.LOST), ["64Mi", "64Mi", "64Mi"], []),
    ],
)
def test_what_ran_out_of_memory_or_perhaps_did_gets_twice_as_much(
    setting, tmp_path, reasons, memory, kept
):
    _, given = run(*reasons, Reason.DONE)

    assert (given, learned_mib(tmp_path)) == (memory, kept)


def test_the_cap_counts_from_what_the_task_asks_for_not_from_the_memory_history(setting, tmp_path):
    run(OOM, OOM, Reason.DONE)  # 256Mi is learned
    (tmp_path / "store" / "retried.csv").unlink()

    error, given = failure(OOM)

    assert given == ["256Mi"]
    assert str(error.hint).startswith("it is given no more than TAC_MOST_MEMORY (now 256Mi): raise")


def test_what_perhaps_ran_out_of_all_it_may_have_is_given_up_with_where_to_raise_it(setting):
    setting(TAC_MOST_MEMORY="64Mi")

    error, given = failure(PERHAPS, PERHAPS, PERHAPS)

    assert given == ["64Mi"] * 3
    assert str(error.hint).startswith(
        "if it ran out, give it more memory, in its task or by TAC_MEMORY (now 64Mi); if not, "
    )


def test_nothing_is_raised_where_no_memory_was_set(setting, monkeypatch):
    monkeypatch.setattr(Retried, "memory", "")

    _, given = run(OOM, PERHAPS, Reason.DONE)

    assert given == ["", "", ""]
