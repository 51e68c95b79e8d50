"""How much memory task families have needed, kept in the store for later runs.

Each amount that was needed is an empty object, `_tac/memory/FAMILY/MIB`; the largest counts.
Objects are never changed, so drivers that write at the same time do not conflict.
"""

from __future__ import annotations

import logging
import re
import threading

from tac.errors import TacError
from tac.quantities import most_memory, parse_memory
from tac.store import store_of

_log = logging.getLogger(__name__)

_MIB = 1 << 20

_AMOUNT = re.compile(r"[1-9][0-9]{0,8}")
"""A valid name: no machine has more than 999 TiB."""

_MOST_NAMES = 1000
"""How many names of a family are read: there is one for each amount, so a handful."""

_lock = threading.Lock()
_known: dict[str, int] = {}
"""By folder: MiB. A driver reads each once, and adds what it writes itself."""


def memory_of(family: str, own: str, most: str, *, store: str) -> str:
    """Return what to give to a container of this family: its `own` amount, or more, if needed.

    Never more than `most`, by default four times its own, whatever the store contains; and never
    less than its own.

    Raises:
        ConfigError: an amount is not valid.
    """
    folder = _folder(store, family)
    with _lock:
        if folder not in _known:
            _known[folder] = _ask(folder)
        needed = _known[folder] * _MIB
    needed = min(needed, most_memory(own, most))
    return own if needed <= parse_memory(own) else f"{needed // _MIB}Mi"


def keep_memory(family: str, amount: str, *, store: str) -> None:
    """Keep what a container of this family needed, for later runs."""
    folder, mib = _folder(store, family), -(-parse_memory(amount) // _MIB)
    with _lock:
        _known[folder] = max(_known.get(folder, 0), mib)
    address = f"{folder}{mib}"
    try:
        with store_of(address).create(address):
            pass
        _log.info("%s: its steps start with %d MiB from now on: %s", family, mib, address)
    except TacError as error:  # the next run writes it again
        _log.warning("%s", error.message)


def _folder(store: str, family: str) -> str:
    return f"{store.rstrip('/')}/_tac/memory/{family}/"


def _ask(folder: str) -> int:
    try:
        entries = list(store_of(folder).list(folder, most=_MOST_NAMES))
    except TacError as error:  # the task's own amount will do
        _log.warning("%s", error.message)
        return 0
    names = (entry.address.removeprefix(folder) for entry in entries)
    return max((int(name) for name in names if _AMOUNT.fullmatch(name)), default=0)
