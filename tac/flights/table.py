"""Tables in and out: Parquet or CSV by suffix, checked against their columns.

What does not fit is a DataError that names the column, the row and the value.
Equal tables give equal bytes: no index, no time of writing, no pandas metadata.
"""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from tac.errors import ConfigError, DataError, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tac.flights.schema import Column

Table: TypeAlias = Any  # pyarrow.Table; pyarrow has no types
_Array: TypeAlias = Any

SUFFIXES = (".parquet", ".csv")
_MAGIC = b"PAR1"  # first and last four bytes, https://parquet.apache.org/docs/file-format/
_SMALLEST_PARQUET = 12  # the magic twice, and the length of the footer
_NULLS = ["", "NA", "NaN", "null"]
_LOOKS_LIKE_HTML = (b"<!doctype html", b"<html")
_SHOWN_NAMES = 30
_SHOWN_VALUE = 40
_NAMES = {
    "int64": "a whole number",
    "float64": "a number",
    "string": "text",
    "bool": "true or false",
    "date": "a date",
    "timestamp": "a moment",
}


def suffix_of(address: str) -> str:
    """Return `.parquet` or `.csv`, whatever follows a question mark.

    Raises:
        ConfigError: the address ends in neither.
    """
    suffix = PurePosixPath(address.partition("?")[0]).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{address}: ends neither in .parquet nor in .csv",
            hint="the suffix says how a table is read",
        )
    return suffix


def read_table(
    name: str, data: bytes, columns: Sequence[Column], *, forbidden: Sequence[str] = ()
) -> Table:
    """Return the table in `data` with exactly `columns`, in their order; others are left out.

    `name` ends in the suffix, and is what messages call the table. A column in `forbidden` is not
    left out but refused.

    Raises:
        DataError: it is no such table.
    """
    suffix = suffix_of(name)
    _refuse_html(name, data, suffix)
    table = _read_parquet(name, data) if suffix == ".parquet" else _read_csv(name, data, columns)
    for column in forbidden:
        if column in table.column_names:
            raise DataError(
                f"{name}: has the column {column!r}, an outcome, which nobody knows beforehand",
                hint="python -m tac.fetch OUT --date DAY --schedule writes one without outcomes",
            )
    return check_table(name, table, columns)


def read_files(
    addresses: Sequence[str],
    columns: Sequence[Column],
    *,
    forbidden: Sequence[str] = (),
    done: Callable[[str], object] = str,
) -> list[tuple[str, Table]]:
    """Return the table at each address, with the address; `done` hears of each that is read.

    Raises:
        ConfigError: one address is given twice.
        DataError: one is no such table.
        InputMissing, AccessDenied, StorageUnavailable: as the store says.
    """
    from tac.step import read_bytes

    if twice := sorted({address for address in addresses if addresses.count(address) > 1}):
        raise ConfigError(f"{twice[0]}: is given {addresses.count(twice[0])} times as an input")
    tables = []
    for address in addresses:
        suffix_of(address)
        table = read_table(address, read_bytes(address), columns, forbidden=forbidden)
        tables.append((address, table))
        done(address)
    return tables


def check_table(name: str, table: Table, columns: Sequence[Column]) -> Table:
    """Return `table` with exactly `columns`, each of its type and within its range.

    Raises:
        DataError: something does not fit.
    """
    import pyarrow as pa

    present = [c for c in columns if c.required or c.name in table.column_names]
    _refuse_missing(name, table, present)
    if table.num_rows == 0:
        raise DataError(f"{name}: holds no rows")
    arrays = [_checked(name, table.column(c.name), c) for c in present]
    return pa.table(arrays, names=[c.name for c in present])


def write_table(file: BinaryIO, suffix: str, table: Table) -> None:
    """Write `table`; equal tables give equal bytes."""
    if suffix == ".csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(table, file)
        return
    import pyarrow.parquet

    pyarrow.parquet.write_table(table.replace_schema_metadata(None), file, compression="snappy")


def table_of(columns: Iterable[Column], values: dict[str, Any]) -> Table:
    """Build a table of `columns` from one array or list for each name."""
    import pyarrow as pa

    columns = list(columns)
    arrays = [pa.array(values[c.name], type=_type(c), from_pandas=True) for c in columns]
    return pa.table(arrays, names=[c.name for c in columns])


def first_duplicate(table: Table, names: Sequence[str]) -> tuple[int, int] | None:
    """Return the first two rows, counted from 1, that agree in all of `names`."""
    seen: dict[tuple[Any, ...], int] = {}
    rows = zip(*(table.column(name).to_pylist() for name in names), strict=True)
    for row, values in enumerate(rows, start=1):
        first = seen.setdefault(values, row)
        if first != row:
            return first, row
    return None


def _type(column: Column) -> Any:
    import pyarrow as pa

    return {
        "int64": pa.int64(),
        "float64": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }[column.kind]


def _refuse_html(name: str, data: bytes, suffix: str) -> None:
    head = data[:200].lstrip()
    if head.lower().startswith(_LOOKS_LIKE_HTML):
        kind = "Parquet" if suffix == ".parquet" else "CSV"
        raise DataError(
            f"{name}: is an HTML page, not {kind}: {len(data)} bytes that begin with"
            f" {cut(head.decode('utf-8', 'replace'), 60)!r}",
            hint="it is a login or error page; open the address in a browser",
        )


