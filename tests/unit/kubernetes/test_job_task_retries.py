"""What is tried again of a task that describes its own Job: what the platform did, each its own."""

from pathlib import Path

import pytest

from tac.errors import StepFailed
from tac.kubernetes import KubernetesJobTask
from tac.request import RunRequest
from tac.retry import job_budgets, step_budgets
from tac.verdict import Reason
from tests.support.retries import Stop, backoff, end, in_turn

REQUEST = RunRequest("x", (), {}, Path("/logs/x.log"))
PLATFORM = tuple(sorted(job_budgets()))


def run(*reasons):
    """Let attempts end so; return how long was waited."""
    ends, numbers, stop = list(reasons), [], Stop()

    def attempt(request, follow):
        numbers.append(request.attempt)
        return end(ends.pop(0))

    try:
        ended = KubernetesJobTask()._until_success(REQUEST, attempt, job_budgets(), stop)
        assert ended.reason is Reason.DONE
    finally:
        assert ends == [], "it gave up too early"
        assert numbers == list(range(1, 1 + len(reasons)))
    return stop.waited


def test_no_reason_uses_up_the_budget_of_another():
    reasons = in_turn(PLATFORM)

    assert run(*reasons, Reason.DONE) == backoff(reasons)


@pytest.mark.parametrize("reason", PLATFORM)
def test_a_reason_without_budget_left_is_final_whatever_else_was_retried(reason):
    with pytest.raises(StepFailed) as caught:
        run(*in_turn(PLATFORM), reason)

    assert caught.value.message == f"task/x: {end(reason).detail}"


@pytest.mark.parametrize("reason", sorted({*step_budgets()} - {*PLATFORM}))
def test_what_the_jobs_own_backoff_limit_is_for_is_not_tried_again(reason):
    with pytest.raises(StepFailed) as caught:
        run(Reason.EVICTED, reason)

    assert caught.value.message == f"task/x: {end(reason).detail}"
