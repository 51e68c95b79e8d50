"""Pauses between attempts to reach a server: short at first, then longer, never endless."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar

from tac.errors import ApiUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_SECONDS, LAST_SECONDS = 0.1, 5.0


class Backoff:
    """The pauses of one thread that goes on asking; each is twice the one before."""

    def __init__(self) -> None:
        self._next = FIRST_SECONDS

    def next(self, asked_seconds: float | None = None) -> float:
        """Return how long to pause now; the server may have asked for longer."""
        pause = max(self._next, asked_seconds or 0.0)
        self._next = min(2 * self._next, LAST_SECONDS)
        return pause

    def reset(self) -> None:
        """Begin with the short ones again: it went well for a while."""
        self._next = FIRST_SECONDS


def retry_unavailable(ask: Callable[[], T], timeout_seconds: Callable[[], float]) -> T:
    """Ask until there is an answer, or for as many seconds as the patience is by then.

    Raises:
        ApiUnavailable: there was none.
    """
    since = time.monotonic()
    backoff = Backoff()
    while True:
        try:
            return ask()
        except ApiUnavailable as error:
            pause = backoff.next(error.retry_after_seconds)
            if time.monotonic() + pause - since > timeout_seconds():
                raise
            if pause == FIRST_SECONDS:
                _log.info("%s; waiting for it", error.message)
            time.sleep(pause)  # between two tries; `timeout_seconds` is the deadline of all of them
