"""Ends of attempts as recorded on real clusters, and a stop event that records the waits."""

import threading
from dataclasses import replace

from tac.kubernetes.diagnosis.verdicts import conclude
from tac.kubernetes.place import Place
from tac.retry import BUDGETS
from tac.verdict import Reason, Verdict
from tests.support import recordings

_STORIES = {
    Reason.TRY_AGAIN: "exit-75",
    Reason.KILLED: "exit-137",
    Reason.OUT_OF_MEMORY: "oom-killed",
    Reason.PERHAPS_OUT_OF_MEMORY: "exit-137",
    Reason.LOST: "pod-deleted",
    Reason.EVICTED: "evicted-api",
    Reason.PREEMPTED: "preempted",
    Reason.NODE_LOST: "node-lost",
    Reason.DONE: "succeeded",
    Reason.BUG: "exit-1",
}


def end(reason: Reason) -> Verdict:
    """Conclude from a recorded story that ended for this reason."""
    found = recordings.read(_STORIES[reason]).diagnose(later_seconds=60)
    if reason is Reason.PERHAPS_OUT_OF_MEMORY and found.ending is not None:
        found = replace(found, ending=replace(found.ending, memory_limit="64Mi"))
    place = Place("dc", "flights", "https://k.example")
    ended = conclude(found, ["so"], place=place, log="/logs/x.log")
    assert ended.reason is reason
    return ended


def in_turn(reasons: tuple[Reason, ...]) -> list[Reason]:
    """Each reason as often as it is tried again, each time another than the time before."""
    most = max(len(BUDGETS[reason].backoff_seconds) for reason in reasons)
    return [
        reason
        for number in range(most)
        for reason in reasons
        if number < len(BUDGETS[reason].backoff_seconds)
    ]


def backoff(reasons: list[Reason]) -> list[float]:
    """How long is waited behind each of these, if each reason has a budget of its own."""
    return [
        BUDGETS[reason].backoff_seconds[reasons[:number].count(reason)]
        for number, reason in enumerate(reasons)
    ]


class Stop(threading.Event):
    """A stop event whose wait() returns at once, and records its timeout."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        return self.is_set()
