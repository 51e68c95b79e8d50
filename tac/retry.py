"""What tac tries again by itself: the retry budgets, and the one loop that spends them.

Each reason for which an attempt can end has a budget of its own, so none uses up another's.
A reason without a budget is final.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tac.verdict import Reason, stopped_before_start

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from tac.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How often one reason is tried again. `make docs` writes all of them into docs/retries.md."""

    cause: str
    """What happened, and why it is tried again so often."""

    backoff_seconds: tuple[float, ...]
    """The pause before each further attempt."""

    job_tasks: bool = False
    """Whether it holds for a KubernetesJobTask too, after what the Job's own `backoffLimit` allows:
    only what the platform did, since exit codes mean what its author says they mean."""


BUDGETS: Mapping[Reason, Budget] = {
    Reason.TRY_AGAIN: Budget(
        cause="exit code 75: a store that is unreachable, throttles or is full is mostly back "
        "within a minute",
        backoff_seconds=(2, 8, 30),
    ),
    Reason.KILLED: Budget(
        cause="killed without a memory limit of its own: the kernel may have picked it for what "
        "its neighbours used; once, as it harms them if it is what fills the machine",
        backoff_seconds=(2,),
    ),
    Reason.OUT_OF_MEMORY: Budget(
        cause="out of memory: in a container with twice as much each time",
        backoff_seconds=(5, 5),
    ),
    Reason.PERHAPS_OUT_OF_MEMORY: Budget(
        cause="killed under a memory limit, and nothing says why: with twice as much each time",
        backoff_seconds=(5, 5),
    ),
    Reason.LOST: Budget(
        cause="how it ended is not known: its pod, container or step server is gone",
        backoff_seconds=(1,),
        job_tasks=True,
    ),
    # On spot nodes, or while all nodes are upgraded one by one, one step can meet several of these.
    Reason.EVICTED: Budget(
        cause="its pod was evicted",
        backoff_seconds=(1, 5, 15, 60, 60),
        job_tasks=True,
    ),
    Reason.PREEMPTED: Budget(
        cause="its pod was preempted: the pod with the higher priority keeps the node for a while",
        backoff_seconds=(5, 15, 60, 60, 60),
        job_tasks=True,
    ),
    Reason.NODE_LOST: Budget(
        cause="its node was lost: noticing it has taken its time already",
        backoff_seconds=(0, 5, 15, 60, 60),
        job_tasks=True,
    ),
}

_FIRST_OF_A_JOB, _LONGEST_OF_A_JOB = 10.0, 360.0
"""The pauses of the Job controller: 10 s, 20 s, 40 s, six minutes at most.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy"""


def step_budgets(*, backoff_limit: int = 0) -> dict[Reason, tuple[float, ...]]:
    """Return the budgets of a step; `backoff_limit`: how often exit code 1 is tried again."""
    budgets = {reason: budget.backoff_seconds for reason, budget in BUDGETS.items()}
    budgets[Reason.BUG] = tuple(
        min(_FIRST_OF_A_JOB * 2**retry, _LONGEST_OF_A_JOB) for retry in range(backoff_limit)
    )
    return budgets


def job_budgets() -> dict[Reason, tuple[float, ...]]:
    """Return the budgets of a task that describes its own Job."""
    return {
        reason: budget.backoff_seconds for reason, budget in BUDGETS.items() if budget.job_tasks
    }


def run_attempts(
    attempt: Callable[[int], Verdict],
    budgets: Mapping[Reason, tuple[float, ...]],
    *,
    stop: threading.Event,
    before_retry: Callable[[Verdict, float], None],
) -> Verdict:
    """Make attempts until one succeeds or the budget of its reason is spent; return its verdict.

    `attempt` is called with 1, 2, …; `before_retry` with a verdict that is not final and the pause
    that follows, and may raise. A stop ends it in a pause at once.
    """
    ended: Counter[Reason] = Counter()
    while True:
        verdict = attempt(1 + ended.total())
        budget = budgets.get(verdict.reason, ())
        retries = ended[verdict.reason]
        if retries == len(budget) or stop.is_set():
            return verdict
        ended[verdict.reason] += 1
        before_retry(verdict, budget[retries])
        if stop.wait(budget[retries]):
            return stopped_before_start()
