"""Structs of Thrift's compact protocol: what they hold, and that no bytes are more than broken."""

import pytest

from tac.flights.parquet_layout import MOST_PAGES, Pages, measure_pages
from tac.flights.thrift import BINARY, I32, I64, LIST, STRUCT, Broken, Struct, read_struct

EVERYTHING = bytes.fromhex(
    "15 04"  # 1: i32 2
    "16 03"  # 2: i64 -2
    "11 12"  # 3: true, 4: false
    "13 7f"  # 5: a byte
    "14 02"  # 6: i16 1
    "17 0000000000000000"  # 7: a double
    "18 02 6869"  # 8: binary "hi"
    "19 25 02 04"  # 9: a list of two i32
    "19 f5 10"
    + " 02"
    * 16  # 10: a list of sixteen
    + "1c 15 08 00"  # 11: a struct with 1: i32 4
    "19 12 01"  # 12: a list of one truth value
    "05 50 06"  # 40: i32 3, its number written out
    "00"
)


def test_a_struct_has_its_fields_by_number_and_type():
    fields, end = read_struct(EVERYTHING + b"\xff", 0, len(EVERYTHING) + 1)

    assert end == len(EVERYTHING)
    assert fields == {
        (1, I32): 2,
        (2, I64): -2,
        (3, 1): None,
        (4, 2): None,
        (5, 3): b"\x7f",
        (6, 4): 1,
        (7, 7): bytes(8),
        (8, BINARY): b"hi",
        (9, LIST): [1, 2],
        (10, LIST): [1] * 16,
        (11, STRUCT): {(1, I32): 4},
        (12, LIST): [b"\x01"],
        (40, I32): 3,
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is cut off"),
        (EVERYTHING[:-1], "it is cut off"),
        (b"\x18\xff\xff\x7fx", "it is cut off"),
        (b"\x19\xfc\xff\xff\xff\x7f", "it is cut off"),
        (b"\x1b\x00", "it has a value of the type 11"),
        (b"\x15" + b"\xff" * 20, "it has a number that is too large"),
        (b"\x1c" * 20, "it is nested too deeply"),
    ],
)
def test_bytes_that_are_no_struct_are_broken(data, message):
    with pytest.raises(Broken) as caught:
        read_struct(data, 0, len(data))

    assert str(caught.value) == message


def varint(number: int) -> bytes:
    number = 2 * number if number >= 0 else -2 * number - 1
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def page(unpacked: int, packed: int, encoding: int = 0, kind: int = 0) -> bytes:
    part = 5 if kind == 0 else 7
    encoded = bytes([(part - 3) << 4 | STRUCT]) + b"\x15\x02\x15" + varint(encoding) + b"\x00"
    sizes = b"\x15" + varint(unpacked) + b"\x15" + varint(packed)
    return b"\x15" + varint(kind) + sizes + encoded + b"\x00" + b"." * packed


def chunk(size: int, at: int = 0, dictionary: int = 0, physical: int = 6) -> Struct:
    return {(1, I32): physical, (7, I64): size, (9, I64): at, (11, I64): dictionary}


PLAIN, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 0, 7, 8


def test_pages_are_measured_by_their_own_headers():
    pages = page(900, 10, PLAIN) + page(800, 3, RLE_DICTIONARY) + page(70, 0, DELTA_BYTE_ARRAY)

    assert measure_pages(pages, chunk(len(pages))) == Pages(3, 1770, 70)
    assert measure_pages(pages, chunk(len(pages), physical=2)) == Pages(3, 1770, 0)


def test_a_dictionary_lies_before_the_pages_and_holds_the_longest_value():
    dictionary = page(500, 5, PLAIN, kind=2)
    data = b"PAR1" + dictionary + page(20, 2, RLE_DICTIONARY)
    size = len(data) - 4

    found = measure_pages(data, chunk(size, at=4 + len(dictionary), dictionary=4))

    assert found == Pages(2, 520, 500)


ONE = page(9, 3)
NUMBERS = "a size or a place is missing, or is none"


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        (ONE, {}, NUMBERS),
        (ONE, chunk(-1), NUMBERS),
        (ONE, chunk(len(ONE) + 1), "a column lies outside of the file"),
        (ONE, chunk(len(ONE) - 1), "a page lies outside of its column"),
        (page(-1, 0), chunk(len(page(-1, 0))), NUMBERS),
        (page(2**31, 0), chunk(len(page(2**31, 0))), NUMBERS),
        (b"\x15\x00\x15\x00\x15" + varint(2**31) + b"\0", chunk(11), NUMBERS),
    ],
)
def test_pages_that_cannot_be_are_broken(data, where, message):
    with pytest.raises(Broken) as caught:
        measure_pages(data, where)

    assert str(caught.value) == message


def test_so_many_pages_are_looked_at_and_no_more():
    two = ONE * 2

    assert measure_pages(two, chunk(len(two)), MOST_PAGES - 2) == Pages(2, 18, 0)
    with pytest.raises(Broken) as caught:
        measure_pages(two, chunk(len(two)), MOST_PAGES - 1)

    assert str(caught.value) == f"it has more than {MOST_PAGES} pages"
