"""How good many days' predictions were: AUC, log loss, and how far chance alone moves them.

Flights of one day share its weather, so days are drawn again, not flights: the interval of a score
holds 95 % of what it is over as many days drawn with replacement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tac.errors import DataError

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Sequence

Array: TypeAlias = Any

RESAMPLES = 1000
SEED = 20230101

LEAK_AUC = 0.75
LEAK_DATES = 30
"""A pooled AUC above this, over so many dates or more, is a leak: the best honest models
reach 0.71, one with the delay on departure 0.93. A single day may honestly reach 0.86."""

_CLIP = 1e-6  # probabilities have six decimals: 0 and 1 stand for what was rounded
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class ScoredDay:
    """One day: for each flight that arrived, whether it was late and what was forecast."""

    date: datetime.date
    late: Array
    model: Array
    baseline: Array
    without_outcome: int


@dataclass(frozen=True)
class Score:
    """A score and its interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: Array) -> Score:
        """Round a value and the percentiles of the resampled ones."""
        low, high = np.percentile(resampled, _INTERVAL)
        return cls(round(float(value), 6), round(float(low), 6), round(float(high), 6))


def losses(late: Array, probability: Array) -> Array:
    """Return -log(the chance given to what then happened) of each flight."""
    inside = np.clip(probability, _CLIP, 1 - _CLIP)
    return -np.log(np.where(late == 1, inside, 1 - inside))


class PooledAuc:
    """The AUC over the flights of many days, for any number of copies of each day."""

    def __init__(self, days: Sequence[Array], probabilities: Sequence[Array]) -> None:
        late, probability = np.concatenate(days), np.concatenate(probabilities)
        order = np.argsort(probability, kind="stable")
        ordered = probability[order]
        self._late = late[order].astype(bool)
        day = np.repeat(np.arange(len(days)), [len(part) for part in days])
        self._day = day[order]
        # Flights with equal chances form one group, whose pairs count half.
        self._starts = np.flatnonzero(np.append(True, np.diff(ordered) != 0))

    def __call__(self, copies: Array) -> float:
        """Return the AUC with `copies[i]` copies of day `i`; NaN when it is not defined."""
        weight = copies[self._day].astype(float)
        late = np.add.reduceat(np.where(self._late, weight, 0.0), self._starts)
        on_time = np.add.reduceat(np.where(self._late, 0.0, weight), self._starts)
        below = np.cumsum(on_time) - on_time
        pairs = late.sum() * on_time.sum()
        return float((late * (below + on_time / 2)).sum() / pairs) if pairs else float("nan")


def auc(late: Array, probability: Array) -> float:
    """Return the AUC of one day; NaN when all flights were late, or none."""
    return PooledAuc([late], [probability])(np.ones(1))


def evaluate(days: Sequence[ScoredDay], done: Callable[[str], object] = str) -> dict[str, Any]:
    """Return the scores over `days` with their intervals, and those of each day.

    Raises:
        DataError: the predictions are too good to be without a leak.
    """
    model = _Scores(days, [day.model for day in days])
    done("model")
    baseline = _Scores(days, [day.baseline for day in days])
    done("baseline")
    _refuse_leak(days, model.auc.value)
    gain = 100 * (1 - model.log_loss_of(None) / baseline.log_loss_of(None))
    gains = 100 * (1 - model.log_losses / baseline.log_losses)
    return {
        "first": str(days[0].date),
        "last": str(days[-1].date),
        "dates": len(days),
        "flights": sum(len(day.late) for day in days),
        "late": int(sum(day.late.sum() for day in days)),
        "without_outcome": sum(day.without_outcome for day in days),
        "model": model.summary(),
        "baseline": baseline.summary(),
        "gain_percent": vars(Score.of(gain, gains)),
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "over": "days"},
        "days": [_day_row(day) for day in days],
    }


