"""Which keys of a collection exist: few listings instead of one request a key.

Pure but for the two requests it is given: HEAD of one key, and one page of a listing.

How old an answer may be, without `fresh`:

- "Present" comes from a request or a publication of the last PRESENT_SECONDS.
- "Absent" comes from a listing of the last ABSENT_SECONDS that began after the last "absent" for
  this key: a caller that asks again wants to know what has changed since.
- Once tasks run in this process (`ListingCache.confirms_absence`), "absent" comes from a HEAD of
  the key: a listing may be older than the program that has just published the key. Tried: without
  this luigi calls tasks incomplete that have just run.
- What this process published or deleted counts at once.

With `fresh` it is always a HEAD. An error is raised, never cached and never an answer.

A page is read from just before the wanted key onwards, so collections may be long.
Servers differ in their order: AWS lists by bytes (`a-b` before `a/b`), SeaweedFS by path (`a/b`
first).
A page decides about a key only if the key lies within it in both orders.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tac.errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Callable

PRESENT_SECONDS = 5.0
ABSENT_SECONDS = 2.0

_HEADS_BEFORE_LISTING = 2
"""Keys that get a HEAD each before a page is listed: a page costs as much as four of them."""
_MOST_HEADS_BEFORE_LISTING = 16
"""The same after pages that answered little, as with a few keys of a long collection."""
_HELPFUL = 4
_PAGES_KEPT = 64
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Page:
    """The keys that follow a point of a collection; `last` when no more follow them."""

    keys: list[str]
    last: bool


@dataclass
class _ListedRange:
    """What a page has shown: all keys after `after` and up to `upto`; None: to the end."""

    after: str
    upto: str | None
    keys: set[str]
    began: float
    answers: int = 0
    folders: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.folders = {
            key[: place + 1] for key in self.keys for place, each in enumerate(key) if each == "/"
        }

    def covers(self, key: str) -> bool:
        path = key.split("/")
        if not (self.after < key and self.after.split("/") < path):
            return False
        return self.upto is None or (key <= self.upto and path <= self.upto.split("/"))


class ListingCache:
    """Which keys of one collection exist; safe for many threads."""

    confirms_absence = False
    """Set on the class when tasks begin to run here: a listing then answers only "present"."""

    def __init__(
        self,
        head: Callable[[str], bool],
        read_page: Callable[[str], Page],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._head = head
        self._read_page = read_page
        self._clock = clock
        self._lock = threading.Lock()
        self._present: dict[str, float] = {}
        self._absent: dict[str, float] = {}
        self._ranges: list[_ListedRange] = []
        self._heads = 0
        self._heads_before_listing = _HEADS_BEFORE_LISTING
        self._listable = True

    def exists(self, key: str, *, fresh: bool = False) -> bool:
        """Tell whether `key` exists, as old as the module's contract allows."""
        if not fresh:
            with self._lock:  # while one thread reads a page, the others wait for its answer
                known = self._cached(key)
                if known is None and self._is_listing_due():
                    self._read_listing(key)
                    known = self._cached(key)
                if known is not None:
                    return known
                self._heads += 1
        return self._exists_now(key)

    def may_be_folder(self, key: str) -> bool:
        """Tell whether keys may lie below `key`; "no" comes from a listing, as "absent" may."""
        folder = f"{key}/"
        with self._lock:
            now = self._clock()
            if any(each.startswith(folder) for each in self._present):
                return True
            for listed in reversed(self._ranges):
                whole = listed.covers(folder) and listed.covers(folder + _LAST_CHARACTER)
                if whole and self._may_say_absent(listed, folder, now):
                    if folder in listed.folders:
                        return True
                    self._absent[folder] = now
                    return False
        return True

    def record_published(self, key: str) -> None:
        """Remember that `key` exists."""
        with self._lock:
            self._present[key] = self._clock()

    def record_deleted(self, key: str) -> None:
        """Remember that `key` was deleted, or may have been."""
        with self._lock:
            self._present.pop(key, None)
            self._absent[key] = self._clock()
            for listed in self._ranges:
                listed.keys.discard(key)

    def _exists_now(self, key: str) -> bool:
        found = self._head(key)
        if found:
            self.record_published(key)
        else:
            self.record_deleted(key)
        return found

    def _cached(self, key: str) -> bool | None:
        now = self._clock()
        if now - self._present.get(key, float("-inf")) < PRESENT_SECONDS:
            return True
        for listed in reversed(self._ranges):
            if now - listed.began < PRESENT_SECONDS and listed.covers(key):
                present = key in listed.keys
                if not present and not self._may_say_absent(listed, key, now):
                    continue
                listed.answers += 1
                if not present:
                    self._absent[key] = now
                return present
        return None

    def _may_say_absent(self, listed: _ListedRange, key: str, now: float) -> bool:
        if self.confirms_absence:
            return False
        since_said = self._absent.get(key, float("-inf"))
        return now - listed.began < ABSENT_SECONDS and listed.began > since_said

    def _is_listing_due(self) -> bool:
        return self._listable and self._heads >= self._heads_before_listing

    def _read_listing(self, key: str) -> None:
        if self._ranges:
            helped = self._ranges[-1].answers >= _HELPFUL
            doubled = min(self._heads_before_listing * 2, _MOST_HEADS_BEFORE_LISTING)
            self._heads_before_listing = _HEADS_BEFORE_LISTING if helped else doubled
        self._heads = 0
        began = self._clock()
        self._drop_old(began)
        after = key[:-1]
        try:
            page = self._read_page(after)
        except AccessDenied:  # HEAD may be allowed where listing is not; it raises if it is not
            self._listable = False
            return
        if not _is_ordered(page.keys):
            self._listable = False
            return
        if page.keys or page.last:
            upto = None if page.last else page.keys[-1]
            self._ranges.append(_ListedRange(after, upto, set(page.keys), began))

    def _drop_old(self, now: float) -> None:
        self._ranges = [each for each in self._ranges if now - each.began < PRESENT_SECONDS]
        del self._ranges[:-_PAGES_KEPT]
        self._present = _younger(self._present, now - PRESENT_SECONDS)
        self._absent = _younger(self._absent, now - ABSENT_SECONDS)


def _younger(times: dict[str, float], limit: float) -> dict[str, float]:
    return {key: since for key, since in times.items() if since > limit}


def _is_ordered(keys: list[str]) -> bool:
    return keys == sorted(keys) or keys == sorted(keys, key=lambda key: key.split("/"))
