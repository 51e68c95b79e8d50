"""What is tried again of a task that describes its own Job: what the platform did, each its own."""

from typing import Any, ClassVar

import pytest

from tac.errors import StepFailed
from tac.kubernetes import KubernetesJobTask
from tac.kubernetes.attempt.context import Order
from tac.retry import job_budgets, step_budgets
from tac.verdict import Reason
from tests.support.retries import Stop, backoff, end, in_turn

ORDER = Order("x", "w", {}, "/logs/x.log")
NOT_ASKED: Any = None
"""What attempts share: those that have ended already ask nobody."""
PLATFORM = tuple(sorted(job_budgets()))


class Retried(KubernetesJobTask):
    """A task whose attempts have ended already."""

    name = "x"
    spec_schema: ClassVar[dict[str, Any]] = {}
    ends: ClassVar[list[Reason]] = []
    numbers: ClassVar[list[int]] = []

    def _attempt(self, session, order, number, stop):
        self.numbers.append(number)
        return end(self.ends.pop(0))


def run(*reasons):
    """Let attempts end so; return how long was waited."""
    task, stop = Retried(), Stop()
    Retried.ends, Retried.numbers = list(reasons), []
    try:
        assert task._until_success(NOT_ASKED, ORDER, stop).reason is Reason.DONE
    finally:
        assert Retried.ends == [], "it gave up too early"
        assert Retried.numbers == list(range(1, 1 + len(reasons)))
    return stop.waited


def test_no_reason_eats_the_budget_of_another():
    reasons = in_turn(PLATFORM)

    assert run(*reasons, Reason.DONE) == backoff(reasons)


@pytest.mark.parametrize("reason", PLATFORM)
def test_what_ends_for_one_reason_too_often_is_given_up_whatever_else_had_its_turn(reason):
    with pytest.raises(StepFailed) as caught:
        run(*in_turn(PLATFORM), reason)

    assert caught.value.message == f"task/x: {end(reason).detail}"


@pytest.mark.parametrize("reason", sorted({*step_budgets()} - {*PLATFORM}))
def test_what_the_jobs_own_backoff_limit_is_for_is_not_tried_again(reason):
    with pytest.raises(StepFailed) as caught:
        run(Reason.EVICTED, reason)

    assert caught.value.message == f"task/x: {end(reason).detail}"
