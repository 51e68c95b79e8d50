"""Reading and writing tables: what fits comes back equal, what does not is named."""

import datetime

import pyarrow as pa
import pytest

from tac.errors import ConfigError, DataError
from tac.flights.schema import FLIGHTS, OUTCOMES, SCHEDULE, WEATHER, Column
from tac.flights.table import read_table, suffix_of, table_of, write_table
from tests.support.flights import encode, flight, flights

TWO = flights(flight(), flight(flight=17, dep_time=None, arr_delay=None, tailnum=None))
SMALL = (
    Column("name", "string", nullable=True),
    Column("count", "int64", nullable=True, lowest=0, highest=9),
    Column("share", "float64", nullable=True),
    Column("late", "bool", nullable=True),
    Column("date", "date", nullable=True),
    Column("moment", "timestamp", nullable=True),
)


def replaced(name, values, type_=None) -> pa.Table:
    return TWO.set_column(TWO.column_names.index(name), name, pa.array(values, type_))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_table_comes_back_equal(suffix):
    moment = datetime.datetime(2023, 3, 1, 5, 30, 0, 250, tzinfo=datetime.UTC)
    table = table_of(
        SMALL,
        {
            "name": ["9E", "N1,2", 'say "hi"', None, "007"],
            "count": [1, None, 9, 0, 5],
            "share": [0.1, 1 / 3, 1e-300, None, -0.25],
            "late": [True, False, None, True, False],
            "date": [datetime.date(2023, 3, 1), None] * 2 + [datetime.date(2024, 2, 29)],
            "moment": [moment, None, moment, moment, moment],
        },
    )

    assert read_table(f"x{suffix}", encode(table, suffix), SMALL).equals(table)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_equal_tables_give_equal_bytes(suffix):
    again = TWO.replace_schema_metadata({"made": "at another time"})

    assert encode(TWO, suffix) == encode(again, suffix)


def test_a_source_may_spell_the_types_its_own_way():
    table = replaced("dep_time", [1712.0, float("nan")])
    table = table.set_column(9, "carrier", table["carrier"].cast(pa.large_string()))
    table = table.set_column(10, "flight", table["flight"].cast(pa.int16()))
    table = table.set_column(12, "origin", pa.array(["JFK", "JFK"]).dictionary_encode())
    table = table.append_column("comment", pa.array(["left", "out"]))

    assert read_table("x.parquet", encode(table), FLIGHTS).equals(TWO)


def test_a_csv_may_spell_empty_values_and_timestamps_in_its_own_way():
    text = encode(TWO, ".csv").decode()
    text = text.replace(",1712,", ",1712.0,").replace(",,", ",NA,")
    text = text.replace("17:00:00.000000Z", "17:00:00")

    assert read_table("x.csv", text.encode(), FLIGHTS).equals(TWO)


def test_optional_columns_are_allowed():
    table = TWO.append_column("weather_temp", pa.array([41.5, None]))

    read = read_table("x.parquet", encode(table), (*FLIGHTS, *WEATHER))

    assert read.column_names == [*TWO.column_names, "weather_temp"]


ALL_NAMES = ", ".join(TWO.column_names)
BAD_TABLES = [
    (
        TWO.drop_columns(["dest"]),
        f"x.parquet: has no column 'dest'; its 18 columns are {ALL_NAMES.replace('dest, ', '')}",
    ),
    (
        pa.table({"a": [1]}),
        f"x.parquet: has no columns {ALL_NAMES}; its 1 columns are a",
    ),
    (TWO.slice(0, 0), "x.parquet: holds no rows"),
    (
        replaced("arr_delay", ["3", "soon"]),
        "x.parquet: column 'arr_delay' is 'soon' in row 2 of 2; it must be a whole number",
    ),
    (
        replaced("flight", [502.0, 17.5]),
        "x.parquet: column 'flight' is 17.5 in row 2 of 2; it must be a whole number",
    ),
    (
        replaced("flight", [datetime.date(2023, 3, 1)] * 2),
        "x.parquet: column 'flight' has the type date32[day]; it must be int64",
    ),
    (
        replaced("carrier", [6, 7]),
        "x.parquet: column 'carrier' has the type int64; it must be string",
    ),
    (
        replaced("time_hour", ["2023-03-01 17:00:00", "later"]),
        "x.parquet: column 'time_hour' is 'later' in row 2 of 2; it must be a timestamp",
    ),
    (
        replaced("carrier", ["B6", None]),
        "x.parquet: column 'carrier' is empty in 1 of 2 rows, first in row 2",
    ),
    (
        replaced("month", [3, 13]),
        "x.parquet: column 'month' is 13 in row 2; 1 to 12 is possible",
    ),
    (
        replaced("dep_time", [2460, None]),
        "x.parquet: column 'dep_time' is 2460 in row 1; 0 to 2400 is possible",
    ),
    (
        pa.table([*TWO.columns, TWO["dest"]], names=[*TWO.column_names, "dest"]),
        "x.parquet: has two columns named 'dest'",
    ),
]


