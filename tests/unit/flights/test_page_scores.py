import itertools
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from tac.flights.page_scores import (
    Bin,
    brier,
    calibration_bins,
    roc_points,
    share_late_of_riskiest,
    thin,
)


def some_flights(seed: int, *, count: int = 500, ties: bool = False) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    probability = random.uniform(0.02, 0.9, count)
    if ties:
        probability = probability.round(1)
    return (random.uniform(size=count) < probability).astype(int), probability


def area_under(points: list[tuple[float, float]]) -> float:
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in itertools.pairwise(points))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_are_those_of_scikit_learn(seed, ties):
    late, probability = some_flights(seed, ties=ties)
    assert area_under(roc_points(late, probability)) == pytest.approx(
        roc_auc_score(late, probability)
    )
    assert brier(late, probability) == pytest.approx(brier_score_loss(late, probability))


@pytest.mark.parametrize(
    ("late", "probability", "points"),
    [
        ([1, 0], [0.9, 0.1], [(0, 0), (0, 1), (1, 1)]),
        ([0, 1], [0.9, 0.1], [(0, 0), (1, 0), (1, 1)]),
        ([1, 0, 1, 0], [0.5] * 4, [(0, 0), (1, 1)]),
        ([1, 1], [0.9, 0.1], []),
        ([0, 0], [0.9, 0.1], []),
    ],
)
def test_a_curve_goes_through_each_threshold_once(late, probability, points):
    assert roc_points(late, probability) == points


def test_a_thinned_curve_keeps_its_ends_and_its_area():
    late, probability = some_flights(4, count=5000)
    points = roc_points(late, probability)
    kept = thin(points)
    assert (kept[0], kept[-1]) == ((0, 0), (1, 1))
    assert len(kept) < 140
    assert area_under(kept) == pytest.approx(area_under(points), abs=0.003)
    assert [thin([]), thin([(0, 0)])] == [[], [(0, 0)]]


def test_bins_hold_each_flight_once_and_small_ones_are_left_out():
    late = [0] * 9 + [1] * 3 + [0] * 17 + [1] * 20
    probability = [0.0] * 9 + [0.1] * 3 + [0.12] * 17 + [1.0] * 20
    bins = calibration_bins(late, probability)
    assert [(one.low, one.high, one.flights, one.late) for one in bins] == [
        (0.1, 0.15, 20, 3),
        (0.5, 1.0, 20, 20),
    ]
    assert [one.expected for one in bins] == pytest.approx([(3 * 0.1 + 17 * 0.12) / 20, 1.0])


@pytest.mark.parametrize(
    ("flights", "late", "interval"),
    [
        (100, 50, (0.404, 0.596)),
        (10, 0, (0.0, 0.278)),
        (10, 10, (0.722, 1.0)),
    ],
)
def test_an_interval_is_wilsons(flights, late, interval):
    assert Bin(0, 1, flights, late, 0.5).interval == pytest.approx(interval, abs=0.001)


@pytest.mark.parametrize(
    ("late", "probability", "riskiest"),
    [
        ([1] + [0] * 19, [0.9] + [0.1] * 19, (2, 1)),
        ([0] * 19 + [1], [0.1] * 19 + [0.9], (2, 1)),
        ([1, 1, 1], [0.1, 0.2, 0.3], (1, 1)),
    ],
)
def test_the_riskiest_tenth_is_counted(late, probability, riskiest):
    assert share_late_of_riskiest(late, probability) == riskiest
