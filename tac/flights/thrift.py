"""Structs of Thrift's compact protocol, in which Parquet writes its footer and its pages' headers.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

Reads only, and never beyond its input: a length is refused unless so many bytes follow.
"""

from __future__ import annotations

from typing import Any

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
"""The types of the fields that are looked up; a field of another type is another field."""

Struct = dict[tuple[int, int], Any]
"""The values of a struct, each by its number and its type."""

_TRUE, _FALSE, _BYTE, _I16, _DOUBLE, _SET = 1, 2, 3, 4, 7, 10
_KIND = 0x0F  # the lower half of a head; a list of 15 or more says its length after it
_MORE = 0x80  # this bit of a number's byte says that another follows
_NUMBER_BITS = 63
_DEEPEST = 12  # a footer has five levels


class Broken(ValueError):
    """These bytes are no such struct."""


def read_struct(data: bytes, start: int, end: int) -> tuple[Struct, int]:
    """Return the struct that begins at `start`, and where it ends, which is not after `end`.

    Raises:
        Broken: there is none.
    """
    reader = _Reader(data, start, end)
    return reader.read_struct(0), reader.at


class _Reader:
    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self.at, self._end = data, at, end

    def read_struct(self, depth: int) -> Struct:
        if depth > _DEEPEST:
            raise Broken("it is nested too deeply")
        fields: Struct = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & _KIND
            field = field + step if step else self._zigzag()
            # In a struct the head of a truth value is the value.
            fields[field, kind] = None if kind in {_TRUE, _FALSE} else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {_I16, I32, I64}:
            return self._zigzag()
        if kind == STRUCT:
            return self.read_struct(depth + 1)
        if kind in {LIST, _SET}:
            return self._list(depth)
        size = {_TRUE: 1, _FALSE: 1, _BYTE: 1, _DOUBLE: 8}.get(kind)
        if kind == BINARY:
            size = self._varint()
        if size is None:
            raise Broken(f"it has a value of the type {kind}")
        return self._bytes(size)

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = self._varint() if head >> 4 == _KIND else head >> 4
        return [self._value(head & _KIND, depth + 1) for _ in range(count)]

    def _bytes(self, size: int) -> bytes:
        if size > self._end - self.at:
            raise Broken("it is cut off")
        self.at += size
        return self._data[self.at - size : self.at]

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & ~_MORE) << shift
            shift += 7
            if byte < _MORE:
                return found
            if shift > _NUMBER_BITS:
                raise Broken("it has a number that is too large")

    def _zigzag(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
