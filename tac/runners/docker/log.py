"""Following a container's log into the log file of its step: each line once, while it runs.

The engine keeps the end of the log until the container is removed (`container.LOG`), with a
timestamp for each message. After a broken connection the log is read again from a little before
the last copied message, and what the file has already is skipped.
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
"""How long the engine may take to send the log of a container that has ended."""

_REMEMBERED_MESSAGES = 1000
"""How many messages are recognised when they are repeated. The engine stamps stdout and stderr one
after the other, and writes them in any order, but never a thousand messages apart."""

_STAMP_SECONDS = 1e-5
"""How much earlier to read: a float cannot hold nanoseconds, so `since` is rounded."""


class LiveLog:
    """One connection that reads a container's log, in a thread of its own."""

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
            with contextlib.suppress(Exception):  # closing a closed connection raises
                self._stream.close()
        self._thread.join(_LOOK_SECONDS)

    def next(self, seconds: float) -> bytes | None:
        """Return the next message, b"" after so many seconds without one, None at the end.

        At the end either the container or the connection has ended: inspect tells which.
        """
        try:
            return self._messages.get(timeout=seconds)
        except queue.Empty:
            return b""

    def _read(self, read: Callable[[], Stream]) -> None:
        # A connection can break at any byte, and docker, requests and urllib3 each have errors of
        # their own for it.
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


def read_log(
    engine: Engine, container: str, *, since: float | None = None, lines: int | None = None
) -> Iterator[bytes]:
    """Yield the log of a container that has ended, until the engine stops answering."""
    with LiveLog(engine, container, since=since, follow=False, lines=lines) as log:
        last_message_at = time.monotonic()
        while time.monotonic() - last_message_at < _ANSWER_SECONDS:
            message = log.next(_LOOK_SECONDS)
            if message is None:
                return
            if message:
                last_message_at = time.monotonic()
                yield message


class SeenMessages:
    """Which messages of a container's log were copied, so that repeated ones are skipped.

    Messages are repeated after a broken connection, and by the engine: while it rotates a log it
    may send the beginning of the new file twice (Docker 20.10).
    """

    def __init__(self) -> None:
        self._last: deque[tuple[bytes, int]] = deque()
        self._known: Counter[tuple[bytes, int]] = Counter()
        """The last messages, and all others with the timestamp of the latest dropped one: the
        pieces of one long line share a timestamp."""
        self._at_dropped: list[tuple[bytes, int]] = []
        self._dropped_until = b""
        self._latest = b""
        self._repeats: Counter[tuple[bytes, int]] = Counter()
        self._expects_repeat = False

    @property
    def since(self) -> float | None:
        """From when on to read the log; None: from the beginning."""
        return _seconds(self._dropped_until) - _STAMP_SECONDS if self._dropped_until else None

    def rewind(self) -> None:
        """Expect the known messages once more."""
        self._repeats = self._known.copy()
        self._expects_repeat = bool(self._last)

    def is_new(self, timestamp: bytes, text: bytes) -> bool:
        """Tell whether a message is new, and remember it."""
        message = (timestamp, hash(text))
        if timestamp < self._dropped_until:
            return False
        # Only pieces of one line may share a timestamp, and even a text.
        comes_again = timestamp < self._latest or text.endswith(b"\n")
        if comes_again and message in self._known and not self._repeats.get(message):
            self.rewind()
        if self._repeats.get(message):
            self._repeats[message] -= 1
            self._expects_repeat = False
            return False
        self._remember(message)
        return True

    def _remember(self, message: tuple[bytes, int]) -> None:
        self._last.append(message)
        self._known[message] += 1
        self._latest = max(self._latest, message[0])
        if len(self._last) > _REMEMBERED_MESSAGES:
            self._drop_oldest(self._last.popleft())

    def _drop_oldest(self, oldest: tuple[bytes, int]) -> None:
        if oldest[0] > self._dropped_until:
            self._drop(*self._at_dropped)
            self._at_dropped = []
            self._dropped_until = oldest[0]
        if oldest[0] == self._dropped_until:
            self._at_dropped.append(oldest)
        else:
            self._drop(oldest)

    def _drop(self, *messages: tuple[bytes, int]) -> None:
        for message in messages:
            self._known[message] -= 1
            if not self._known[message]:
                del self._known[message]

    def has_lost(self) -> bool:
        """Tell, once, whether the engine has dropped messages before the latest new one."""
        missed, self._expects_repeat = self._expects_repeat, False
        return missed


class LogCopy(LogWriter):
    """Copies one container's log to the log file of its step."""

    def __init__(self, log: Log, listener: Callable[[str], None]) -> None:
        super().__init__(log, listener)
        self._seen = SeenMessages()

    @property
    def since(self) -> float | None:
        """From when on to read the container's log: see `SeenMessages.since`."""
        return self._seen.since

    def rewind(self) -> None:
        """Expect the log from `since` on."""
        self._seen.rewind()

    def add(self, message: bytes) -> None:
        """Write a message of the container, if it is new, and pass its lines on."""
        timestamp, _, text = message.partition(b" ")
        if not self._seen.is_new(timestamp, text):
            return
        if self._seen.has_lost():
            self.note(f"the engine has dropped the log before {timestamp.decode(errors='replace')}")
        self.write(text)
        self.follow()

    def add_rest(self, engine: Engine, container: str) -> None:
        """Write the rest of the log of a container that has ended, and pass its last line on."""
        self.rewind()
        for message in read_log(engine, container, since=self.since):
            self.add(message)
        self.finish()


def _seconds(stamp: bytes) -> float:
    return dt.datetime.fromisoformat(stamp.decode()).timestamp()
