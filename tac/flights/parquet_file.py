"""A Parquet file as a table, no larger than it may be.

Parquet compresses well: a megabyte may hold a billion equal rows, and a footer may describe its
pages wrongly. So before anything is decompressed the footer is checked, then the headers of the
pages, of the wanted columns alone; and while they are read their bytes are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tac.errors import DataError, cut
from tac.flights.column_types import check_type, decode
from tac.flights.formats import PARQUET
from tac.flights.parquet_layout import SMALLEST, footer_bytes, measure_pages, read_row_groups
from tac.flights.thrift import Broken
from tac.limits import check_table_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tac.flights.schema import Column

    Chooser: TypeAlias = Callable[[Sequence[str]], list[Column]]
    """Chooses the columns to read out of all names of a file, or raises DataError."""

_Table: TypeAlias = Any  # pyarrow.Table; pyarrow has no types
_File: TypeAlias = Any  # pyarrow.parquet.ParquetFile

_FOOTER_GROWS = 256
"""The bytes of memory that a byte of a footer may become: three bytes are a struct of 800."""

_MOST_ROWS_AT_ONCE = 65_536
_POINTER_BITS = 32  # where a text begins


def read_parquet(name: str, data: bytes, choose: Chooser, most_bytes: int) -> _Table:
    """Return the columns that `choose` chooses.

    Raises:
        DataError: it is no whole Parquet, a column has another type, or it takes more memory.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        _check_footer(name, data, most_bytes)
        # One thread: a step shares its machine with others, and a day is small.
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(data), pre_buffer=False)
        schema = file.schema_arrow
        columns = choose(schema.names)
        for column in columns:
            check_type(name, schema.field(column.name).type, column)
        names = [column.name for column in columns]
        rows = _check_pages(name, data, file, names, most_bytes)
        batches = list(_read_batches(name, file, names, rows, most_bytes))
    except Broken as error:
        raise DataError(f"{name}: cannot be read as Parquet: {error}") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: cannot be read as Parquet: {cut(str(error))}") from error
    if not batches:
        return pa.table({each: pa.nulls(0, schema.field(each).type) for each in names})
    return pa.Table.from_batches(batches)


def _check_footer(name: str, data: bytes, most_bytes: int) -> None:
    if len(data) < SMALLEST or not data.endswith(PARQUET):
        raise DataError(
            f"{name}: is truncated: {len(data)} bytes of Parquet without the footer at its end",
            hint="fetch it again; an upload or download was cut off",
        )
    footer = footer_bytes(data)
    what = f"its footer of {footer} bytes may take"
    check_table_bytes(name, what, footer * _FOOTER_GROWS, most_bytes)


def _check_pages(name: str, data: bytes, file: _File, names: Sequence[str], most_bytes: int) -> int:
    """Return how many rows may be read at once, whatever the pages hold."""
    schema, leaves = file.schema_arrow, file.schema
    groups = read_row_groups(data)
    rows = sum(group.rows for group in groups)
    bits = sum(_bits(schema.field(each).type) for each in names)
    what = f"its {rows} rows of {len(names)} columns take"
    check_table_bytes(name, what, rows * bits // 8, most_bytes)
    places = {leaves.column(at).path: at for at in range(len(leaves))}
    longest_row = seen = 0
    for each in names:
        unpacked = longest = 0
        for group in groups:
            pages = measure_pages(data, group.chunk(places[each]), seen)
            seen += pages.count
            unpacked += pages.unpacked_bytes
            longest = max(longest, pages.longest_value)
            what = f"the pages of its column {each!r} take"
            check_table_bytes(name, what, unpacked, most_bytes)
        longest_row += longest
    return min(max(1, most_bytes // max(1, longest_row)), _MOST_ROWS_AT_ONCE)


def _bits(found: Any) -> int:
    """Return what a value takes at least."""
    try:
        return int(found.bit_width)
    except ValueError:  # it has no width of its own
        return _POINTER_BITS


def _read_batches(
    name: str, file: _File, names: Sequence[str], at_once: int, most_bytes: int
) -> Iterator[Any]:
    import pyarrow as pa

    size = rows = 0
    for batch in file.iter_batches(batch_size=at_once, columns=list(names), use_threads=False):
        written_out = [decode(array) for array in batch.columns]
        size += sum(array.nbytes for array in written_out)
        rows += batch.num_rows
        check_table_bytes(name, f"its first {rows} rows take", size, most_bytes)
        yield pa.RecordBatch.from_arrays(written_out, batch.schema.names)
