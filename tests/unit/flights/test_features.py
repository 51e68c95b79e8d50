"""Features: what they are made of, and that none of them has seen the future."""

import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tac.flights.day import read_day
from tac.flights.features import FEATURES, GROUP_OF, build_features
from tac.flights.schema import KEYS
from tac.flights.table import read_table
from tests.support.flights import (
    DAY,
    ONE_DAY,
    bundled_day,
    encode,
    flight,
    flights,
    plan_of,
    schedule,
    scrambled,
    window,
)

NAMES = list(GROUP_OF)


@pytest.fixture(scope="module")
def days():
    return window()


@pytest.fixture(scope="module")
def planned():
    return schedule()


@pytest.fixture(scope="module")
def features(days, planned):
    return build_features(days, planned)


def of_day(features, day):
    return features.filter(pc.equal(features["date"], pa.scalar(day)))


def test_there_is_one_row_for_each_flight(features, days, planned):
    assert features.column_names == [column.name for column in FEATURES]
    assert features.num_rows == sum(table.num_rows for table in (*days, planned))
    assert of_day(features, DAY).select([c.name for c in KEYS][1:]) == planned.select(
        [c.name for c in KEYS][1:]
    )


def test_late_is_known_of_flights_that_arrived_before_the_day(features, days):
    first = DAY - 10 * ONE_DAY
    delays = days[0]["arr_delay"].to_pylist()

    expected = [None if delay is None else delay > 15 for delay in delays]

    assert None in expected
    assert of_day(features, first)["late"].to_pylist() == expected
    assert of_day(features, DAY)["late"].null_count == of_day(features, DAY).num_rows


def test_what_happens_on_the_day_itself_changes_nothing(features, days, tmp_path):
    """Another order of departures, other delays, other cancellations: the same features."""
    other = scrambled(bundled_day(DAY)).take(list(range(bundled_day(DAY).num_rows))[::-1])
    (tmp_path / f"{DAY}.parquet").write_bytes(encode(other))
    again = read_day(f"{tmp_path}/{{date}}.parquet", DAY, schedule=True)

    assert build_features(days, again).equals(features)


@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_day_of_the_window_is_described_by_the_others(features, days, planned, place):
    changed = [*days]
    changed[place] = scrambled(days[place])
    day = DAY - (10 - place) * ONE_DAY

    other = build_features(changed, planned)

    assert of_day(other, day).select(NAMES).equals(of_day(features, day).select(NAMES))
    assert not of_day(other, DAY).select(NAMES).equals(of_day(features, DAY).select(NAMES))


def test_no_feature_identifies_the_day(features):
    """One that is the same for a whole day, as the weekday is, makes models learn the days."""
    constant = {
        (name, str(day))
        for day in (DAY - back * ONE_DAY for back in range(10))
        for name in NAMES
        if pc.count_distinct(of_day(features, day)[name]).as_py() == 1
    }

    assert constant == set()


def test_the_plane_and_the_weather_are_not_used(features, days, planned):
    def without(table):
        names = [name for name in table.column_names if not name.startswith("weather_")]
        place = table.column_names.index("tailnum")
        nothing = pa.nulls(table.num_rows, pa.string())
        return table.set_column(place, "tailnum", nothing).select(names)

    other = build_features([without(table) for table in days], without(planned))

    assert other.select(NAMES).equals(features.select(NAMES))


def test_tables_from_csv_give_the_same_features(features, days, planned):
    def through_csv(table):
        columns = [c for c in read_columns if c.name in table.column_names]
        return read_table("x.csv", encode(table, ".csv"), columns)

    from tac.flights.schema import FLIGHTS, WEATHER

    read_columns = (*FLIGHTS, *WEATHER)
    other = build_features([through_csv(table) for table in days], through_csv(planned))

    assert other.equals(features)
    assert read_table("f.csv", encode(features, ".csv"), FEATURES).equals(features)


def one_day(back, *delays):
    """A day of flights to BOS with these delays, and as many to BUF that are on time."""
    day = DAY - back * ONE_DAY
    rows = [
        flight(day, flight=number + 100 * buf, dest="BUF" if buf else "BOS", arr_delay=delay)
        for number, late in enumerate(delays, start=1)
        for buf, delay in ((0, late), (1, 0))
    ]
    return flights(*rows)


def test_a_record_is_the_other_days_shrunken_mean_beyond_that_of_their_day():
    days = [
        one_day(10, 60, 60),
        one_day(9, 60, 0),
        *(one_day(back, 0, 0) for back in range(8, 0, -1)),
    ]
    planned = plan_of(one_day(0, None, None))

    features = build_features(days, planned)

    # Beyond its day's mean, a flight to BOS is late by 1/2 on the first day (both of two are late,
    # no other), and by 1/4 on average on the second; there are two a day, and 40 for the prior.
    # All leave in one hour, which is neither better nor worse than its day: nothing is subtracted.
    to_bos = [row for row in features.to_pylist() if row["dest"] == "BOS"]
    record = {row["date"]: row["dest_record"] for row in to_bos}
    assert record[DAY] == pytest.approx((2 * 0.5 + 2 * 0.25) / (20 + 40), abs=1e-6)
    assert record[DAY - 10 * ONE_DAY] == pytest.approx(2 * 0.25 / (18 + 40), abs=1e-6)
    assert record[DAY - 9 * ONE_DAY] == pytest.approx(2 * 0.5 / (18 + 40), abs=1e-6)
    assert record[DAY - 8 * ONE_DAY] == pytest.approx((2 * 0.5 + 2 * 0.25) / (18 + 40), abs=1e-6)


def test_yesterday_is_the_day_before_and_nothing_on_the_first_day():
    days = [one_day(back, 0, 0) for back in range(10, 0, -1)]
    days[9] = flights(
        *(
            flight(DAY - ONE_DAY, flight=n, carrier=c, arr_delay=d, sched_dep_time=1700 + n)
            for n, c, d in ((1, "B6", 60), (2, "B6", 60), (3, "DL", 0), (4, "DL", 0))
        )
    )
    planned = plan_of(flights(flight(), flight(carrier="DL", flight=7)))

    rows = build_features(days, planned).to_pylist()

    last = {row["carrier"]: row["carrier_yesterday"] for row in rows if row["date"] == DAY}
    first = {row["carrier_yesterday"] for row in rows if row["date"] == DAY - 10 * ONE_DAY}
    assert last == pytest.approx({"B6": 2 * 0.5 / (2 + 30), "DL": -2 * 0.5 / (2 + 30)}, abs=1e-6)
    assert first == {0.0}


def test_a_day_on_which_nothing_flew_is_no_trouble():
    days = [one_day(back, 60, 0) for back in range(10, 0, -1)]
    days[4] = one_day(6, None, None).set_column(
        8, "arr_delay", pa.nulls(days[4].num_rows, pa.int64())
    )

    features = build_features(days, plan_of(one_day(0, None, None)))

    assert of_day(features, DAY - 6 * ONE_DAY)["late"].null_count == 4
    assert all(features[name].null_count == 0 for name in NAMES)
    assert isinstance(features["date"][0].as_py(), datetime.date)
