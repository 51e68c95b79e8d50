"""What the page draws of how good probabilities were: calibration and ROC, from plain arrays.

Pure. AUC and log loss are in tac/flights/scores.py.
`late` is an array of 0 and 1, `probability` of numbers between 0 and 1, both of one length.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any

BIN_EDGES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0)
"""Narrow where most flights are: three of four have a chance between 10 and 30 %."""

SMALLEST_BIN = 10
"""Flights below which a share says nothing."""

_Z = 1.96  # of a normal distribution, 95 % lie within so many standard deviations


@dataclass(frozen=True)
class Bin:
    """Flights that were given about the same chance, and how many of them were late."""

    low: float
    high: float
    flights: int
    late: int
    expected: float

    @property
    def share(self) -> float:
        """The share of flights that were late."""
        return self.late / self.flights

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share would lie in 95 of 100 repetitions (Wilson's interval)."""
        n, p, z2 = self.flights, self.share, _Z**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z * ((p * (1 - p) + z2 / (4 * n)) / n) ** 0.5 / (1 + z2 / n)
        return max(middle - half, 0.0), min(middle + half, 1.0)


def calibration_bins(late: Array, probability: Array) -> list[Bin]:
    """Sort flights by their chance into bins; those with too few flights are left out."""
    late, probability = np.asarray(late), np.asarray(probability)
    places = np.clip(np.searchsorted(BIN_EDGES, probability, side="right") - 1, 0, None)
    bins = []
    for place, (low, high) in enumerate(itertools.pairwise(BIN_EDGES)):
        inside = np.minimum(places, len(BIN_EDGES) - 2) == place
        flights = int(inside.sum())
        if flights >= SMALLEST_BIN:
            expected = float(probability[inside].mean())
            bins.append(Bin(low, high, flights, int(late[inside].sum()), expected))
    return bins


def roc_points(late: Array, probability: Array) -> list[tuple[float, float]]:
    """Return (share of on-time flights, share of late flights) above each falling threshold.

    From (0, 0) to (1, 1); empty when all flights were late, or none.
    """
    late, probability = np.asarray(late, dtype=int), np.asarray(probability)
    total_late = int(late.sum())
    total_on_time = len(late) - total_late
    if total_late == 0 or total_on_time == 0:
        return []
    order = np.argsort(-probability, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    found = np.cumsum(late[order])[last_of_ties]
    alarms = last_of_ties + 1 - found
    points = zip(alarms / total_on_time, found / total_late, strict=True)
    return [(0.0, 0.0), *((float(x), float(y)) for x, y in points)]


def thin(points: list[tuple[float, float]], step: float = 0.015) -> list[tuple[float, float]]:
    """Leave out points of a curve that lie closer than `step` to the one before them."""
    kept = points[:1]
    for point in points[1:-1]:
        if max(point[0] - kept[-1][0], point[1] - kept[-1][1]) >= step:
            kept.append(point)
    return kept + points[-1:] if len(points) > 1 else kept


def brier(late: Array, probability: Array) -> float:
    """Return the mean squared difference between chance and outcome."""
    return float(np.mean((np.asarray(probability) - np.asarray(late)) ** 2))


def share_late_of_riskiest(late: Array, probability: Array, part: float = 0.1) -> tuple[int, int]:
    """Return how many flights are the `part` with the highest chances, and how many were late."""
    late = np.asarray(late)
    count = max(round(len(late) * part), 1)
    order = np.argsort(-np.asarray(probability), kind="stable")[:count]
    return count, int(late[order].sum())
