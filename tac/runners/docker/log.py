"""What a container says, brought into the log file of its step: everything once, while it runs.

The engine keeps the end of it until the container is removed (`container.LOG`), and says of each
message when it was said. After a connection that was cut it is read again from a little before the
last one that is in the file, and what is there already is passed over.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import queue
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Self

from tac.log_file import LogWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tac.log_file import Log
    from tac.runners.docker.engine import Engine, Stream

_PIECES_AHEAD = 64
_LOOK_SECONDS = 0.5
_ANSWER_SECONDS = 30.0
"""How long an engine may think about a container that has ended, which says nothing more itself."""

_REMEMBERED = 1000
"""How many messages are recognised when they come again. The engine stamps two streams one after
the other, and writes them in any order: never a thousand messages apart."""

_STAMP_SECONDS = 1e-5
"""How much earlier than asked for is read, because a float has no nanoseconds."""


class LiveLog:
    """One connection that reads what a container says, by a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        *,
        since: float | None = None,
        follow: bool = True,
        lines: int | None = None,
    ) -> None:
        self._messages: queue.Queue[bytes | None] = queue.Queue(_PIECES_AHEAD)
        self._closed = threading.Event()
        self._stream: Stream | None = None
        read = functools.partial(engine.logs, container, since=since, follow=follow, lines=lines)
        self._thread = threading.Thread(
            target=self._read, args=(read,), name=f"log of {container}", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._closed.set()
        if self._stream is not None and self._thread.is_alive():
            with contextlib.suppress(Exception):  # a connection that is closed already says so
                self._stream.close()
        self._thread.join(_LOOK_SECONDS)

    def next(self, seconds: float) -> bytes | None:
        """Return the next message; nothing for so long: b"", and None when there is no more.

        No more means that the container has ended, or the connection: the engine knows which.
        """
        try:
            return self._messages.get(timeout=seconds)
        except queue.Empty:
            return b""

    def _read(self, read: Callable[[], Stream]) -> None:
        # A connection can be cut in the middle of anything; the libraries below have as many
        # errors for that as there are places.
        with contextlib.suppress(Exception):
            self._stream = read()
            for message in self._stream:
                self._put(message)
        self._put(None)

    def _put(self, message: bytes | None) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._messages.put(message, timeout=_LOOK_SECONDS)
                return


def said(
    engine: Engine, container: str, *, since: float | None = None, lines: int | None = None
) -> Iterator[bytes]:
    """Yield what a container that has ended has said, as far as the engine answers."""
    with LiveLog(engine, container, since=since, follow=False, lines=lines) as log:
        heard = time.monotonic()
        while time.monotonic() - heard < _ANSWER_SECONDS:
            message = log.next(_LOOK_SECONDS)
            if message is None:
                return
            if message:
                heard = time.monotonic()
                yield message


class Heard:
    """Which messages of a container were heard, so that they can be told from what is new.

    They come again after a connection was cut, and without that: who follows a log that the engine
    rotates may be given the beginning of the new file twice (Docker 20.10).
    """

    def __init__(self) -> None:
        self._last: deque[tuple[bytes, int]] = deque()
        self._known: Counter[tuple[bytes, int]] = Counter()
        """The last ones, and all that were said when the latest was that is not among them: the
        pieces of one long line have one stamp."""
        self._at_passed: list[tuple[bytes, int]] = []
        self._passed = b""
        self._latest = b""
        self._again: Counter[tuple[bytes, int]] = Counter()
        self._awaited = False

    @property
    def since(self) -> float | None:
        """From when on the engine is to be asked; None: from the beginning."""
        return _seconds(self._passed) - _STAMP_SECONDS if self._passed else None

    def rewind(self) -> None:
        """What comes next comes again."""
        self._again = self._known.copy()
        self._awaited = bool(self._last)

    def is_new(self, said_at: bytes, text: bytes) -> bool:
        """Tell whether a message was not heard yet, and remember it."""
        message = (said_at, hash(text))
        if said_at < self._passed:
            return False
        # Only pieces of a line may have a stamp, and even a text, in common.
        comes_again = said_at < self._latest or text.endswith(b"\n")
        if comes_again and message in self._known and not self._again.get(message):
            self.rewind()
        if self._again.get(message):
            self._again[message] -= 1
            self._awaited = False
            return False
        self._remember(message)
        return True

    def _remember(self, message: tuple[bytes, int]) -> None:
        self._last.append(message)
        self._known[message] += 1
        self._latest = max(self._latest, message[0])
        if len(self._last) > _REMEMBERED:
            self._pass(self._last.popleft())

    def _pass(self, oldest: tuple[bytes, int]) -> None:
        if oldest[0] > self._passed:
            self._forget(*self._at_passed)
            self._at_passed = []
            self._passed = oldest[0]
        if oldest[0] == self._passed:
            self._at_passed.append(oldest)
        else:
            self._forget(oldest)

    def _forget(self, *messages: tuple[bytes, int]) -> None:
        for message in messages:
            self._known[message] -= 1
            if not self._known[message]:
                del self._known[message]

    def misses(self) -> bool:
        """Tell, once, whether the engine has forgotten what came before a message that is new."""
        missed, self._awaited = self._awaited, False
        return missed


class Copy(LogWriter):
    """The part of a step's log file that one container's words are copied to."""

    def __init__(self, log: Log, tell: Callable[[str], None]) -> None:
        super().__init__(log, tell)
        self._heard = Heard()

    @property
    def since(self) -> float | None:
        """From when on the container is to be read: see `Heard.since`."""
        return self._heard.since

    def rewind(self) -> None:
        """What comes next has been said from `since` on."""
        self._heard.rewind()

    def add(self, message: bytes) -> None:
        """Write a message of the container, if it is new, and tell its lines."""
        said_at, _, text = message.partition(b" ")
        if not self._heard.is_new(said_at, text):
            return
        if self._heard.misses():
            self.note(
                f"the engine has forgotten what was said before {said_at.decode(errors='replace')}"
            )
        self.write(text)
        self.follow()

    def add_rest(self, engine: Engine, container: str) -> None:
        """Write what is still missing of a container that has ended, and tell the last line."""
        self.rewind()
        for message in said(engine, container, since=self.since):
            self.add(message)
        self.finish()


def _seconds(stamp: bytes) -> float:
    return dt.datetime.fromisoformat(stamp.decode()).timestamp()
