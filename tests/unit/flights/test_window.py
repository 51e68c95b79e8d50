"""Ten days in a row, in whatever order they are given."""

import pytest

from tac.errors import DataError
from tac.flights.window import order_days
from tests.support.flights import DAY, ONE_DAY, flight, flights, plan_of

NEEDED = "(2023-02-19 to 2023-02-28 are needed)"


def day(back):
    date = DAY - back * ONE_DAY
    return f"{date}.csv", flights(flight(date), flight(date, flight=17))


SCHEDULE = "s.csv", plan_of(day(0)[1])
TEN = [day(back) for back in range(1, 11)]


def test_days_are_put_in_order():
    assert order_days(TEN, SCHEDULE) == [table for _, table in reversed(TEN)]


REFUSALS = [
    (
        [each for each in TEN if each[0] != "2023-02-23.csv"],
        f"the days before 2023-03-01: 2023-02-23 missing {NEEDED}",
    ),
    (
        TEN[:8],
        f"the days before 2023-03-01: 2023-02-19, 2023-02-20 missing {NEEDED}",
    ),
    (
        [*TEN, ("copy.csv", TEN[3][1])],
        "copy.csv: is 2023-02-25, and so is 2023-02-25.csv",
    ),
    (
        [*TEN, day(0)],
        "2023-03-01.csv: is 2023-03-01, which is not before the schedule's day, 2023-03-01",
    ),
    (
        [*TEN[:9], day(-4)],
        "2023-03-05.csv: is 2023-03-05, which is not before the schedule's day, 2023-03-01",
    ),
    (
        [*TEN, day(11)],
        "2023-02-18.csv: is 2023-02-18, which is more than 10 days before 2023-03-01",
    ),
    (
        [*TEN[:9], ("mixed.csv", flights(flight(DAY - ONE_DAY), flight(DAY)))],
        "mixed.csv: is not 2023-02-28: 1 of 2 rows are of other days, first 2023-03-01 in row 2",
    ),
    (
        [*TEN[:9], ("odd.csv", flights(flight(month=2, day=30)))],
        "odd.csv: 2023-02-30 in row 1 is not a day",
    ),
]


@pytest.mark.parametrize(("days", "message"), REFUSALS)
def test_other_days_are_refused(days, message):
    with pytest.raises(DataError) as caught:
        order_days(days, SCHEDULE)

    assert caught.value.message == message


def test_a_missing_day_comes_with_the_command_that_makes_it():
    with pytest.raises(DataError) as caught:
        order_days(TEN[:9], SCHEDULE)

    assert caught.value.hint == "python -m tac.fetch 2023-02-19.parquet --date 2023-02-19"