class _Scores:
    """The scores of one model over all days and over resampled ones."""

    def __init__(self, days: Sequence[ScoredDay], probabilities: Sequence[Array]) -> None:
        late = [day.late for day in days]
        # The same draws for every model: only then is the interval of a difference right.
        draws = np.random.default_rng(SEED).integers(0, len(days), (RESAMPLES, len(days)))
        copies = np.array([np.bincount(draw, minlength=len(days)) for draw in draws])
        pooled = PooledAuc(late, probabilities)
        pairs = list(zip(late, probabilities, strict=True))
        self._loss = np.array([losses(*pair).sum() for pair in pairs])
        self._flights = np.array([len(part) for part in late])
        by_day = np.array([auc(*pair) for pair in pairs])
        defined = ~np.isnan(by_day)
        drawn = copies[:, defined].sum(axis=1)
        of_draws = (copies[:, defined] @ by_day[defined])[drawn > 0] / drawn[drawn > 0]
        self.log_losses = self.log_loss_of(copies)
        self.auc = Score.of(pooled(np.ones(len(days))), [pooled(each) for each in copies])
        self.log_loss = Score.of(self.log_loss_of(None), self.log_losses)
        self.mean_day_auc = Score.of(by_day[defined].mean(), of_draws)

    def log_loss_of(self, copies: Array | None) -> Any:
        """Return the mean loss of a flight, for each row of copies when there are any."""
        if copies is None:
            return self._loss.sum() / self._flights.sum()
        return (copies * self._loss).sum(axis=1) / (copies * self._flights).sum(axis=1)

    def summary(self) -> dict[str, dict[str, float]]:
        """Return the scores by name."""
        return {name: vars(getattr(self, name)) for name in ("auc", "log_loss", "mean_day_auc")}


def _refuse_leak(days: Sequence[ScoredDay], pooled_auc: float) -> None:
    if len(days) >= LEAK_DATES and pooled_auc > LEAK_AUC:
        raise DataError(
            f"the predictions: leak the outcome: pooled AUC {pooled_auc:.3f} over"
            f" {len(days)} dates from {days[0].date} to {days[-1].date} (limit {LEAK_AUC})",
            hint="look for an outcome of the day itself among the features",
        )


def _day_row(day: ScoredDay) -> dict[str, Any]:
    row: dict[str, Any] = {
        "date": str(day.date),
        "flights": len(day.late),
        "late": int(day.late.sum()),
        "without_outcome": day.without_outcome,
    }
    for prefix, probability in (("", day.model), ("baseline_", day.baseline)):
        value = auc(day.late, probability)
        row[f"{prefix}auc"] = None if np.isnan(value) else round(value, 6)
        row[f"{prefix}log_loss"] = round(float(losses(day.late, probability).mean()), 6)
    return row


def show(result: dict[str, Any]) -> str:
    """Write the scores as a table for a person."""
    names = {"auc": "pooled AUC", "log_loss": "log loss", "mean_day_auc": "mean AUC of a day"}
    lines = [
        f"{result['dates']} dates from {result['first']} to {result['last']},"
        f" {result['flights']:,} flights, {result['late'] / result['flights']:.1%} of them late",
        f"{'':20}{'model':>27}{'baseline':>27}",
    ]
    for key, name in names.items():
        cells = (_cell(result[who][key], "{:.4f}") for who in ("model", "baseline"))
        lines.append(f"{name:20}" + "".join(f"{cell:>27}" for cell in cells))
    lines.append(f"{'gain in log loss':20}{_cell(result['gain_percent'], '{:.2f} %'):>27}")
    lines.append(f"in brackets: 95 % of {RESAMPLES} draws of as many days")
    return "\n".join(lines)


def _cell(score: dict[str, float], form: str) -> str:
    value, low, high = (form.format(score[key]) for key in ("value", "low", "high"))
    return f"{value} [{low.removesuffix(' %')}, {high.removesuffix(' %')}]"
