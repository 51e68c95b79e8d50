"""What runs have learned about families of tasks, kept in the store: how much memory they need.

Each amount that was needed is an empty object, `_tac/memory/FAMILY/MIB`; the largest counts.
Nothing is ever changed, so drivers that learn at the same time do not disturb each other.
"""

from __future__ import annotations

import logging
import threading

from tac.errors import TacError
from tac.quantities import parse_memory
from tac.store import store_of

_log = logging.getLogger(__name__)

_MIB = 1 << 20

_lock = threading.Lock()
_known: dict[str, int] = {}
"""By folder: MiB. A driver asks once, and knows what it learns itself."""


def memory_of(family: str, own: str, most: str, *, store: str) -> str:
    """Return what to give to a container of this family: its `own` amount, or more, if needed.

    Never more than `most`, if that is set, and never less than its own.

    Raises:
        ConfigError: an amount is none.
    """
    folder = _folder(store, family)
    with _lock:
        if folder not in _known:
            _known[folder] = _ask(folder)
        needed = _known[folder] * _MIB
    if most:
        needed = min(needed, parse_memory(most))
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
        names = [entry.address.rpartition("/")[2] for entry in store_of(folder).list(folder)]
    except TacError as error:  # what a task says itself is enough to begin with
        _log.warning("%s", error.message)
        return 0
    return max((int(name) for name in names if name.isdigit()), default=0)
