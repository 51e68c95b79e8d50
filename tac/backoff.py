"""Exponential backoff with jitter, and the one loop that tries a call again until a timeout.

Not tenacity, although Luigi brings it: importing it takes a step 0.1 s, as it imports asyncio and
tornado, and the timeouts here change while they run.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)
T = TypeVar("T")
E = TypeVar("E", bound=Exception)


class Backoff:
    """The pauses between the tries of one thread: each twice the one before, up to the longest.

    Each is a quarter longer or shorter by chance, since drivers that lost one server at the same
    moment would come back to it at the same moment.
    """

    def __init__(self, first_seconds: float = 0.1, longest_seconds: float = 5.0) -> None:
        self.longest_seconds = longest_seconds
        self.first_seconds = self._next = first_seconds

    def next(self, retry_after_seconds: float | None = None) -> float:
        """Return how long to pause now; a server's `Retry-After` is never undercut."""
        pause = random.uniform(0.75, 1.25) * self._next  # noqa: S311 - no secret
        self._next = min(2 * self._next, self.longest_seconds)
        return max(pause, retry_after_seconds or 0.0)

    def reset(self) -> None:
        """Begin with the short pauses again, after success."""
        self._next = self.first_seconds


def retry_on(
    failure: type[E] | tuple[type[E], ...],
    call: Callable[[], T],
    timeout_seconds: Callable[[], float],
    *,
    backoff: Backoff | None = None,
    on_failure: Callable[[E, int], None] | None = None,
) -> T:
    """Call until it does not raise `failure`, and for as long as the timeout is by then.

    `on_failure` is called with each failure and its number, from 1, and may raise.
    The last try is at the timeout; a server that asks for a longer pause gets none.

    Raises:
        E: the last failure.
    """
    since = time.monotonic()
    backoff = backoff or Backoff()
    number = 0
    while True:
        try:
            return call()
        except failure as error:
            number += 1
            if on_failure is not None:
                on_failure(error, number)
            left = timeout_seconds() - (time.monotonic() - since)
            retry_after = getattr(error, "retry_after_seconds", None) or 0.0
            if left <= 0 or retry_after > left:
                raise
            if on_failure is None and number == 1:
                _log.info("%s; trying again", error)
            # The pause between two tries, which the timeout bounds.
            time.sleep(min(backoff.next(retry_after), left))
