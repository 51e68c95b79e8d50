"""How long a Job may take to get to its program, and how long an API server may be away.

Pure: the clock is told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tac.kubernetes.diagnosis.stage import STAGE_TIMEOUT_SECONDS, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tac.kubernetes.diagnosis.stage import Diagnosis


@dataclass(frozen=True)
class Timeouts:
    """What is waited for, and for how long."""

    api_unreachable_timeout_seconds: float = 300.0
    """How long an API server may be away in the middle of a run: a control plane's upgrade takes a
    few minutes."""

    first_answer_timeout_seconds: float = 10.0
    """How long it may take to answer at first: nobody knows yet whether there is one."""

    log_end_timeout_seconds: float = 20.0
    """How long a node may not answer when its container has ended and its log is to be read."""

    grace_seconds: float = 10.0
    """How long a container that is told to stop may take."""

    stages: Mapping[Stage, float] = field(default_factory=lambda: STAGE_TIMEOUT_SECONDS)
    """How long a Job may stay at a stage; one that is not there has no limit."""

    def with_settings(self, *, grace_seconds: float, scheduling_seconds: float) -> Timeouts:
        """Return them with those that a person may set."""
        stages = {**self.stages, Stage.SCHEDULING: scheduling_seconds}
        return replace(self, grace_seconds=grace_seconds, stages=stages)


class StageTimeouts:
    """For how long one Job has been at each stage, added up.

    A pod whose image is slow changes between two stages again and again, as its node sees it: each
    has its patience, which does not begin anew. That of another pod does.
    """

    def __init__(self, timeouts: Mapping[Stage, float]) -> None:
        self._timeouts = timeouts
        self._waited: Counter[tuple[str, Stage]] = Counter()
        self._last: tuple[str, Stage] | None = None
        self._seen_at = 0.0

    def look(self, diagnosis: Diagnosis, now: float) -> None:
        """Take note of where it is at this moment, in seconds of any clock."""
        key = (diagnosis.pod, diagnosis.stage)
        if key == self._last:
            self._waited[key] += now - self._seen_at  # type: ignore[assignment]  # not only counts
        if diagnosis.makes_progress:
            self._waited[key] = 0
        self._last, self._seen_at = key, now

    def waited_seconds(self, diagnosis: Diagnosis) -> float:
        """Return for how long it has been at its stage."""
        return self._waited[diagnosis.pod, diagnosis.stage]

    def limit_seconds(self, diagnosis: Diagnosis) -> float | None:
        """Return for how long it may; None: for ever."""
        return self._timeouts.get(diagnosis.stage)

    def is_half_over(self, diagnosis: Diagnosis) -> bool:
        """Whether it is time to ask what takes a while to tell."""
        limit = self.limit_seconds(diagnosis)
        return limit is not None and self.waited_seconds(diagnosis) > limit / 2

    def is_over(self, diagnosis: Diagnosis) -> bool:
        """Whether it is waited for in vain."""
        limit = self.limit_seconds(diagnosis)
        if limit is None:
            return False
        return diagnosis.permanent or self.waited_seconds(diagnosis) > limit
