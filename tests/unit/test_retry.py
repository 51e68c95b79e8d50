"""The retry budgets of every reason, and the loop that spends them."""

import pytest

from tac import retry
from tac.verdict import Phase, Reason, Verdict
from tests.support.retries import Stop

RETRIED = {
    Reason.TRY_AGAIN: (2, 8, 30),
    Reason.KILLED: (2,),
    Reason.OUT_OF_MEMORY: (5, 5),
    Reason.PERHAPS_OUT_OF_MEMORY: (5, 5),
    Reason.LOST: (1,),
    Reason.EVICTED: (1, 5, 15, 60, 60),
    Reason.PREEMPTED: (5, 15, 60, 60, 60),
    Reason.NODE_LOST: (0, 5, 15, 60, 60),
}
OF_JOB_TASKS = {Reason.LOST, Reason.EVICTED, Reason.PREEMPTED, Reason.NODE_LOST}


def verdict(reason):
    return Verdict(phase=Phase.FINISHED, reason=reason, detail=f"ended: {reason}")


def attempts(*reasons, backoff_limit=0, stop=None, before_retry=None):
    """Let attempts of a step end so; return the last verdict, the attempts' numbers, the pauses."""
    numbers, left, stop = [], list(reasons), stop or Stop()

    def attempt(number):
        numbers.append(number)
        return verdict(left.pop(0))

    ended = retry.run_attempts(
        attempt,
        retry.step_budgets(backoff_limit=backoff_limit),
        stop=stop,
        before_retry=before_retry or (lambda _verdict, _pause: None),
    )
    assert left == [], "it gave up too early"
    return ended, numbers, stop.waited


@pytest.mark.parametrize("reason", Reason)
def test_a_step_is_tried_again_only_for_what_the_platform_did_and_not_for_ever(reason):
    pauses = RETRIED.get(reason, ())

    ended, numbers, waited = attempts(*[reason] * (len(pauses) + 1))

    assert ended == verdict(reason)
    assert numbers == list(range(1, len(pauses) + 2))
    assert waited == list(pauses)


def test_a_task_that_describes_its_own_job_has_the_same_budgets_for_what_the_platform_did():
    assert retry.job_budgets() == {reason: RETRIED[reason] for reason in OF_JOB_TASKS}


@pytest.mark.parametrize(
    ("limit", "pauses"), [(0, []), (1, [10]), (7, [10, 20, 40, 80, 160, 320, 360])]
)
def test_exit_code_1_is_tried_again_as_often_as_the_task_says_with_the_pauses_of_a_job(
    limit, pauses
):
    ended, _, waited = attempts(*[Reason.BUG] * (limit + 1), backoff_limit=limit)

    assert (ended.reason, waited) == (Reason.BUG, pauses)


@pytest.mark.parametrize("reason", [Reason.USAGE, Reason.BAD_DATA, Reason.UNKNOWN_EXIT])
def test_other_exit_codes_are_final_whatever_the_task_says_of_1(reason):
    assert attempts(reason, backoff_limit=3)[1] == [1]


def test_success_ends_it():
    ended, numbers, waited = attempts(Reason.LOST, Reason.DONE)

    assert (ended.succeeded, numbers, waited) == (True, [1, 2], [1])


def test_a_stop_before_a_retry_keeps_the_verdict_that_there_is():
    stop = Stop()
    stop.set()

    assert attempts(Reason.LOST, stop=stop)[0] == verdict(Reason.LOST)
    assert stop.waited == []


def test_a_stop_in_a_pause_is_a_verdict_of_its_own():
    stop = Stop()

    ended, numbers, _ = attempts(
        Reason.LOST, stop=stop, before_retry=lambda _verdict, _pause: stop.set()
    )

    assert (ended.reason, numbers) == (Reason.STOPPED, [1])
    assert ended.detail == "stopped on request before it began"


def test_each_retry_is_announced_with_its_pause():
    announced = []

    attempts(
        Reason.EVICTED,
        Reason.LOST,
        Reason.EVICTED,
        Reason.DONE,
        before_retry=lambda ended, pause: announced.append((ended.reason, pause)),
    )

    assert announced == [(Reason.EVICTED, 1), (Reason.LOST, 1), (Reason.EVICTED, 5)]


def test_what_raises_before_a_retry_ends_it():
    def refuse(_verdict, _pause):
        raise ValueError("no more memory")

    with pytest.raises(ValueError, match="no more memory"):
        attempts(Reason.OUT_OF_MEMORY, before_retry=refuse)
