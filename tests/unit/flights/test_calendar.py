"""Days as people write them, in New York."""

import datetime

import pytest

from tac.errors import ConfigError
from tac.flights.calendar import days_between, parse_day, refuse_future, today

# Half past eleven in the evening of the 28th in New York, the 1st of March in London.
NOW = datetime.datetime(2023, 3, 1, 4, 30, tzinfo=datetime.UTC)
TODAY = datetime.date(2023, 2, 28)


def test_days_are_those_of_new_york():
    assert today(NOW) == TODAY
    assert parse_day("today", NOW) == TODAY
    assert parse_day("yesterday", NOW) == datetime.date(2023, 2, 27)
    assert parse_day("2024-02-29", NOW) == datetime.date(2024, 2, 29)


@pytest.mark.parametrize("text", ["2023-02-29", "1.3.2023", "tomorrow", "", "2023-03-01T00"])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        parse_day(text, NOW)

    assert (caught.value.message, caught.value.hint) == (
        f"{text!r}: is not a day",
        "write it like 2023-03-01, or say today or yesterday",
    )


def test_the_future_is_refused():
    refuse_future(TODAY, NOW)
    with pytest.raises(ConfigError) as caught:
        refuse_future(datetime.date(2023, 3, 1), NOW)

    assert caught.value.message == ("2023-03-01: is in the future; in New York it is 2023-02-28")


def test_days_are_counted_up_to_the_last():
    days = days_between(datetime.date(2023, 1, 13), datetime.date(2023, 12, 20), 11)

    assert (len(days), days[0], days[-1]) == (
        32,
        datetime.date(2023, 1, 13),
        datetime.date(2023, 12, 20),
    )


@pytest.mark.parametrize(
    ("first", "every", "message"),
    [
        (
            datetime.date(2023, 3, 1),
            1,
            "2023-03-01 to 2023-02-28: the first day is after the last",
        ),
        (TODAY, 0, "every 0 days: is not 1 or more"),
    ],
)
def test_a_range_without_days_is_refused(first, every, message):
    with pytest.raises(ConfigError) as caught:
        days_between(first, TODAY, every)

    assert caught.value.message == message
