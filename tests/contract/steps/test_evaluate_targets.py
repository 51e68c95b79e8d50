"""How good the models are on 32 days of the bundled year, and how good without anything to learn.

Real data and every step's function, in one process.
"""

import datetime

import numpy as np
import pytest

from tac.flights import BASELINE, MODELS
from tac.flights.outcome import join_day
from tac.flights.predictions import average
from tac.flights.scores import LEAK_AUC, evaluate
from tests.support.flights import ONE_DAY, bundled_day, predicted, schedule, scrambled

DATES = [datetime.date(2023, 1, 13) + back * 11 * ONE_DAY for back in range(32)]


def scored(date, change=None):
    """The day's flights with the average of the models and with the baseline."""
    days = [bundled_day(date - back * ONE_DAY) for back in range(10, 0, -1)]
    days = [change(day) for day in days] if change else days
    planned = schedule(date)
    said = average([(name, predicted(name, days, planned)) for name in MODELS])
    rate = predicted(BASELINE, days, planned)
    return join_day(date, ("said", said), ("rate", rate), ("happened", bundled_day(date)))


@pytest.fixture(scope="module")
def result():
    return evaluate([scored(date) for date in DATES])


def test_the_average_of_the_models_is_better_than_the_rates(result):
    assert result["dates"] == 32
    assert result["model"]["auc"]["value"] >= 0.705
    assert result["model"]["mean_day_auc"]["value"] >= 0.68
    assert result["gain_percent"]["value"] >= 1.0


def test_the_average_of_the_models_has_not_seen_the_future(result):
    assert result["model"]["auc"]["value"] < LEAK_AUC


def test_with_the_labels_permuted_within_days_the_auc_is_no_better_than_chance():
    permuted = evaluate([scored(date, scrambled) for date in DATES])
    by_day = [day["auc"] for day in permuted["days"]]

    assert np.mean(by_day) <= 0.53
