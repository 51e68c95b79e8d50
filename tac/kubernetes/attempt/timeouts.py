"""Timeouts: of a Job at each stage, of an API server, of the end of a log.

Pure: the time is an argument.
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
    """All of them, for the attempts of one driver."""

    api_unreachable_timeout_seconds: float = 300.0
    """How long an API server that has answered before may be unreachable: an upgrade of a control
    plane takes a few minutes."""

    first_answer_timeout_seconds: float = 10.0
    """How long the first answer may take: the address may be wrong."""

    log_end_timeout_seconds: float = 20.0
    """How long a node may be unreachable when a log on it is to be read to its end."""

    grace_seconds: float = 10.0
    """How long a container may take to stop: terminationGracePeriodSeconds."""

    stages: Mapping[Stage, float] = field(default_factory=lambda: STAGE_TIMEOUT_SECONDS)
    """How long a Job may stay at a stage; one that is missing has no limit."""

    def with_settings(self, *, grace_seconds: float, scheduling_seconds: float) -> Timeouts:
        """Return them with those that are settings."""
        stages = {**self.stages, Stage.SCHEDULING: scheduling_seconds}
        return replace(self, grace_seconds=grace_seconds, stages=stages)


class StageTimeouts:
    """For how long one Job has been at each stage, added up.

    A pod whose image is slow changes between two stages again and again, as its node reports it:
    each has a timeout of its own, which does not begin anew. That of another pod does.
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
