"""Predictions: their mean, and what they are held against."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tac.errors import DataError
from tac.flights.outcome import join_day
from tac.flights.predictions import average
from tac.flights.schema import KEYS, PREDICTIONS
from tac.flights.table import table_of
from tests.support.flights import DAY, flight, flights


def predictions(*numbers, probability=0.25, day=DAY):
    """Predictions for flights of these numbers, each a little higher than the one before."""
    rows = [flight(day, flight=number, date=day) for number in numbers]
    values = {column.name: [row[column.name] for row in rows] for column in KEYS}
    said = np.round(probability + 0.01 * np.arange(len(rows)), 6)
    values |= {c.name: said for c in PREDICTIONS if c.name not in values}
    return table_of(PREDICTIONS, values)


def test_the_average_is_the_mean_of_all_predictions():
    mean = average([("a", predictions(1, 2)), ("b", predictions(1, 2, probability=0.5))])

    assert mean.equals(predictions(1, 2, probability=0.375))


def test_the_average_is_in_the_order_of_the_first():
    other = predictions(1, 2, probability=0.5).take([1, 0])

    mean = average([("a", predictions(1, 2)), ("b", other)])

    assert mean.equals(predictions(1, 2, probability=0.375))


def test_the_average_of_one_is_itself():
    assert average([("a", predictions(1, 2))]).equals(predictions(1, 2))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (
            (1, 2),
            "b: is not about the same flights as a: 1 of its 3 flights are missing, 0 are new;"
            " b lacks B6 3 from JFK on 2023-03-01 at 1710",
        ),
        (
            (1, 2, 3, 4),
            "b: is not about the same flights as a: 0 of its 3 flights are missing, 1 are new;"
            " b has B6 4 from JFK on 2023-03-01 at 1710",
        ),
    ],
)
def test_other_flights_are_not_averaged(numbers, message):
    with pytest.raises(DataError) as caught:
        average([("a", predictions(1, 2, 3)), ("b", predictions(*numbers))])

    assert caught.value.message == message


def happened(*delays):
    rows = (flight(flight=number, arr_delay=delay) for number, delay in enumerate(delays, start=1))
    return "h", flights(*rows)


def test_late_is_more_than_fifteen_minutes_and_cancelled_is_nothing():
    said, rate = predictions(1, 2, 3), predictions(1, 2, 3, probability=0.5)

    day = join_day(DAY, ("p", said), ("b", rate), happened(15, 16, None))

    assert (day.late.tolist(), day.without_outcome) == ([0.0, 1.0], 1)
    assert day.model.tolist() == [0.25, 0.26]
    assert day.baseline.tolist() == [0.5, 0.51]


MISFITS = [
    (
        predictions(1, day=DAY + datetime.timedelta(days=1)),
        predictions(1),
        happened(1),
        "p: is not about 2023-03-01: it has B6 1 from JFK on 2023-03-02 at 1710",
    ),
    (
        predictions(1, 2),
        predictions(1),
        happened(1),
        "b: is not about the same flights as p: 1 are in one of them only, such as"
        " B6 2 from JFK on 2023-03-01 at 1710",
    ),
    (
        predictions(1, 1),
        predictions(1),
        happened(1),
        "p: 1 flights are there twice",
    ),
    (
        predictions(2),
        predictions(2),
        happened(1, None),
        "h: tells the outcome of none of the 1 flights in p",
    ),
]


@pytest.mark.parametrize(("said", "rate", "outcome", "message"), MISFITS)
def test_what_does_not_belong_together_is_refused(said: pa.Table, rate: pa.Table, outcome, message):
    with pytest.raises(DataError) as caught:
        join_day(DAY, ("p", said), ("b", rate), outcome)

    assert caught.value.message == message
