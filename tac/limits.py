"""Bounds on what is read of one input, and the error that names the one that was crossed.

Pure. An input is not trusted: a server may send without an end, and a small file may hold a large
table. Its announced size is checked first, and the received bytes are counted all the same.
"""

from __future__ import annotations

from tac.errors import DataError, StorageUnavailable
from tac.quantities import format_bytes

INPUT = "TAC_MOST_INPUT_BYTES"
TABLE = "TAC_MOST_TABLE_BYTES"
SECONDS = "TAC_DOWNLOAD_SECONDS"
"""The variables that set the bounds; tac.settings reads them, and luigi.cfg has them too."""


def check_input_bytes(name: str, size: int, most: int | None, *, verb: str = "is") -> None:
    """Refuse an input of `size` bytes when at most `most` are read; None: there is no bound.

    Raises:
        DataError: it is larger.
    """
    if most is not None and size > most:
        raise DataError(
            f"{name}: {verb} {size} bytes; at most {most} are read of one input",
            hint=f"if it is what it must be, set {INPUT} (now {format_bytes(most)})",
        )


def check_table_bytes(name: str, what: str, size: int, most: int) -> None:
    """Refuse a table of which a part, `what` with its verb, takes `size` bytes of memory.

    Raises:
        DataError: it takes more than `most`.
    """
    if size > most:
        raise DataError(
            f"{name}: {what} {size} bytes of memory; at most {most} are taken by one table",
            hint=f"if it is what it must be, set {TABLE} (now {format_bytes(most)})",
        )


def too_slow(name: str, seconds: float) -> StorageUnavailable:
    """Return the error for an input that did not arrive in time."""
    return StorageUnavailable(
        f"{name}: was not read within {seconds:g} s (limit {seconds:g} s)",
        hint=f"if it takes that long, set {SECONDS}",
    )
