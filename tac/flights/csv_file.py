"""A CSV file as a table of text, no larger than it may be; and the other way round.

A field without quotes may be null; a quoted one is text, whatever it looks like: "NA" may be a
carrier. So a table survives the way to CSV and back.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from tac.errors import DataError, cut
from tac.limits import check_table_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tac.flights.parquet_file import Chooser
    from tac.flights.schema import Column

_Table: TypeAlias = Any  # pyarrow.Table; pyarrow has no types

_NO_VALUE = ["", "NA", "NaN", "null"]
_NOTHING = f"^({'|'.join(_NO_VALUE)})$"
_LONGEST_LINE = 1 << 20
_SHOWN_ROW = 60
_ODD_ROW = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)


def read_csv(name: str, data: bytes, choose: Chooser, most_bytes: int) -> _Table:
    """Return the columns that `choose` chooses, as text.

    As text first: then a value that does not fit can be shown with its row.

    Raises:
        DataError: it is no CSV, or takes more memory.
    """
    import pyarrow as pa

    columns = choose(_header(name, data))
    try:
        batches = list(_read_batches(name, data, columns, most_bytes))
    except pa.ArrowException as error:
        raise _translate(name, str(error)) from error
    table = pa.Table.from_batches(batches, pa.schema([(c.name, pa.string()) for c in columns]))
    for at, column in enumerate(columns):
        if column.kind != "string":  # "" in quotes is not a number either
            table = table.set_column(at, column.name, _without_nothing(table.column(at)))
    return table


def write_csv(file: BinaryIO, table: _Table) -> None:
    """Write `table` with every text in quotes, and nothing else."""
    import pyarrow.csv

    pyarrow.csv.write_csv(table, file)


def _header(name: str, data: bytes) -> list[str]:
    text = data[:_LONGEST_LINE].decode("utf-8-sig", "replace")
    try:
        rows = csv.reader(io.StringIO(text, newline=""))
        return next((row for row in rows if row), [])
    except csv.Error as error:
        raise _endless_line(name) from error


def _translate(name: str, said: str) -> DataError:
    if "straddling object" in said:
        return _endless_line(name)
    if "Empty CSV file" in said:
        return DataError(f"{name}: holds no rows")
    if (row := _ODD_ROW.search(said)) is None:
        return DataError(f"{name}: cannot be read as CSV: {cut(said)}")
    number, expected, found, text = row.groups()
    shown = "it is not UTF-8" if "\ufffd" in text else repr(text[:_SHOWN_ROW])
    return DataError(
        f"{name}: cannot be read as CSV: row {number} has {found} fields, and the header"
        f" {expected}: {shown}"
    )


def _endless_line(name: str) -> DataError:
    return DataError(
        f"{name}: cannot be read as CSV: a line is longer than {_LONGEST_LINE} bytes, or a quote"
        " is not closed"
    )


def _read_batches(
    name: str, data: bytes, columns: Sequence[Column], most_bytes: int
) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.csv

    names = [column.name for column in columns]
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=names,
        null_values=_NO_VALUE,
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    read = pyarrow.csv.ReadOptions(use_threads=False, block_size=_LONGEST_LINE)
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    size = rows = 0
    with pyarrow.csv.open_csv(
        io.BytesIO(data), convert_options=convert, read_options=read, parse_options=parse
    ) as reader:
        for batch in reader:
            size += batch.nbytes
            rows += batch.num_rows
            check_table_bytes(name, f"its first {rows} rows take", size, most_bytes)
            yield batch


def _without_nothing(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    # A pattern and an array of nulls: pyarrow loads pandas to make a scalar or an array of a value.
    nothing = pc.match_substring_regex(array, _NOTHING)
    return pc.if_else(nothing, pa.nulls(len(array), array.type), array)
