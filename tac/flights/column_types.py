"""Which types a column may have in a file, and how each becomes the one that tac works with.

A column of a Parquet file has a type, which must be of the right kind: a number is not a timestamp
(of which unit, since when?), a date or a boolean. A CSV has no types, so its text is parsed.
Only conversions that keep the value are made: 5.0 is 5, and 5.5 is not a whole number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tac.errors import DataError, cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from tac.flights.schema import Column

_Array: TypeAlias = Any  # pyarrow.ChunkedArray; pyarrow has no types
_Type: TypeAlias = Any  # pyarrow.DataType

_SHOWN_VALUE = 40
_NAMES = {
    "int64": "a whole number",
    "float64": "a number",
    "string": "text",
    "bool": "true or false",
    "date": "a date",
    "timestamp": "a timestamp",
}
_DECIMAL_NUMBER = r"^[+-]?[0-9.]+([eE][+-]?[0-9]+)?$"


def type_of(column: Column) -> _Type:
    """Return the type that tac works with."""
    import pyarrow as pa

    return {
        "int64": pa.int64(),
        "float64": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }[column.kind]


def check_type(name: str, found: _Type, column: Column) -> None:
    """Refuse a column by its type in a file, before anything of it is read.

    Raises:
        DataError: a column of this type holds something else.
    """
    if not _fits(_decoded(found), column.kind):
        raise _other_type(name, found, column)


def convert(name: str, array: _Array, column: Column) -> _Array:
    """Return `array`, whose type was checked, in the type that tac works with.

    Raises:
        DataError: a value does not fit; the message shows the first one.
    """
    import pyarrow as pa

    if array.type == type_of(column):
        return array
    try:
        return _converted(array, column)
    except pa.ArrowException as error:
        raise _misfit(name, array, column) from error


def decode(array: _Array) -> _Array:
    """Return an array with each value written out, if it is a dictionary's."""
    return array.cast(_decoded(array.type))


def _decoded(found: _Type) -> _Type:
    import pyarrow as pa

    return found.value_type if pa.types.is_dictionary(found) else found


def _fits(found: _Type, kind: str) -> bool:
    import pyarrow as pa

    is_ = pa.types
    if is_.is_null(found) or _is_text(found):
        return True
    accepted: dict[str, tuple[Callable[[_Type], bool], ...]] = {
        "int64": (is_.is_integer, is_.is_floating, is_.is_decimal),
        "float64": (is_.is_integer, is_.is_floating, is_.is_decimal),
        "string": (),
        "bool": (is_.is_boolean,),
        "date": (is_.is_date, is_.is_timestamp),
        "timestamp": (is_.is_timestamp,),
    }
    return any(fits(found) for fits in accepted[kind])


def _is_text(found: _Type) -> bool:
    import pyarrow as pa

    is_ = pa.types
    return bool(is_.is_string(found) or is_.is_large_string(found) or is_.is_string_view(found))


def _converted(array: _Array, column: Column) -> _Array:
    import pyarrow as pa

    array = decode(array)
    wanted = type_of(column)
    if _is_text(array.type):
        # The other two kinds of text cannot be cast to everything.
        text = array.cast(pa.string())
        return {"int64": _whole, "float64": _number, "timestamp": _timestamps}.get(
            column.kind, _as_it_is
        )(text, wanted)
    if column.kind == "int64" and pa.types.is_floating(array.type):
        return _without_nan(array).cast(wanted)
    if column.kind == "date" and pa.types.is_timestamp(array.type):
        return _midnights(array, wanted)
    return array.cast(wanted)


def _as_it_is(array: _Array, wanted: _Type) -> _Array:
    return array.cast(wanted)


def _without_nan(array: _Array) -> _Array:
    """Read NaN as null: a library without nullable integers writes it, and 5.0 for 5."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # An array of nulls: pyarrow loads pandas to make a scalar.
    return pc.if_else(pc.is_nan(array), pa.nulls(len(array), array.type), array)


def _number(array: _Array, wanted: _Type) -> _Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    # Arrow reads 0x10 as 16, and inf as a number.
    if pc.all(pc.match_substring_regex(array, _DECIMAL_NUMBER)).as_py() is False:
        raise pa.ArrowInvalid("is not a decimal number")
    return array.cast(wanted)


def _whole(array: _Array, wanted: _Type) -> _Array:
    import pyarrow as pa

    try:
        return _number(array, wanted)
    except pa.ArrowInvalid:  # "5.0", as a table with empty numbers writes 5
        return _number(array, pa.float64()).cast(wanted)


def _timestamps(array: _Array, wanted: _Type) -> _Array:
    import pyarrow as pa

    try:
        return array.cast(wanted)
    except pa.ArrowInvalid:  # without a zone
        return array.cast(pa.timestamp("us")).cast(wanted)


def _midnights(array: _Array, wanted: _Type) -> _Array:
    """Read dates from timestamps at midnight: pandas has no other dates."""
    import pyarrow as pa
    import pyarrow.compute as pc

    local = pc.local_timestamp(array) if array.type.tz else array
    dates = local.cast(wanted)
    if pc.all(pc.equal(dates.cast(local.type), local)).as_py() is False:
        raise pa.ArrowInvalid("is not the beginning of a day")
    return dates


def _misfit(name: str, array: _Array, column: Column) -> DataError:
    """Return the error for the first value that does not fit."""
    import pyarrow as pa

    fits, rows = 0, len(array)  # so many rows fit, so many do not
    while rows - fits > 1:
        half = (fits + rows) // 2
        try:
            _converted(array.slice(0, half), column)
            fits = half
        except pa.ArrowException:
            rows = half
    try:
        value = _shown(array[rows - 1])
    except (pa.ArrowException, ValueError, OverflowError):  # out of range for Python's datetime
        return _other_type(name, array.type, column)
    return DataError(
        f"{name}: column {column.name!r} is {value} in row {rows} of {len(array)};"
        f" it must be {_NAMES[column.kind]}"
    )


def _shown(scalar: Any) -> str:
    value = scalar.as_py()
    return cut(repr(value[:_SHOWN_VALUE]) if isinstance(value, str) else str(value), _SHOWN_VALUE)


def _other_type(name: str, found: _Type, column: Column) -> DataError:
    return DataError(
        f"{name}: column {column.name!r} has the type {cut(str(found), 100)}; it must be"
        f" {type_of(column)}"
    )
