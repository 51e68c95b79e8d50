"""Templates of addresses, and what a table of flights must be."""

import datetime

import pytest

from tac.errors import ConfigError, DataError
from tac.flights.day import check_day, read_day, refuse_duplicates
from tac.flights.source import address_of
from tests.support.flights import DAY, encode, flight, flights, plan_of

DAY_OF_TEMPLATE = datetime.date(2023, 3, 1)


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("https://host/{date:%Y-%m-%d}.parquet", "https://host/2023-03-01.parquet"),
        ("s3://bucket/{date:%Y/%m/%d}.csv", "s3://bucket/2023/03/01.csv"),
        ("flights/{date}.parquet", "flights/2023-03-01.parquet"),
        ("one-day.csv", "one-day.csv"),
    ],
)
def test_a_template_names_one_address_a_day(template, address):
    assert address_of(template, DAY_OF_TEMPLATE) == address


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{day}.csv", "KeyError 'day'"),
        ("{}.csv", "IndexError Replacement index 0 out of range for positional args tuple"),
        ("{date.csv", "ValueError expected '}' before end of string"),
        ("{date.week}.csv", "AttributeError 'datetime.date' object has no attribute 'week'"),
    ],
)
def test_what_is_no_template_is_refused(template, why):
    with pytest.raises(ConfigError) as caught:
        address_of(template, DAY_OF_TEMPLATE)

    assert (caught.value.message, caught.value.hint) == (
        f"--source {template!r}: cannot be filled in: {why}",
        "write it like --source 's3://bucket/{date}.parquet'",
    )


def test_a_password_with_a_brace_in_it_is_not_quoted():
    with pytest.raises(ConfigError) as caught:
        address_of("https://me:pre{hush}@host/{date}.csv", DAY_OF_TEMPLATE)

    assert caught.value.message == (
        "--source 'https://***@host/{date}.csv': cannot be filled in: KeyError"
    )
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_a_day_is_read_from_files_of_either_kind(tmp_path):
    table = flights(flight(flight=17), flight())
    for suffix in (".csv", ".parquet"):
        (tmp_path / f"2023-03-01{suffix}").write_bytes(encode(table, suffix))

        assert read_day(f"{tmp_path}/{{date}}{suffix}", DAY).equals(table)
        assert read_day(f"file://{tmp_path}/{{date}}{suffix}", DAY).equals(table)
        assert read_day(f"{tmp_path}/{{date}}{suffix}", DAY, schedule=True).equals(plan_of(table))


def test_a_schedule_needs_no_outcome_in_its_source(tmp_path):
    table = plan_of(flights(flight()))
    (tmp_path / "s.csv").write_bytes(encode(table, ".csv"))

    assert read_day(f"{tmp_path}/s.csv", DAY, schedule=True).equals(table)


def test_another_day_is_refused():
    table = flights(
        flight(), flight(datetime.date(2023, 2, 28)), flight(datetime.date(2023, 2, 27))
    )

    with pytest.raises(DataError) as caught:
        check_day("x.csv", table, DAY)

    assert caught.value.message == (
        "x.csv: is not 2023-03-01: 2 of 3 rows are of other days, first 2023-02-28 in row 2"
    )


def test_a_duplicate_flight_is_refused():
    table = flights(flight(), flight(flight=17), flight(tailnum="N1", dest="BUF"))

    with pytest.raises(DataError) as caught:
        check_day("x.csv", table, DAY)

    assert caught.value.message == (
        "x.csv: flight B6 502 from JFK at 1710 is there twice, in rows 1 and 3"
    )


def test_the_same_number_may_leave_again_later():
    refuse_duplicates("x.csv", flights(flight(), flight(sched_dep_time=2010), flight(origin="LGA")))
