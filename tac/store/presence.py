"""Which keys of a collection exist: few listings instead of one request a key.

Pure but for the two questions it is given: one about a key, one for a page of keys.

How old an answer may be, without `fresh`:

- "Present" comes from a request or a publication of the last PRESENT_SECONDS.
- "Absent" comes from a listing of the last ABSENT_SECONDS, and from one that began after the
  last time this was said of the key: who asks again wants to know what has changed since.
- Once tasks run in this process (`Presence.doubting`), "absent" comes from the key itself: a
  listing may be older than the program that has just published the key. Tried: without this luigi
  calls tasks incomplete that have just run.
- What this process published or deleted counts at once.

With `fresh` the key itself is asked. An error is raised, never an answer.

A page is read where the question is, from just before the key onwards, so collections may be long.
Servers differ in their order: AWS lists by bytes (`a-b` before `a/b`), SeaweedFS by path (`a/b`
first).
A page speaks of a key only where the key lies within it in both orders.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tac.errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Callable

PRESENT_SECONDS = 5.0
ABSENT_SECONDS = 2.0

_PATIENCE = 2
"""Questions that are asked one by one before a page is read: a page costs as much as four."""
_MOST_PATIENCE = 16
"""The same after pages that did not help, as in a long collection that is asked here and there."""
_HELPFUL = 4
_PAGES_KEPT = 64


@dataclass(frozen=True)
class Page:
    """The keys that follow a point of a collection; `last` when no more follow them."""

    keys: list[str]
    last: bool


@dataclass
class _Span:
    """What a page has shown: all keys after `after` and up to `upto`, which None makes the end."""

    after: str
    upto: str | None
    keys: set[str]
    began: float
    answers: int = 0

    def covers(self, key: str) -> bool:
        path = key.split("/")
        if not (self.after < key and self.after.split("/") < path):
            return False
        return self.upto is None or (key <= self.upto and path <= self.upto.split("/"))


class Presence:
    """Answers for one collection of keys; many threads may ask."""

    doubting = False
    """Set on the class when tasks begin to run here: listings then only say what is present."""

    def __init__(
        self,
        ask: Callable[[str], bool],
        read_page: Callable[[str], Page],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask_store = ask
        self._read_page = read_page
        self._clock = clock
        self._lock = threading.Lock()
        self._present: dict[str, float] = {}
        self._absent: dict[str, float] = {}
        self._spans: list[_Span] = []
        self._asked = 0
        self._patience = _PATIENCE
        self._listable = True

    def exists(self, key: str, *, fresh: bool = False) -> bool:
        """Tell whether `key` exists, as old as the module's contract allows."""
        if not fresh:
            with self._lock:  # while one thread reads a page, the others wait for what it says
                known = self._known(key)
                if known is None and self._is_page_due():
                    self._read(key)
                    known = self._known(key)
                if known is not None:
                    return known
                self._asked += 1
        return self._ask(key)

    def published(self, key: str) -> None:
        """Take note that `key` exists."""
        with self._lock:
            self._present[key] = self._clock()

    def forget(self, key: str) -> None:
        """Take note that `key` was deleted, or may have been."""
        with self._lock:
            self._present.pop(key, None)
            self._absent[key] = self._clock()
            for span in self._spans:
                span.keys.discard(key)

    def _ask(self, key: str) -> bool:
        found = self._ask_store(key)
        if found:
            self.published(key)
        else:
            self.forget(key)
        return found

    def _known(self, key: str) -> bool | None:
        now = self._clock()
        if now - self._present.get(key, float("-inf")) < PRESENT_SECONDS:
            return True
        for span in reversed(self._spans):
            if now - span.began < PRESENT_SECONDS and span.covers(key):
                present = key in span.keys
                if not present and not self._may_deny(span, key, now):
                    continue
                span.answers += 1
                if not present:
                    self._absent[key] = now
                return present
        return None

    def _may_deny(self, span: _Span, key: str, now: float) -> bool:
        if self.doubting:
            return False
        since_said = self._absent.get(key, float("-inf"))
        return now - span.began < ABSENT_SECONDS and span.began > since_said

    def _is_page_due(self) -> bool:
        return self._listable and self._asked >= self._patience

    def _read(self, key: str) -> None:
        if self._spans:
            helped = self._spans[-1].answers >= _HELPFUL
            self._patience = _PATIENCE if helped else min(self._patience * 2, _MOST_PATIENCE)
        self._asked = 0
        began = self._clock()
        self._drop_old(began)
        after = key[:-1]
        try:
            page = self._read_page(after)
        except AccessDenied:  # reading one key may be allowed where listing is not; that will tell
            self._listable = False
            return
        if not _is_ordered(page.keys):
            self._listable = False
            return
        if page.keys or page.last:
            upto = None if page.last else page.keys[-1]
            self._spans.append(_Span(after, upto, set(page.keys), began))

    def _drop_old(self, now: float) -> None:
        self._spans = [each for each in self._spans if now - each.began < PRESENT_SECONDS]
        del self._spans[:-_PAGES_KEPT]
        self._present = _younger(self._present, now - PRESENT_SECONDS)
        self._absent = _younger(self._absent, now - ABSENT_SECONDS)


def _younger(times: dict[str, float], limit: float) -> dict[str, float]:
    return {key: since for key, since in times.items() if since > limit}


def _is_ordered(keys: list[str]) -> bool:
    return keys == sorted(keys) or keys == sorted(keys, key=lambda key: key.split("/"))
