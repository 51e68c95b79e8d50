"""Tables in and out: Parquet or CSV by suffix, checked against their columns.

What does not fit is a DataError that names the column, the row and the value.
Equal tables give equal bytes: no index, no time of writing, no pandas metadata.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from tac import settings
from tac.errors import ConfigError, DataError, cut
from tac.flights.column_types import check_type, convert, type_of
from tac.flights.formats import refuse_other_formats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tac.flights.schema import Column

Table: TypeAlias = Any  # pyarrow.Table; pyarrow has no types
_Array: TypeAlias = Any

SUFFIXES = (".parquet", ".csv")
_SHOWN_NAMES = 30
_OF_THE_WEB = re.compile(r"(https?://[^?#]*).*", re.IGNORECASE | re.DOTALL)


def suffix_of(address: str) -> str:
    """Return `.parquet` or `.csv`; the query and the fragment of a web address do not count.

    Raises:
        ConfigError: the address ends in neither.
    """
    suffix = PurePosixPath(_OF_THE_WEB.sub(r"\1", address)).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{address}: ends neither in .parquet nor in .csv",
            hint="the suffix says how a table is read",
        )
    return suffix


def read_table(
    name: str,
    data: bytes,
    columns: Sequence[Column],
    *,
    forbidden: Sequence[str] = (),
    most_bytes: int | None = None,
) -> Table:
    """Return the table in `data` with exactly `columns`, in their order; others are left out.

    `name` ends in the suffix, and is what messages call the table. A column in `forbidden` is not
    left out but refused. It may take `most_bytes` of memory, by default what the settings say.

    Raises:
        DataError: it is no such table, or takes more.
    """
    suffix = suffix_of(name)
    refuse_other_formats(name, data, suffix)
    if most_bytes is None:
        most_bytes = settings.current().most_table_bytes

    def choose(names: Sequence[str]) -> list[Column]:
        _refuse_outcomes(name, names, forbidden)
        return _choose(name, names, columns)

    if suffix == ".csv":
        from tac.flights.csv_file import read_csv

        table = read_csv(name, data, choose, most_bytes)
    else:
        from tac.flights.parquet_file import read_parquet

        table = read_parquet(name, data, choose, most_bytes)
    return check_table(name, table, columns)


def read_files(
    addresses: Sequence[str],
    columns: Sequence[Column],
    *,
    forbidden: Sequence[str] = (),
    done: Callable[[str], object] = str,
) -> list[tuple[str, Table]]:
    """Return the table at each address, with the address; `done` is called after each.

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

    present = _choose(name, table.column_names, columns)
    if table.num_rows == 0:
        raise DataError(f"{name}: holds no rows")
    arrays = [_checked(name, table.column(c.name), c) for c in present]
    # In one piece: the bytes of a Parquet file depend on the pieces that its table came in.
    return pa.table(arrays, names=[c.name for c in present]).combine_chunks()


def write_table(file: BinaryIO, suffix: str, table: Table) -> None:
    """Write `table`; equal tables give equal bytes."""
    if suffix == ".csv":
        from tac.flights.csv_file import write_csv

        write_csv(file, table)
        return
    import pyarrow.parquet

    pyarrow.parquet.write_table(table.replace_schema_metadata(None), file, compression="snappy")


def table_of(columns: Iterable[Column], values: dict[str, Any]) -> Table:
    """Build a table of `columns` from one array or list for each name."""
    import pyarrow as pa

    columns = list(columns)
    arrays = [pa.array(values[c.name], type=type_of(c), from_pandas=True) for c in columns]
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


def _refuse_outcomes(name: str, names: Sequence[str], forbidden: Sequence[str]) -> None:
    for column in forbidden:
        if column in names:
            raise DataError(
                f"{name}: has the column {column!r}, an outcome, which is not known beforehand",
                hint="python -m tac.fetch OUT --date DAY --schedule writes one without outcomes",
            )


def _choose(name: str, names: Sequence[str], columns: Sequence[Column]) -> list[Column]:
    """Return which of `columns` a table has; what else it has, and how often, does not matter."""
    for column in columns:
        if names.count(column.name) > 1:
            raise DataError(f"{name}: has two columns named {column.name!r}")
    missing = [column.name for column in columns if column.required and column.name not in names]
    if missing:
        lack = f"column {missing[0]!r}" if len(missing) == 1 else f"columns {', '.join(missing)}"
        has = cut(", ".join(names[:_SHOWN_NAMES])) + (", …" if len(names) > _SHOWN_NAMES else "")
        found = f"its {len(names)} columns are {has}" if names else "it has none at all"
        raise DataError(f"{name}: has no {lack}; {found}")
    return [column for column in columns if column.name in names]


def _checked(name: str, array: _Array, column: Column) -> _Array:
    check_type(name, array.type, column)
    array = convert(name, array, column)
    empty = [] if column.nullable else array.is_null(nan_is_null=True).to_pylist()
    if any(empty):
        raise DataError(
            f"{name}: column {column.name!r} is empty in {sum(empty)} of {len(array)} rows,"
            f" first in row {empty.index(True) + 1}"
        )
    _refuse_out_of_range(name, array, column)
    return array


def _refuse_infinity(name: str, array: _Array, column: Column) -> None:
    import pyarrow.compute as pc

    # Not pc.index, which loads pandas to make a scalar of its value.
    infinite = pc.is_inf(array)
    if pc.any(infinite).as_py():
        row = infinite.to_pylist().index(True)
        raise DataError(
            f"{name}: column {column.name!r} is {array[row].as_py()} in row {row + 1};"
            " it must be a number"
        )


def _refuse_out_of_range(name: str, array: _Array, column: Column) -> None:
    import pyarrow.compute as pc

    if column.kind == "float64":
        _refuse_infinity(name, array, column)
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
