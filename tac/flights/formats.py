"""Recognising by its first bytes a file that is not the format of its suffix."""

from __future__ import annotations

import re

from tac.errors import DataError

PARQUET = b"PAR1"  # first and last four bytes, https://parquet.apache.org/docs/file-format/

# Magic numbers from each format's own description. Text comes last: any format may hold some.
_PACKED = (
    (rb"\x1f\x8b", "gzip"),
    (rb"\x28\xb5\x2f\xfd", "zstd"),
    (rb"\xfd7zXZ\0", "xz"),
    (rb"BZh[1-9]1AY&SY", "bzip2"),
    (rb"\x04\x22\x4d\x18", "LZ4"),
    (rb"\xff\x06\0\0sNaPpY", "snappy"),
    (rb"PK\x03\x04", "zip, which Excel's files are too"),
)
_OTHER = (
    (rb"PARE", "encrypted Parquet"),
    (rb"ARROW1\0\0", "Arrow IPC (Feather)"),
    (rb"Obj\x01", "Avro"),
    (rb"\xff\xfe|\xfe\xff", "UTF-16 text"),
)
_PAGES = ((rb"\s*<!doctype html|\s*<html", "an HTML page"), (rb"\s*<\?xml", "an XML page"))
_SHOWN = 60


def refuse_other_formats(name: str, data: bytes, suffix: str) -> None:
    """Refuse a file that begins like another format than its suffix's.

    Raises:
        DataError: it does, or it is empty.
    """
    wanted = {".parquet": "Parquet", ".csv": "CSV"}[suffix]
    if not data:
        raise DataError(f"{name}: is empty: 0 bytes", hint="its writer did not finish")
    size = f"{len(data)} bytes"
    if packed := _first(_PACKED, data):
        raise DataError(
            f"{name}: is {packed}, not {wanted}: {size}",
            hint="unpack it before it is stored, and store it without Content-Encoding",
        )
    if other := _first(_OTHER, data):
        raise DataError(f"{name}: is {other}, not {wanted}: {size}", hint=f"write it as {wanted}")
    if page := _first(_PAGES, data):
        shown = " ".join(data[:200].decode("utf-8", "replace").split())[:_SHOWN]
        raise DataError(
            f"{name}: is {page}, not {wanted}: {size} that begin with {shown!r}",
            hint="it is a login or error page; open the address in a browser",
        )
    if data.startswith(PARQUET) != (suffix == ".parquet"):
        begin = "" if suffix == ".csv" else f" that begin with {data[:8]!r}, not {PARQUET!r}"
        found = "is Parquet, not CSV" if suffix == ".csv" else "is not Parquet"
        raise DataError(f"{name}: {found}: {size}{begin}", hint="its suffix says how it is read")


def _first(formats: tuple[tuple[bytes, str], ...], data: bytes) -> str | None:
    return next((name for magic, name in formats if re.match(magic, data, re.IGNORECASE)), None)