def _read_parquet(name: str, data: bytes) -> Table:
    import pyarrow as pa
    import pyarrow.parquet

    if not data.startswith(_MAGIC):
        raise DataError(
            f"{name}: is not Parquet: {len(data)} bytes that begin with {data[:8]!r},"
            f" not {_MAGIC!r}"
        )
    if len(data) < _SMALLEST_PARQUET or not data.endswith(_MAGIC):
        raise DataError(
            f"{name}: is truncated: {len(data)} bytes of Parquet without the footer at its end",
            hint="fetch it again; an upload or download was cut off",
        )
    try:
        # One thread: a step shares its machine with others, and a day is small.
        return pyarrow.parquet.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name}: cannot be read as Parquet: {cut(str(error))}") from error


def _read_csv(name: str, data: bytes, columns: Sequence[Column]) -> Table:
    import pyarrow as pa
    import pyarrow.csv

    # As text first: then a value that does not fit can be shown with its row.
    convert = pyarrow.csv.ConvertOptions(
        column_types={column.name: pa.string() for column in columns},
        null_values=_NULLS,
        strings_can_be_null=True,
    )
    read = pyarrow.csv.ReadOptions(use_threads=False)
    try:
        return pyarrow.csv.read_csv(io.BytesIO(data), convert_options=convert, read_options=read)
    except pa.ArrowException as error:
        raise DataError(f"{name}: cannot be read as CSV: {cut(str(error))}") from error


def _refuse_missing(name: str, table: Table, columns: Sequence[Column]) -> None:
    names = table.column_names
    if twice := sorted({found for found in names if names.count(found) > 1}):
        raise DataError(f"{name}: has two columns named {twice[0]!r}")
    missing = [column.name for column in columns if column.name not in names]
    if missing:
        lack = f"column {missing[0]!r}" if len(missing) == 1 else f"columns {', '.join(missing)}"
        has = cut(", ".join(names[:_SHOWN_NAMES])) + (", …" if len(names) > _SHOWN_NAMES else "")
        raise DataError(f"{name}: has no {lack}; its {len(names)} columns are {has}")


def _checked(name: str, array: _Array, column: Column) -> _Array:
    array = _cast(name, array, column)
    empty = [] if column.nullable else array.is_null(nan_is_null=True).to_pylist()
    if any(empty):
        raise DataError(
            f"{name}: column {column.name!r} is empty in {sum(empty)} of {len(array)} rows,"
            f" first in row {empty.index(True) + 1}"
        )
    _refuse_out_of_range(name, array, column)
    return array


def _refuse_out_of_range(name: str, array: _Array, column: Column) -> None:
    import pyarrow.compute as pc

    if column.lowest is None or column.highest is None:
        return
    ends = pc.min_max(array).as_py()
    if (
        ends["min"] is not None
        and not column.lowest <= ends["min"] <= ends["max"] <= column.highest
    ):
        outside = [
            value is not None and not column.lowest <= value <= column.highest
            for value in array.to_pylist()
        ]
        row = outside.index(True)
        raise DataError(
            f"{name}: column {column.name!r} is {array[row].as_py()} in row {row + 1};"
            f" {column.lowest} to {column.highest} is possible"
        )


def _cast(name: str, array: _Array, column: Column) -> _Array:
    import pyarrow as pa

    wanted = _type(column)
    if array.type == wanted:
        return array
    try:
        return _convert(array, column, wanted)
    except pa.ArrowException as error:
        raise _misfit(name, array, column) from error


def _convert(array: _Array, column: Column, wanted: Any) -> _Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    from_text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    is_number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if pa.types.is_null(array.type):
        return array.cast(wanted)
    if column.kind == "string" and not (from_text or pa.types.is_dictionary(array.type)):
        raise pa.ArrowInvalid(f"{array.type} is not text")
    if column.kind in {"int64", "float64"} and not (from_text or is_number):
        raise pa.ArrowInvalid(f"{array.type} is not a number")
    if column.kind == "int64" and pa.types.is_floating(array.type):
        # A library without empty integers writes NaN, and 5.0 for 5.
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if column.kind == "int64" and from_text:
        return _whole(array, wanted)
    if column.kind == "timestamp" and from_text:
        return _moments(array, wanted)
    return array.cast(wanted)


def _whole(array: _Array, wanted: Any) -> _Array:
    import pyarrow as pa

    try:
        return array.cast(wanted)
    except pa.ArrowInvalid:
        return array.cast(pa.float64()).cast(
            wanted
        )  # "5.0", as a table with empty numbers writes 5


def _moments(array: _Array, wanted: Any) -> _Array:
    import pyarrow as pa

    try:
        return array.cast(wanted)
    except pa.ArrowInvalid:  # without a zone
        return array.cast(pa.timestamp("us")).cast(wanted)


def _misfit(name: str, array: _Array, column: Column) -> DataError:
    """Say what does not fit: the first value when single values do not, else the type."""
    import pyarrow as pa

    wanted = _type(column)
    for row, value in enumerate(array, start=1):
        try:
            _convert(pa.chunked_array([pa.array([value.as_py()], array.type)]), column, wanted)
        except pa.ArrowException:
            if pa.types.is_string(array.type) or pa.types.is_floating(array.type):
                shown = cut(repr(value.as_py()), _SHOWN_VALUE)
                return DataError(
                    f"{name}: column {column.name!r} is {shown} in row {row} of {len(array)};"
                    f" it must be {_NAMES[column.kind]}"
                )
            break
    return DataError(
        f"{name}: column {column.name!r} has the type {array.type}; it must be {wanted}"
    )