@pytest.mark.parametrize(("table", "message"), BAD_TABLES)
def test_what_does_not_fit_is_named(table, message):
    with pytest.raises(DataError) as caught:
        read_table("x.parquet", encode(table), FLIGHTS)

    assert caught.value.message == message


def test_a_number_that_is_none_is_empty():
    with pytest.raises(DataError) as caught:
        read_table("x.csv", b"share\n0.5\nNaN\n", [Column("share", "float64")])

    assert caught.value.message == ("x.csv: column 'share' is empty in 1 of 2 rows, first in row 2")


PARQUET = encode(TWO)
BAD_BYTES = [
    (
        "x.parquet",
        b"\n<!DOCTYPE html><html><body>Sign in</body></html>",
        "x.parquet: is an HTML page, not Parquet: 49 bytes that begin with"
        " '<!DOCTYPE html><html><body>Sign in</body></html>'",
    ),
    (
        "x.csv",
        b"<html>",
        "x.csv: is an HTML page, not CSV: 6 bytes that begin with '<html>'",
    ),
    (
        "x.parquet",
        PARQUET[:-1],
        f"x.parquet: is truncated: {len(PARQUET) - 1} bytes of Parquet without the footer at its"
        " end",
    ),
    (
        "x.parquet",
        b"PAR1",
        "x.parquet: is truncated: 4 bytes of Parquet without the footer at its end",
    ),
    (
        "x.parquet",
        b"year,month",
        "x.parquet: is not Parquet: 10 bytes that begin with b'year,mon', not b'PAR1'",
    ),
    ("x.parquet", b"", "x.parquet: is empty: 0 bytes"),
    ("x.csv", b"", "x.csv: is empty: 0 bytes"),
    (
        "x.parquet",
        PARQUET[:-8] + b"\xff\xff\xff\x7f" + b"PAR1",  # the length of the footer
        "x.parquet: cannot be read as Parquet: its footer of 2147483647 bytes is longer than the"
        f" file, {len(PARQUET)} bytes",
    ),
]


@pytest.mark.parametrize(("name", "data", "message"), BAD_BYTES)
def test_what_is_no_table_is_shown(name, data, message):
    with pytest.raises(DataError) as caught:
        read_table(name, data, FLIGHTS)

    assert caught.value.message == message


def test_a_schedule_with_an_outcome_is_refused():
    with pytest.raises(DataError) as caught:
        read_table("s.parquet", PARQUET, SCHEDULE, forbidden=OUTCOMES)

    assert (caught.value.message, caught.value.hint) == (
        "s.parquet: has the column 'dep_time', an outcome, which is not known beforehand",
        "python -m tac.fetch OUT --date DAY --schedule writes one without outcomes",
    )


@pytest.mark.parametrize(
    ("address", "suffix"),
    [
        ("https://host/day.CSV?signed=yes.parquet", ".csv"),
        ("HTTP://host/day.csv#part.parquet", ".csv"),
        ("https://host/what%3F/day.csv", ".csv"),
        ("what? now/day.parquet", ".parquet"),
        ("what?/day.csv?.parquet", ".parquet"),
        ("a#b/day.parquet", ".parquet"),
        ("s3://bucket/what? now/día #1+2%.csv", ".csv"),
        ("file:///what?/day.csv", ".csv"),
    ],
)
def test_the_suffix_says_how_a_table_is_read(address, suffix):
    assert suffix_of(address) == suffix


def test_another_suffix_is_refused():
    with pytest.raises(ConfigError) as caught:
        suffix_of("day.json")

    assert caught.value.message == "day.json: ends neither in .parquet nor in .csv"


def test_a_written_table_has_no_index_and_no_notes(tmp_path):
    with (tmp_path / "x.parquet").open("wb") as file:
        write_table(file, ".parquet", TWO.replace_schema_metadata({"pandas": "{}"}))

    assert pa.parquet.read_schema(tmp_path / "x.parquet").metadata is None
