"""The days behind as the page shows them: what was forecast, what happened, how good that was.

Pure: from arrays of chances and outcomes to what the template prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tac.flights.charts import (
    CalibrationChart,
    RocChart,
    build_calibration_chart,
    build_roc_chart,
)
from tac.flights.page_scores import (
    Array,
    Bin,
    brier,
    calibration_bins,
    roc_points,
    share_late_of_riskiest,
    thin,
)
from tac.flights.scores import auc, losses

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from tac.flights.scores import ScoredDay

_SAME_SHARE = 0.02  # of all flights: what a reader would still call the same
_SAME_AUC = 0.005  # of a week's AUC; days alone move it by more


@dataclass(frozen=True)
class PastDay:
    """One day's chances by both models, its outcomes, and its weather as text."""

    day: ScoredDay
    weather: str

    @property
    def date(self) -> datetime.date:
        """The day it was."""
        return self.day.date

    @property
    def flights(self) -> int:
        """The flights that arrived."""
        return len(self.day.late)

    @property
    def late_flights(self) -> int:
        """The flights that arrived late."""
        return int(self.day.late.sum())

    @property
    def expected(self) -> float:
        """The late flights that were forecast."""
        return float(self.day.model.sum())

    @property
    def auc(self) -> float:
        """The AUC of the forecast; not a number when all flights were late, or none."""
        return auc(self.day.late, self.day.model)

    @property
    def baseline_auc(self) -> float:
        """The AUC of the baseline."""
        return auc(self.day.late, self.day.baseline)


@dataclass(frozen=True)
class ModelScores:
    """The technical numbers of one model."""

    name: str
    auc: float
    log_loss: float
    brier: float


@dataclass(frozen=True)
class Riskiest:
    """The tenth of the flights with the highest chances: how many, and how many came late."""

    flights: int
    late: int
    other_flights: int
    other_late: int


@dataclass(frozen=True)
class Past:
    """Everything that the page shows about the days behind."""

    days: tuple[PastDay, ...]
    flights: int
    late: int
    expected: float
    typical_error: float
    without_outcome: int
    riskiest: Riskiest
    model: ModelScores
    baseline: ModelScores
    bins: tuple[Bin, ...]
    calibration: CalibrationChart
    roc: RocChart | None

    @property
    def share(self) -> float:
        """The share of flights that were late."""
        return self.late / self.flights

    @property
    def most_late(self) -> float:
        """The largest number of late flights, forecast or not, that a day's bars have to hold."""
        return max(max(one.late_flights, one.expected) for one in self.days)

    @property
    def surprise(self) -> str:
        """Whether more flights were late than was forecast, or fewer, or none to speak of."""
        more = self.share - self.expected / self.flights
        if abs(more) < _SAME_SHARE:
            return "none"
        return "more" if more > 0 else "fewer"

    @property
    def comparison(self) -> str:
        """Whether the model sorts flights better than the baseline: better, worse or same."""
        gain = self.model.auc - self.baseline.auc
        if not abs(gain) >= _SAME_AUC:  # also when there is no AUC: that is not a number
            return "same"
        return "better" if gain > 0 else "worse"


def build_past(days: Sequence[PastDay]) -> Past | None:
    """Sum up the days behind; None when there are none."""
    if not days:
        return None
    late = np.concatenate([one.day.late for one in days])
    probability = np.concatenate([one.day.model for one in days])
    baseline = np.concatenate([one.day.baseline for one in days])
    curves = {"model": roc_points(late, probability), "baseline": roc_points(late, baseline)}
    bins = calibration_bins(late, probability)
    count, found = share_late_of_riskiest(late, probability)
    return Past(
        days=tuple(sorted(days, key=lambda one: one.date)),
        flights=len(late),
        late=int(late.sum()),
        expected=float(probability.sum()),
        typical_error=float(np.mean([abs(one.expected - one.late_flights) for one in days])),
        without_outcome=sum(one.day.without_outcome for one in days),
        riskiest=Riskiest(count, found, len(late) - count, int(late.sum()) - found),
        model=_score("this forecast", late, probability),
        baseline=_score("carrier-by-hour rate", late, baseline),
        bins=tuple(bins),
        calibration=build_calibration_chart(bins),
        roc=build_roc_chart((name, thin(points)) for name, points in curves.items())
        if curves["model"]
        else None,
    )


def _score(name: str, late: Array, probability: Array) -> ModelScores:
    return ModelScores(
        name=name,
        auc=auc(late, probability),
        log_loss=float(losses(late, probability).mean()),
        brier=brier(late, probability),
    )
