"""What a column may be in a file: each kind of type, whether it is taken, and what it becomes."""

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from tac.errors import DataError
from tac.flights.schema import Column
from tac.flights.table import check_table, read_table
from tests.support.flights import encode

UTC_NOON = datetime.datetime(2023, 3, 1, 12, tzinfo=datetime.UTC)
NOON = UTC_NOON.replace(tzinfo=None)
MIDNIGHT = NOON.replace(hour=0)
MILLISECONDS = 1_677_672_000_000

DATE = datetime.date(2023, 3, 1)
TAKEN = [
    ("int64", pa.array([5, None], pa.int8()), [5, None]),
    ("int64", pa.array([5, None], pa.uint64()), [5, None]),
    ("int64", pa.array([5.0, float("nan")], pa.float32()), [5, None]),
    ("int64", pa.array([Decimal(5), None], pa.decimal128(38, 0)), [5, None]),
    ("int64", pa.array([Decimal("5.00"), None], pa.decimal256(40, 2)), [5, None]),
    ("int64", pa.array(["5", "-5", "5.0", "5e0"]), [5, -5, 5, 5]),
    ("int64", pa.array([5, 5, None]).dictionary_encode(), [5, 5, None]),
    ("float64", pa.array([5, None], pa.int16()), [5.0, None]),
    ("float64", pa.array([Decimal("0.5")], pa.decimal128(5, 1)), [0.5]),
    ("float64", pa.array(["0.5", "-1e-3", "7"]), [0.5, -0.001, 7.0]),
    ("string", pa.array(["B6"], pa.large_string()), ["B6"]),
    ("string", pa.array(["B6"], pa.string_view()), ["B6"]),
    ("string", pa.array(["B6", "B6", None]).dictionary_encode(), ["B6", "B6", None]),
    ("string", pa.nulls(1), [None]),
    ("bool", pa.array([True, None]), [True, None]),
    ("bool", pa.array(["true", "False", "1", "0", None]), [True, False, True, False, None]),
    ("bool", pa.array(["TRUE"]).dictionary_encode(), [True]),
    ("date", pa.array([DATE], pa.date64()), [DATE]),
    ("date", pa.array(["2023-03-01"], pa.large_string()), [DATE]),
    ("date", pa.array([MIDNIGHT, None], pa.timestamp("ns")), [DATE, None]),
    (
        "date",
        pa.array([MIDNIGHT + datetime.timedelta(hours=5)], pa.timestamp("s", "America/New_York")),
        [DATE],
    ),
    ("timestamp", pa.array([NOON], pa.timestamp("s")), [UTC_NOON]),
    ("timestamp", pa.array([UTC_NOON], pa.timestamp("ms", "America/New_York")), [UTC_NOON]),
    ("timestamp", pa.array(["2023-03-01 12:00:00"]), [UTC_NOON]),
    ("timestamp", pa.array(["2023-03-01T13:00:00+01:00"], pa.string_view()), [UTC_NOON]),
    ("timestamp", pa.array(["2023-03-01"]), [MIDNIGHT.replace(tzinfo=datetime.UTC)]),
]


@pytest.mark.parametrize(("kind", "array", "values"), TAKEN)
def test_what_keeps_its_value_is_taken(kind, array, values):
    columns = [Column("c", kind, nullable=True)]

    read = read_table("x.parquet", encode(pa.table({"c": array})), columns)

    assert read["c"].to_pylist() == values
    assert check_table("x", pa.table({"c": array}), columns).equals(read)


ARROW = {"bool": "bool", "date": "date32[day]", "timestamp": "timestamp[us, tz=UTC]"}
NUMBERS = [
    pa.array([MILLISECONDS]),
    pa.array([1], pa.uint8()),
    pa.array([2.0]),
    pa.array([0.5], pa.float32()),
    pa.array([Decimal(1)], pa.decimal128(38, 0)),
    pa.array([1, 1]).dictionary_encode(),
]
OTHERS = [
    *((kind, numbers, ARROW[kind]) for kind in ARROW for numbers in NUMBERS),
    ("timestamp", pa.array([DATE]), ARROW["timestamp"]),
    ("timestamp", pa.array([datetime.time(12)]), ARROW["timestamp"]),
    ("timestamp", pa.array([datetime.timedelta(1)]), ARROW["timestamp"]),
    ("timestamp", pa.array([True]), ARROW["timestamp"]),
    ("bool", pa.array([DATE]), "bool"),
    ("date", pa.array([True]), ARROW["date"]),
    ("int64", pa.array([True]), "int64"),
    ("int64", pa.array([DATE]), "int64"),
    ("int64", pa.array([NOON]), "int64"),
    ("int64", pa.array([datetime.timedelta(1)]), "int64"),
    ("float64", pa.array([True]), "double"),
    ("float64", pa.array([NOON]), "double"),
    ("string", pa.array([7]), "string"),
    ("string", pa.array([7, 7]).dictionary_encode(), "string"),
    ("string", pa.array([True]), "string"),
    ("string", pa.array([b"B6"]), "string"),
    ("string", pa.array([["B6"]]), "string"),
    ("string", pa.array([{"code": "B6"}]), "string"),
]


