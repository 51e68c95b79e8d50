"""CSV: a table comes back from its own, and what others write is read as they mean it."""

import pyarrow as pa
import pytest

from tac.errors import DataError
from tac.flights.schema import FLIGHTS, KEYS, Column
from tac.flights.table import read_table
from tests.support.flights import encode, flight, flights

TEXT = [Column("text", "string", nullable=True), Column("count", "int64", nullable=True)]
LOOK_ALIKES = [
    *("", "NA", "NaN", "nan", "null", "NULL", "None", "\\N", "#N/A"),
    *("0", "1", "-1", "007", "1.50", "1e5", "0x10", "inf"),
    *("true", "FALSE", "t", "2023-03-01", "2023-03-01 12:00:00", "17:00"),
    *(",", '"', '""', "a,b", 'say "hi"', "'", ";", "\t", " B6 ", "a\nb", "a\r\nb", "\r", "#"),
    *("Zürich", "東京", "\u202e", "\ufeff", "\x1b[31m"),
]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_every_text_comes_back_as_the_text_that_it_is(suffix):
    table = pa.table({"text": [*LOOK_ALIKES, None], "count": [None, *range(len(LOOK_ALIKES))]})

    assert read_table(f"x{suffix}", encode(table, suffix), TEXT).equals(table)


@pytest.mark.parametrize("name", [c.name for c in (*FLIGHTS, *KEYS) if c.kind == "string"])
def test_every_column_of_texts_keeps_them(name):
    columns = FLIGHTS
    table = flights(*(flight(**{name: text}) for text in LOOK_ALIKES))

    assert read_table("x.csv", encode(table, ".csv"), columns).equals(table)


def test_only_a_field_without_quotes_is_null():
    text = b'text,count\nNA,1\nNaN,2\nnull,3\n,4\n"NA",5\n"NaN",6\n"null",7\n"",8\n'

    read = read_table("x.csv", text, TEXT)

    assert read["text"].to_pylist() == [None, None, None, None, "NA", "NaN", "null", ""]


def test_a_number_in_quotes_is_a_number_and_nothing_in_quotes_is_none():
    text = b'"text","count"\n"a","1"\n"b",""\n"c","NA"\n"d",NA\n'

    assert read_table("x.csv", text, TEXT)["count"].to_pylist() == [1, None, None, None]


@pytest.mark.parametrize(
    "text",
    [
        b"text,count,,\na,1,,\nb,2,,\n",
        b"note,text,note,count,note\n1,a,2,1,3\nx,b,y,2,z\n",
        b"\xef\xbb\xbftext,count\r\na,1\r\nb,2\r\n",
        b"\n\ncount,text\n1,a\n\n2,b",
        b'count,"no\nte",text\n1,"x\ny",a\n2,z,b\n',
        b"when,text,count\n2023-03-01,a,1\n" + b"no date at all,b,2\n",
    ],
)
def test_what_else_a_file_holds_does_not_matter(text):
    read = read_table("x.csv", text, TEXT)

    assert read.to_pydict() == {"text": ["a", "b"], "count": [1, 2]}


def test_a_duplicate_unused_column_does_not_matter_in_parquet_either():
    table = pa.table([["a"], ["x"], [1], ["y"]], names=["text", "note", "count", "note"])

    assert read_table("x.parquet", encode(table), TEXT).to_pydict() == {"text": ["a"], "count": [1]}


BAD = [
    (b"text,count,text\na,1,b\n", "has two columns named 'text'"),
    (b"text,count", "holds no rows"),
    (b"text,count\n", "holds no rows"),
    (b"\n\n", "has no columns text, count; it has none at all"),
    (
        b"text,count\na,1\nb,2,\x1b]0;owned\x07\n",
        "cannot be read as CSV: row 3 has 3 fields, and the header 2: 'b,2,\\x1b]0;owned\\x07'",
    ),
    (
        b"text,count\na,1\nb,2,\xe4\xff\x00\x1f\n",
        "cannot be read as CSV: row 3 has 3 fields, and the header 2: it is not UTF-8",
    ),
    (b"text,count\na\n", "cannot be read as CSV: row 2 has 1 fields, and the header 2: 'a'"),
    (
        b"text,count\n\xe4,1\n",
        "cannot be read as CSV: In CSV column #0: Row #2: CSV conversion error to string: invalid"
        " UTF8 data",
    ),
    (
        b"text,count\n" + b"x" * (2 << 20) + b",1\n",
        "cannot be read as CSV: a line is longer than 1048576 bytes, or a quote is not closed",
    ),
    (
        b"x" * (2 << 20),
        "cannot be read as CSV: a line is longer than 1048576 bytes, or a quote is not closed",
    ),
    (
        b'text,count\n"a,1\n' + b"b,2\n" * (1 << 19),
        "cannot be read as CSV: a line is longer than 1048576 bytes, or a quote is not closed",
    ),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_what_is_no_csv_is_named_and_shows_no_control_characters(data, message):
    with pytest.raises(DataError) as caught:
        read_table("x.csv", data, TEXT)

    assert caught.value.message == f"x.csv: {message}"


def test_a_csv_of_a_million_columns_is_refused_by_its_names():
    names = ",".join(f"c{number}" for number in range(100_000))

    with pytest.raises(DataError) as caught:
        read_table("x.csv", f"{names}\n".encode(), TEXT)

    shown = ", ".join(f"c{number}" for number in range(30))
    assert caught.value.message == (
        f"x.csv: has no columns text, count; its 100000 columns are {shown}, …"
    )


def test_rows_are_counted_while_they_are_read():
    data = b"text,count\n" + b"a,1\n" * 500_000  # two blocks

    with pytest.raises(DataError) as caught:
        read_table("x.csv", data, TEXT, most_bytes=1 << 20)

    assert caught.value.hint == "if it is what it must be, set TAC_MOST_TABLE_BYTES (now 1Mi)"
    assert caught.match(
        r"^x\.csv: its first \d+ rows take \d+ bytes of memory;"
        r" at most 1048576 are taken by one table\n"
    )
