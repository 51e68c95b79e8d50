"""Parquet that is larger than it looks: refused by its footer, its pages' headers, or its rows."""

import io
import re
import struct

import pyarrow as pa
import pyarrow.parquet
import pytest

from tac.errors import DataError
from tac.flights.schema import Column
from tac.flights.table import read_table

COLUMNS = [Column("text", "string"), Column("count", "int64")]
MIB = 1 << 20
HINT = "if it is what it must be, set TAC_MOST_TABLE_BYTES (now 1Mi)"


def packed(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pa.parquet.write_table(table, file, **{"compression": "zstd", **options})
    return file.getvalue()


def refused(data: bytes, *, most_bytes: int = MIB, columns: list[Column] = COLUMNS) -> DataError:
    with pytest.raises(DataError) as caught:
        read_table("x.parquet", data, columns, most_bytes=most_bytes)
    return caught.value


def rows(count: int, text: str = "B6") -> pa.Table:
    return pa.table({"text": [text] * count, "count": pa.array([1] * count, pa.int64())})


def test_many_equal_rows_are_refused_by_the_footer():
    data = packed(rows(100_000))
    assert len(data) < 2000

    error = refused(data)

    assert (error.message, error.hint) == (
        "x.parquet: its 100000 rows of 2 columns take 1200000 bytes of memory;"
        " at most 1048576 are taken by one table",
        HINT,
    )


def test_columns_that_are_not_wanted_do_not_count():
    table = rows(100)
    table = table.append_column("note", pa.array(["x" * 100_000 + str(row) for row in range(100)]))

    read = read_table("x.parquet", packed(table), COLUMNS, most_bytes=MIB)

    assert read.equals(rows(100))


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"data_page_version": "2.0"}])
def test_a_page_that_unpacks_to_much_is_refused_by_its_own_header(options):
    data = packed(rows(2, "x" * (2 * MIB)), **options)
    assert len(data) < 2000

    assert refused(data).hint == HINT
    assert refused(data).message.startswith(
        "x.parquet: the pages of its column 'text' take "  # two megabytes, once or twice
    )


def by_a_dictionary(table: pa.Table) -> pa.Table:
    """The same table, whose file says that its texts are to be a dictionary's in memory too."""
    return table.set_column(0, "text", table["text"].dictionary_encode())


@pytest.mark.parametrize(
    ("table", "options"),
    [
        (rows(1000, "x" * 100_000), {}),
        (by_a_dictionary(rows(1000, "x" * 100_000)), {}),
        (
            rows(1000, "x" * 100_000),
            {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}},
        ),
    ],
    ids=["pages", "memory", "prefixes"],
)
def test_a_long_text_that_is_repeated_many_times_is_refused_early(table, options):
    data = packed(table, **options)
    assert len(data) < 20_000

    error = refused(data)

    # Ten of them may be read at once: even if each is the longest, they take no more.
    assert re.fullmatch(
        r"x\.parquet: its first 20 rows take 2000\d\d\d bytes of memory;"
        r" at most 1048576 are taken by one table",
        error.message,
    )
    assert error.hint == HINT


def test_a_table_that_just_fits_is_read():
    table = rows(1000, "x" * 1000)

    assert read_table("x.parquet", packed(table), COLUMNS, most_bytes=1_012_000 + 125).equals(table)


def test_a_footer_that_is_a_bomb_is_not_unpacked():
    names = [f"c{number}" for number in range(1000)]
    data = packed(pa.table({name: [1] for name in names}))
    footer = struct.unpack("<I", data[-8:-4])[0]

    assert refused(data, most_bytes=MIB).message == (
        f"x.parquet: its footer of {footer} bytes may take {footer * 256} bytes of memory;"
        " at most 1048576 are taken by one table"
    )


def test_a_nested_column_of_a_wanted_name_is_refused_by_its_type():
    table = pa.table({"text": [[["a"]]], "count": [1]})

    assert refused(packed(table)).message == (
        "x.parquet: column 'text' has the type list<element: list<element: string>>;"
        " it must be string"
    )


def altered(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([byte]) + data[at + 1 :]


PLAIN = packed(rows(3), compression="none", use_dictionary=False)


def outcome(data: bytes) -> str:
    try:
        read_table("x.parquet", data, COLUMNS)
    except DataError:
        return "refused"
    return "read"


@pytest.mark.parametrize("start", range(4, len(PLAIN) - 8, 32))
def test_no_byte_that_was_tampered_with_is_more_than_bad_data(start):
    # What pyarrow itself shows of some such footers ends the process: std::terminate.
    places = range(start, min(start + 32, len(PLAIN) - 8))

    outcomes = [outcome(altered(PLAIN, at, byte)) for at in places for byte in (0, 0x7F, 0xFF)]

    assert set(outcomes) <= {"read", "refused"}


def test_a_page_whose_header_lies_about_its_size_is_refused():
    data = packed(rows(2, "x" * (2 * MIB)), use_dictionary=False)
    # The first page follows the magic: field 1, its type, is 0; field 2 is its size.
    size = 2 * (6 + 2 * (4 + 2 * MIB))  # two texts with lengths; numbers are written doubled
    assert data[4:7] + data[7:11] == b"\x15\x00\x15" + varint(size)

    lie = data[:7] + varint(2**28 - 2) + data[11:]

    assert refused(lie, most_bytes=16 * MIB).message == (
        "x.parquet: the pages of its column 'text' take 134217727 bytes of memory;"
        " at most 16777216 are taken by one table"
    )
    assert outcome(data) == "read"


def varint(number: int) -> bytes:
    return bytes([number >> shift & 0x7F | (0x80 if shift < 21 else 0) for shift in (0, 7, 14, 21)])
