"""The words today and yesterday in place of a date: in which time zone."""

import datetime as dt

import luigi
import pytest
from luigi.configuration import get_config

from tac import settings
from tac.errors import ConfigError
from tac.run import parameters

ZONE = "America/New_York"
EVENING = dt.datetime(2023, 3, 2, 4, 59, tzinfo=dt.UTC)  # one minute to midnight in New York
MIDNIGHT = dt.datetime(2023, 3, 2, 5, 0, tzinfo=dt.UTC)
SUMMER = dt.datetime(2023, 7, 2, 4, 0, tzinfo=dt.UTC)  # an hour earlier, by the clock of summer


class Dated(luigi.Task):
    date: dt.date = luigi.DateParameter()
    month: dt.date = luigi.MonthParameter(default=dt.date(2023, 1, 1))
    year: dt.date = luigi.YearParameter(default=dt.date(2023, 1, 1))
    hour: dt.datetime = luigi.DateHourParameter(default=dt.datetime(2023, 1, 1))  # noqa: DTZ001 # Luigi's have none
    text: str = luigi.Parameter(default="")


class Other(luigi.Task):
    date: dt.date = luigi.DateParameter()


class Zoned(luigi.Task):
    timezone = ZONE
    date: dt.date = luigi.DateParameter()


class Lost(luigi.Task):
    timezone = "Mars/Olympus"
    date: dt.date = luigi.DateParameter()


class AsksForAZone(luigi.Task):
    timezone: str = luigi.Parameter(default="UTC")
    date: dt.date = luigi.DateParameter()


@pytest.fixture
def in_zone(monkeypatch):
    """Set the setting."""

    def choose(name: str) -> None:
        monkeypatch.setenv("TAC_TIMEZONE", name)
        settings.current.cache_clear()

    choose(ZONE)
    yield choose
    monkeypatch.undo()
    settings.current.cache_clear()


@pytest.mark.parametrize(
    ("word", "now", "day"),
    [
        ("today", EVENING, dt.date(2023, 3, 1)),
        ("today", MIDNIGHT, dt.date(2023, 3, 2)),
        ("today", SUMMER, dt.date(2023, 7, 2)),
        ("yesterday", EVENING, dt.date(2023, 2, 28)),
        ("yesterday", MIDNIGHT, dt.date(2023, 3, 1)),
    ],
)
def test_a_word_is_the_day_in_the_time_zone_of_the_settings(in_zone, word, now, day):
    assert parameters.read_values(Dated, [("date", word)], now=now) == {"date": day}


@pytest.mark.parametrize(
    ("task", "zone", "day"),
    [
        (Dated, "Pacific/Kiritimati", dt.date(2023, 3, 2)),
        (Zoned, "Pacific/Kiritimati", dt.date(2023, 3, 1)),
        (AsksForAZone, ZONE, dt.date(2023, 3, 1)),
    ],
)
def test_the_time_zone_of_a_task_wins_over_that_of_the_settings(in_zone, task, zone, day):
    in_zone(zone)

    assert parameters.read_values(task, [("date", "today")], now=EVENING) == {"date": day}


def test_a_time_zone_that_does_not_exist_is_an_error_of_its_class():
    with pytest.raises(ConfigError) as caught:
        parameters.read_values(Lost, [("date", "today")], now=EVENING)

    assert (caught.value.message, caught.value.hint) == (
        "Lost.timezone: 'Mars/Olympus' is not a time zone",
        "name it as the tz database does, such as Europe/Berlin: `ls /usr/share/zoneinfo`",
    )


def test_without_a_moment_it_is_this_one():
    before = dt.datetime.now(dt.UTC)
    [today] = parameters.read_values(Dated, [("date", "today")]).values()
    days = [
        parameters.read_values(Dated, [("date", "today")], now=now)["date"]
        for now in (before, dt.datetime.now(dt.UTC))
    ]
    assert today in days


def test_a_date_that_is_written_out_stays_what_it_is():
    values = parameters.read_values(Dated, [("date", "2023-03-01")], now=MIDNIGHT)
    assert values == {"date": dt.date(2023, 3, 1)}


def test_only_a_date_may_be_a_word():
    assert parameters.read_values(Dated, [("text", "today")], now=MIDNIGHT) == {"text": "today"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [("month", "today")],
            "--month 'today': is not a month, YYYY-MM: "
            "time data 'today' does not match format '%Y-%m'",
        ),
        (
            [("year", "yesterday")],
            "--year 'yesterday': is not a year, YYYY: "
            "time data 'yesterday' does not match format '%Y'",
        ),
        (
            [("hour", "today")],
            "--hour 'today': is not an hour, YYYY-MM-DDTHH: "
            "time data 'today' does not match format '%Y-%m-%dT%H'",
        ),
        (
            [("date", "Today")],
            "--date 'Today': is not a date, YYYY-MM-DD: "
            "time data 'Today' does not match format '%Y-%m-%d'",
        ),
        (
            [("date", "tomorrow")],
            "--date 'tomorrow': is not a date, YYYY-MM-DD: "
            "time data 'tomorrow' does not match format '%Y-%m-%d'",
        ),
    ],
)
def test_another_word_or_another_parameter_is_refused(words, message):
    with pytest.raises(ConfigError) as caught:
        parameters.read_values(Dated, words, now=MIDNIGHT)
    assert caught.value.message == message


def test_the_default_of_another_task_may_be_a_word_too(in_zone):
    parameters.read_values(Dated, [("Other-date", "yesterday")], now=MIDNIGHT)
    try:
        assert Other().date == dt.date(2023, 3, 1)
    finally:
        get_config().remove_section("Other")
