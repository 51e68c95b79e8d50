"""The models: equal inputs give equal bytes, contributions add up, and nothing of the day leaks."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tac.errors import ConfigError, DataError
from tac.flights import BASELINE, GROUPS, MODELS
from tac.flights.day import read_day
from tac.flights.features import FEATURES, GROUP_OF, build_features
from tac.flights.models import build_model, fit_model, log_odds, one_thread
from tac.flights.predictions import flights_to_predict, predict
from tac.flights.schema import CONTRIBUTIONS, PREDICTIONS
from tac.flights.table import read_table, table_of
from tests.support.flights import (
    DAY,
    ONE_DAY,
    bundled_day,
    encode,
    predicted,
    schedule,
    scrambled,
    window,
)

ALL = (*MODELS, BASELINE)


@pytest.fixture(scope="module")
def features():
    return build_features(window(), schedule())


@pytest.fixture(scope="module")
def fitted(features):
    models = {name: build_model(name) for name in ALL}
    with one_thread():
        for model in models.values():
            fit_model(model, features)
    return models


def test_every_feature_has_a_group_that_a_person_understands():
    assert set(GROUP_OF.values()) == set(GROUPS)


@pytest.mark.parametrize("name", ALL)
def test_the_same_features_give_the_same_bytes(features, fitted, name):
    again = build_model(name)
    with one_thread():
        fit_model(again, read_table("f.csv", encode(features, ".csv"), FEATURES))
        bytes_again = encode(predict(again, features))
        bytes_before = encode(predict(fitted[name], features))

    assert bytes_again == bytes_before


@pytest.mark.parametrize("name", ALL)
def test_a_prediction_has_one_row_for_each_flight_of_the_day(features, fitted, name):
    table = predict(fitted[name], features)

    assert table.column_names == [column.name for column in PREDICTIONS]
    assert set(table["date"].to_pylist()) == {DAY}
    assert table.num_rows == schedule().num_rows
    probability = table["probability"].to_numpy()
    assert 0 < probability.min() < probability.max() < 1
    assert np.array_equal(probability, np.round(probability, 6))


@pytest.mark.parametrize("name", ALL)
def test_what_happens_on_the_day_and_after_it_changes_nothing(tmp_path, name):
    """The whole way from a source whose every outcome of the day and after is another."""
    predictions = []
    for place, change in (("as-it-was", None), ("scrambled", scrambled)):
        folder = tmp_path / place
        folder.mkdir()
        for ahead in range(-10, 3):
            table = bundled_day(DAY + ahead * ONE_DAY)
            if change is not None and ahead >= 0:
                table = change(table).take(list(reversed(range(table.num_rows))))
            (folder / f"{DAY + ahead * ONE_DAY}.parquet").write_bytes(encode(table))
        source = f"{folder}/{{date}}.parquet"
        days = [read_day(source, DAY - back * ONE_DAY) for back in range(10, 0, -1)]
        predictions.append(encode(predicted(name, days, read_day(source, DAY, schedule=True))))

    assert predictions[0] == predictions[1]


def sum_of_contributions(model, flights):
    return sum(model.contributions(flights).values())


def test_the_contributions_of_the_logistic_regression_are_exact(features, fitted):
    model, flights = fitted["logistic"], flights_to_predict(features)
    linear = model._model.decision_function(
        model._standardized(
            np.column_stack([flights[name].to_numpy() for name in GROUP_OF]), model._levels.expected
        )
    )

    total = sum_of_contributions(model, flights)

    assert total == pytest.approx(linear - model._model.intercept_[0], abs=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_contributions_point_where_the_probability_points(features, fitted, name):
    flights = flights_to_predict(features)
    total = sum_of_contributions(fitted[name], flights)

    correlation = np.corrcoef(total, log_odds(fitted[name].probabilities(flights)))[0, 1]

    assert correlation > 0.95


def test_a_group_with_typical_features_contributes_nothing(features, fitted):
    model, flights = fitted["gradient_boosting"], flights_to_predict(features)
    for place, name in enumerate(GROUP_OF):
        if GROUP_OF[name] == "carrier":
            typical = pa.array(np.full(flights.num_rows, model._typical[place]))
            flights = flights.set_column(flights.column_names.index(name), name, typical)

    contributions = model.contributions(flights)

    assert {group for group in GROUPS if not contributions[group].any()} == {"carrier"}


def small_features(*rows: tuple[Any, ...]):
    """A feature table of rows (days before, carrier, hour, late)."""
    values: dict[str, list[Any]] = {column.name: [0.0] * len(rows) for column in FEATURES}
    usual: dict[str, Any] = {"flight": 1, "tailnum": None, "origin": "JFK", "dest": "BOS"}
    usual |= {"sched_dep_time": 1710, "sched_arr_time": 1830}
    for name, value in usual.items():
        values[name] = [value] * len(rows)
    for place, name in enumerate(("date", "carrier", "hour", "late")):
        values[name] = [row[place] for row in rows]
    values["date"] = [DAY - row[0] * ONE_DAY for row in rows]
    return table_of(FEATURES, values)


def test_the_baseline_is_the_shrunken_rate_of_carrier_and_hour():
    known: list[tuple[Any, ...]] = [(1, "B6", 17, True)] * 30 + [(1, "B6", 17, False)] * 10
    known += [(1, "DL", 17, False)] * 40 + [(1, "DL", 9, False)] * 40
    unknown = [(0, "B6", 17, None), (0, "DL", 9, None), (0, "AA", 9, None), (0, "AA", 3, None)]
    features = small_features(*known, *unknown)
    model = build_model(BASELINE)
    fit_model(model, features)

    table = predict(model, features)

    of_all = 30 / 120
    rates = [(30 + 10 * of_all) / 50, 10 * of_all / 50, of_all, of_all]
    by_hour = [(30 + 10 * of_all) / 90, 10 * of_all / 50, 10 * of_all / 50, of_all]
    assert table["probability"].to_pylist() == pytest.approx(rates)
    assert table["because_hour"].to_numpy() == pytest.approx(
        log_odds(np.array(by_hour)) - log_odds(of_all), abs=1e-6
    )
    total = sum(table[column.name].to_numpy() for column in CONTRIBUTIONS)
    assert total == pytest.approx(log_odds(np.array(rates)) - log_odds(of_all), abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [(1, "B6", 17, True)] * 99,
            "the features: a model cannot be fitted: 99 flights with an outcome (at least 100),"
            " 99 of them late",
        ),
        (
            [(1, "B6", 17, False)] * 200,
            "the features: a model cannot be fitted: 200 flights with an outcome (at least 100),"
            " 0 of them late",
        ),
    ],
)
def test_too_little_to_learn_from_is_refused(rows, message):
    with pytest.raises(DataError) as caught:
        fit_model(build_model(BASELINE), small_features(*rows, (0, "B6", 17, None)))

    assert caught.value.message == message


def test_a_day_with_outcomes_is_refused():
    rows = [(1, "B6", 17, late) for late in (True, False)] * 100
    features = small_features(*rows, (0, "B6", 17, True), (0, "B6", 18, None))
    model = build_model(BASELINE)
    fit_model(model, features)

    with pytest.raises(DataError) as caught:
        predict(model, features)

    assert caught.value.message == (
        "the features: 1 of 2 flights of their last day, 2023-03-01, are known to be late or not:"
        " there is nothing to predict"
    )


def test_an_unknown_model_is_refused():
    with pytest.raises(ConfigError) as caught:
        build_model("oracle")

    assert (caught.value.message, caught.value.hint) == (
        "model 'oracle': does not exist",
        "models: logistic, gradient_boosting, carrier_hour_rate",
    )