@pytest.mark.parametrize(("kind", "array", "wanted"), OTHERS)
def test_a_column_of_another_kind_is_refused_with_its_type(kind, array, wanted):
    table = pa.table({"c": array})
    data = encode(table)
    found = pa.parquet.read_schema(pa.BufferReader(data)).field("c").type

    with pytest.raises(DataError) as caught:
        read_table("x.parquet", data, [Column("c", kind, nullable=True)])

    assert caught.value.message == (
        f"x.parquet: column 'c' has the type {found}; it must be {wanted}"
    )
    with pytest.raises(DataError, match=r"^x: column 'c' has the type .+; it must be "):
        check_table("x", table, [Column("c", kind, nullable=True)])


MISFITS = [
    ("int64", pa.array([5.0, 5.5]), "5.5 in row 2 of 2; it must be a whole number"),
    ("int64", pa.array([1e300]), "1e+300 in row 1 of 1; it must be a whole number"),
    ("int64", pa.array(["5", "5.5"]), "'5.5' in row 2 of 2; it must be a whole number"),
    ("int64", pa.array(["0x10"]), "'0x10' in row 1 of 1; it must be a whole number"),
    ("int64", pa.array(["5", "", "x"]), "'' in row 2 of 3; it must be a whole number"),
    (
        "int64",
        pa.array([2**63], pa.uint64()),
        "9223372036854775808 in row 1 of 1; it must be a whole number",
    ),
    (
        "int64",
        pa.array([Decimal("5.5")], pa.decimal128(38, 1)),
        "5.5 in row 1 of 1; it must be a whole number",
    ),
    ("float64", pa.array(["0.5", "inf"]), "'inf' in row 2 of 2; it must be a number"),
    ("float64", pa.array([0.5, float("-inf")]), "-inf in row 2; it must be a number"),
    ("bool", pa.array(["1", "2"]), "'2' in row 2 of 2; it must be true or false"),
    ("bool", pa.array(["0.5"]), "'0.5' in row 1 of 1; it must be true or false"),
    ("bool", pa.array(["yes"]), "'yes' in row 1 of 1; it must be true or false"),
    ("date", pa.array(["19417"]), "'19417' in row 1 of 1; it must be a date"),
    ("date", pa.array(["20230301"]), "'20230301' in row 1 of 1; it must be a date"),
    (
        "date",
        pa.array([MIDNIGHT, NOON]),
        "2023-03-01 12:00:00 in row 2 of 2; it must be a date",
    ),
    (
        "timestamp",
        pa.array([str(MILLISECONDS)]),
        f"'{MILLISECONDS}' in row 1 of 1; it must be a timestamp",
    ),
    ("timestamp", pa.array(["16776"]), "'16776' in row 1 of 1; it must be a timestamp"),
    (
        "timestamp",
        pa.array(["2023-03-01 12:00:00", "2023-03-01 12:00:00Z"]),
        "'2023-03-01 12:00:00Z' in row 2 of 2; it must be a timestamp",
    ),
    (
        "timestamp",
        pa.array(["\x1b]0;owned\x07" + "x" * 1000]),
        "'\\x1b]0;owned\\x07xxxxxxxxxxxxxxxxxxxxxx… in row 1 of 1; it must be a timestamp",
    ),
]


@pytest.mark.parametrize(("kind", "array", "message"), MISFITS)
def test_the_first_value_that_does_not_fit_is_shown(kind, array, message):
    with pytest.raises(DataError) as caught:
        check_table("x", pa.table({"c": array}), [Column("c", kind, nullable=True)])

    assert caught.value.message == f"x: column 'c' is {message}"


def test_a_timestamp_that_cannot_be_shown_is_named_by_its_type():
    array = pa.array([2**62], pa.timestamp("s"))

    with pytest.raises(DataError) as caught:
        check_table("x", pa.table({"c": array}), [Column("c", "timestamp")])

    assert caught.value.message == (
        "x: column 'c' has the type timestamp[s]; it must be timestamp[us, tz=UTC]"
    )


def test_the_first_of_many_misfits_is_found():
    values = ["1"] * 70_000
    values[65_537] = values[69_000] = "x"

    with pytest.raises(DataError) as caught:
        check_table("x", pa.table({"c": values}), [Column("c", "int64")])

    assert caught.value.message == (
        "x: column 'c' is 'x' in row 65538 of 70000; it must be a whole number"
    )
