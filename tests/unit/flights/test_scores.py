"""Scores of many days, against the definitions, and the refusal of what is too good."""

import datetime

import numpy as np
import pytest

from tac.errors import DataError
from tac.flights.scores import PooledAuc, ScoredDay, auc, evaluate, losses, show

FIRST = datetime.date(2023, 1, 13)


def make_days(count, skill, seed=0):
    """Days whose model knows `skill` of the outcome, and whose baseline knows nothing."""
    random = np.random.default_rng(seed)
    days = []
    for ahead in range(count):
        late = (random.random(100) < 0.3).astype(float)
        known = np.round(0.3 + skill * (late - 0.3) + 0.1 * random.random(100), 2)
        date = FIRST + datetime.timedelta(days=ahead)
        days.append(ScoredDay(date, late, known, np.full(100, 0.3), without_outcome=1))
    return days


def pairs_auc(late, probability):
    """The share of pairs, late and on time, that are in order; equal ones count half."""
    difference = probability[late == 1][:, None] - probability[late == 0][None, :]
    return float(((difference > 0) + (difference == 0) / 2).mean())


def test_the_auc_is_the_share_of_ordered_pairs():
    for day in make_days(5, skill=0.05):
        assert auc(day.late, day.model) == pytest.approx(pairs_auc(day.late, day.model))


def test_the_auc_of_chance_is_a_half_and_of_one_class_nothing():
    assert auc(np.array([0.0, 1, 1, 0]), np.full(4, 0.2)) == 0.5
    assert np.isnan(auc(np.ones(3), np.array([0.1, 0.2, 0.3])))


def test_copies_of_days_count_as_days():
    days = make_days(3, skill=0.05)
    pooled = PooledAuc([day.late for day in days], [day.model for day in days])

    twice = [days[0], days[2], days[2]]

    assert pooled(np.array([1, 0, 2])) == pytest.approx(
        pairs_auc(
            np.concatenate([day.late for day in twice]),
            np.concatenate([day.model for day in twice]),
        )
    )


def test_a_certainty_that_was_wrong_costs_much_but_not_everything():
    late, probability = np.array([1.0, 0, 1]), np.array([0.5, 0.0, 0.0])

    assert losses(late, probability) == pytest.approx([np.log(2), 1e-6, np.log(1e6)])


def test_an_evaluation_holds_scores_intervals_and_days():
    days = make_days(12, skill=0.05)

    result = evaluate(days)

    late = np.concatenate([day.late for day in days])
    said = np.concatenate([day.model for day in days])
    rate = losses(late, np.full(1200, 0.3)).mean()
    expected = {
        "auc": pairs_auc(late, said),
        "log_loss": losses(late, said).mean(),
        "mean_day_auc": np.mean([pairs_auc(day.late, day.model) for day in days]),
    }
    assert {name: score["value"] for name, score in result["model"].items()} == pytest.approx(
        expected, abs=1e-6
    )
    assert all(s["low"] < s["value"] < s["high"] for s in result["model"].values())
    assert result["baseline"]["auc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert result["gain_percent"]["value"] == pytest.approx(
        100 * (1 - expected["log_loss"] / rate), abs=1e-5
    )
    assert [result[name] for name in ("first", "last", "dates", "flights", "without_outcome")] == [
        "2023-01-13",
        "2023-01-24",
        12,
        1200,
        12,
    ]
    assert result["days"][0] == {
        "date": "2023-01-13",
        "flights": 100,
        "late": int(days[0].late.sum()),
        "without_outcome": 1,
        "auc": round(pairs_auc(days[0].late, days[0].model), 6),
        "log_loss": round(float(losses(days[0].late, days[0].model).mean()), 6),
        "baseline_auc": 0.5,
        "baseline_log_loss": round(float(losses(days[0].late, days[0].baseline).mean()), 6),
    }


def test_an_evaluation_is_the_same_each_time():
    days = make_days(12, skill=0.05)

    assert evaluate(days) == evaluate(days)


def test_what_is_too_good_is_a_leak():
    with pytest.raises(DataError) as caught:
        evaluate(make_days(30, skill=0.09))

    assert (caught.value.message, caught.value.hint) == (
        "the predictions: leak the outcome: pooled AUC 0.992 over 30 dates from"
        " 2023-01-13 to 2023-02-11 (limit 0.75)",
        "look for an outcome of the day itself among the features",
    )


def test_a_few_days_may_be_that_good():
    assert evaluate(make_days(29, skill=0.09))["model"]["auc"]["value"] > 0.9


def test_a_day_of_one_class_counts_for_the_losses_only():
    days = make_days(3, skill=0.05)
    all_late = ScoredDay(FIRST, np.ones(100), np.full(100, 0.6), np.full(100, 0.3), 0)

    result = evaluate([*days, all_late])

    assert result["days"][3]["auc"] is None
    assert result["flights"] == 400
    assert result["model"]["mean_day_auc"]["value"] == pytest.approx(
        np.mean([pairs_auc(day.late, day.model) for day in days]), abs=1e-6
    )


def test_the_table_for_people():
    score = {"value": 0.71234, "low": 0.69, "high": 0.73}
    gain = {"value": 1.4, "low": -0.2, "high": 3.0}
    who = dict.fromkeys(("auc", "log_loss", "mean_day_auc"), score)
    result = {"dates": 32, "first": "2023-01-13", "last": "2023-12-20", "flights": 36_600}
    result |= {"late": 7_576, "model": who, "baseline": who, "gain_percent": gain}

    assert show(result).splitlines() == [
        "32 dates from 2023-01-13 to 2023-12-20, 36,600 flights, 20.7% of them late",
        "                                          model                   baseline",
        "pooled AUC              0.7123 [0.6900, 0.7300]    0.7123 [0.6900, 0.7300]",
        "log loss                0.7123 [0.6900, 0.7300]    0.7123 [0.6900, 0.7300]",
        "mean AUC of a day       0.7123 [0.6900, 0.7300]    0.7123 [0.6900, 0.7300]",
        "gain in log loss           1.40 % [-0.20, 3.00]",
        "in brackets: 95 % of 1000 draws of as many days",
    ]
