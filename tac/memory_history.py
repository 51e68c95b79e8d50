"""What runs have learned about families of tasks, kept in the store: how much memory they need.

Each amount that was needed is an empty object, `_tac/memory/FAMILY/MIB`; the largest counts.
Nothing is ever changed, so drivers that learn at the same time do not disturb each other.
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
"""What a name must be to be believed: of an amount above 999 TiB there is no machine."""

_MOST_NAMES = 1000
"""How many names of a family are read: what was needed is there once an amount, a handful."""

_lock = threading.Lock()
_known: dict[str, int] = {}
"""By folder: MiB. A driver asks once, and knows what it learns itself."""


def memory_of(family: str, own: str, most: str, *, store: str) -> str:
    """Return what to give to a container of this family: its `own` amount, or more, if needed.

    Never more than a run of today may give it, which is `most`, or without that four times its
    own, whatever stands in the store; and never less than its own.

    Raises:
        ConfigError: an amount is none.
    """
    folder = _folder(store, family)
    with _lock:
        if folder not in _known:
            _known[folder] = _ask(folder)
        needed = _known[folder] * _MIB
    needed = min(needed, most_memory(own, most))
    return own if needed <= parse_memory(own) else f"{needed // _MIB}Mi"


def keep_memory(family: str, amount: str, *, store: str) -> None:
    """Keep what a container of this family needed, for runs to come."""
    folder, mib = _folder(store, family), -(-parse_memory(amount) // _MIB)
    with _lock:
        _known[folder] = max(_known.get(folder, 0), mib)
    address = f"{folder}{mib}"
    try:
        with store_of(address).create(address):
            pass
        _log.info("%s: its steps start with %d MiB from now on: %s", family, mib, address)
    except TacError as error:  # the next run learns it again
        _log.warning("%s", error.message)


def _folder(store: str, family: str) -> str:
    return f"{store.rstrip('/')}/_tac/memory/{family}/"


def _ask(folder: str) -> int:
    try:
        entries = list(store_of(folder).list(folder, most=_MOST_NAMES))
    except TacError as error:  # what a task says itself is enough to begin with
        _log.warning("%s", error.message)
        return 0
    names = (entry.address.removeprefix(folder) for entry in entries)
    return max((int(name) for name in names if _AMOUNT.fullmatch(name)), default=0)
