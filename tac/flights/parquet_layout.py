"""What a Parquet file would unpack to, read from its footer and the headers of its pages alone.

A reader allocates what a page's own header states, which may be two gigabytes in twenty bytes,
whatever the footer states. pyarrow does not expose these headers, and crashes the whole process on
some footers that were tampered with.

The numbers of the fields: https://github.com/apache/parquet-format, parquet.thrift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tac.flights.thrift import I32, I64, LIST, STRUCT, Broken, Struct, read_struct

MOST_PAGES = 100_000
"""A page is usually a megabyte. This many take seconds to look at, and no file needs them."""

SMALLEST = 12  # the magic twice, and the length of the footer

_ROW_GROUPS = (4, LIST)  # of the footer
_COLUMNS, _ROWS = (1, LIST), (3, I64)  # of a row group
_METADATA = (3, STRUCT)  # of a column's chunk
_PHYSICAL_TYPE, _SIZE, _DATA_AT, _DICTIONARY_AT = (1, I32), (7, I64), (9, I64), (11, I64)
_PAGE_TYPE, _UNPACKED, _PACKED = (1, I32), (2, I32), (3, I32)  # of a page's header
_ENCODINGS = (((5, STRUCT), (2, I32)), ((8, STRUCT), (4, I32)))  # a page of data, its encoding

_BYTE_ARRAY = 6
_DICTIONARY_PAGE = 2
_MOST_I32 = 2**31 - 1
# PLAIN, RLE, BIT_PACKED, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY and BYTE_STREAM_SPLIT hold
# each value as long as it is; the dictionaries' two point into the dictionary's page.
_AS_LONG_AS_THEY_ARE = {0, 2, 3, 4, 5, 6, 8, 9}


@dataclass(frozen=True)
class Pages:
    """What the pages of one column in one row group hold."""

    count: int
    unpacked_bytes: int
    longest_value: int
    """No text is longer. A page may hold one long text, and say a million times "the same"."""


@dataclass(frozen=True)
class RowGroup:
    """The rows of a part of a file, and the metadata of its columns' chunks."""

    rows: int
    chunks: list[Struct]

    def chunk(self, column: int) -> Struct:
        """Return the metadata of the column of this number.

        Raises:
            Broken: there is none.
        """
        if column >= len(self.chunks):
            raise Broken("a row group lacks a column")
        return self.chunks[column]


def footer_bytes(data: bytes) -> int:
    """Return how long the footer of a whole Parquet file is.

    Raises:
        Broken: it is longer than the file.
    """
    size = int.from_bytes(data[-8:-4], "little")
    if size > len(data) - SMALLEST:
        raise Broken(f"its footer of {size} bytes is longer than the file, {len(data)} bytes")
    return size


def read_row_groups(data: bytes) -> list[RowGroup]:
    """Read the footer of a whole Parquet file; row groups without rows are left out.

    Raises:
        Broken: it cannot be read.
    """
    end = len(data) - 8
    footer, _ = read_struct(data, end - footer_bytes(data), end)
    groups = [
        RowGroup(_number(group, _ROWS), _chunks(group)) for group in _list(footer, _ROW_GROUPS)
    ]
    return [group for group in groups if group.rows]


def measure_pages(data: bytes, chunk: Struct, seen: int = 0) -> Pages:
    """Read the headers of the pages of one column in one row group, after `seen` of others.

    Raises:
        Broken: they cannot be read.
    """
    at = _number(chunk, _DATA_AT)
    dictionary = chunk.get(_DICTIONARY_AT, 0)
    at = dictionary if 0 < dictionary < at else at
    end = at + _number(chunk, _SIZE)
    if end > len(data):
        raise Broken("a column lies outside of the file")
    unpacked = longest = 0
    for count in range(MOST_PAGES - seen + 1):
        if at == end:
            is_text = chunk.get(_PHYSICAL_TYPE) == _BYTE_ARRAY
            return Pages(count, unpacked, longest if is_text else 0)
        header, at = read_struct(data, at, end)
        size = _number(header, _UNPACKED, _MOST_I32)
        unpacked += size
        longest = max(longest, size if _repeats(header) else 0)
        at += _number(header, _PACKED, _MOST_I32)
        if at > end:
            raise Broken("a page lies outside of its column")
    raise Broken(f"it has more than {MOST_PAGES} pages")


def _chunks(group: Struct) -> list[Struct]:
    chunks = [each for each in _list(group, _COLUMNS) if isinstance(each, dict)]
    return [each.get(_METADATA, {}) for each in chunks]


def _list(struct: Any, field: tuple[int, int]) -> list[Any]:
    found = struct.get(field) if isinstance(struct, dict) else None
    if found is None:
        raise Broken("its footer lacks a part")
    return list(found)


def _number(struct: Struct, field: tuple[int, int], most: int = 2**63 - 1) -> int:
    found = struct.get(field, -1)
    if not 0 <= found <= most:
        raise Broken("a size or a place is missing, or is none")
    return int(found)


def _repeats(header: Struct) -> bool:
    """Tell whether values may be longer, all together, than the page that they are read from."""
    if header.get(_PAGE_TYPE) == _DICTIONARY_PAGE:
        return True
    pages = [(header[part], field) for part, field in _ENCODINGS if part in header]
    return any(page.get(field) not in _AS_LONG_AS_THEY_ARE for page, field in pages)
