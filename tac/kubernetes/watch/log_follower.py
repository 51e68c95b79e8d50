"""Following a container's log: every line once, while it is written.

The kubelet puts a timestamp before every line. After a broken connection, and when the container
has ended, the same follower reads the log from the last whole second that it has on, and skips the
lines that it passed on. A new driver, with a follower of its own, reads the log from its beginning.
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

from tac.backoff import Backoff
from tac.errors import NotFound, TacError
from tac.log_file import BoundedLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tac.kubernetes.client.api import Client, LogStream

STREAMS = 100
"""How many containers are followed at once; a further one is read when it has ended, or followed
when another has. A stream is one connection here, one at the API server and one at the kubelet."""

LONGEST_LINE_BYTES = 1 << 20
"""Of a longer line the beginning is copied: a container may write gigabytes without a newline,
which must be counted for what is read again after a broken connection."""

_QUIET_START_SECONDS = 1.0
"""A container that ends sooner is read once, without a stream. The kubelet looks at its containers
once a second (genericPlegRelistPeriod), so one that does nothing seems to run for a second."""

_AFTER_THE_END_SECONDS = 1.0
"""A stream that the server ends is, unless its kubelet restarts, that of a container that has
ended, which its pod's status says within a second."""

_FOR_A_SLOT_SECONDS = 1.0
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")
"""The kubelet always writes nine digits of fractions, so timestamps compare as text."""
_SECOND = len("2023-03-01T00:00:00")


class Lines:
    """Lines with their timestamps in front, passed on once although they may be read again.

    A container writes to stdout and stderr, whose lines may be a little out of order by their
    timestamps, but always come in the same order. So the lines that were passed on are counted from
    the last whole second: reading continues there (sinceTime has no fractions) and skips as many.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._rest = BoundedLine(LONGEST_LINE_BYTES, "in the log of its pod")
        self._last = self._zone = b""
        self._written = 0
        """How many lines of the last second, and later, were passed on."""
        self._again = 0
        """How many of them are still to be skipped."""

    @property
    def since(self) -> str:
        """The time to continue from; "" before the first line."""
        return (self._second + self._zone).decode()

    @property
    def _second(self) -> bytes:
        return self._last[:_SECOND]

    def begin(self) -> None:
        """Expect the log from `since` on."""
        self._rest.clear()
        self._again = self._written

    def add(self, piece: bytes) -> None:
        """Pass on the whole lines of a piece that are new."""
        *lines, rest = piece.split(b"\n")
        new = b"".join(self._new_lines(lines))
        self._rest.add(rest)
        if new:
            self._write(new)

    def _new_lines(self, lines: Sequence[bytes]) -> Iterator[bytes]:
        for line in lines:
            self._rest.add(line)
            text = self._new(self._rest.end())
            if text is not None:
                yield text + b"\n"

    def end(self) -> None:
        """Pass on the last line, which may have no newline."""
        if self._rest:
            self.add(b"\n")

    def _new(self, line: bytes) -> bytes | None:
        time, _, text = line.partition(b" ")
        found = _TIME.fullmatch(time)
        if found is None:  # an error message of the kubelet itself
            return line
        if self._again and time <= self._last:
            self._again -= 1
            return None
        # A later timestamp than all before is new: lines in a file that the kubelet has rotated
        # away meanwhile (10 MiB: containerLogMaxSize) are not sent again.
        self._again = 0
        if time[:_SECOND] > self._second:
            self._written = 0
        if time[:_SECOND] >= self._second:
            self._written += 1
        self._last, self._zone = max(self._last, time), found[1]
        return text


class LogFollower:
    """Follows one container in a thread of its own, until finish() is called."""

    def __init__(
        self,
        client: Client,
        pod: str,
        container: str,
        write: Callable[[bytes], None],  # it must not raise: no caller would get it
        slots: threading.Semaphore,
    ) -> None:
        self._client, self._pod, self._container = client, pod, container
        self._slots = slots
        self._lines = Lines(write)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._stream: LogStream | None = None
        self._thread = threading.Thread(target=self._run, name=f"log of {pod}", daemon=True)
        self._thread.start()

    def finish(self, *, read_rest: bool) -> None:
        """Stop following; with `read_rest` first pass on the rest of one that has ended.

        Raises:
            ApiError, ApiUnavailable: the rest could not be read.
        """
        with self._lock:
            self._ended.set()
            stream = self._stream
        if stream is not None:
            stream.close()
        # The stream is not waited for: a kubelet notices up to five seconds late that a container
        # has ended (kubelet's stateCheckPeriod). What the stream still receives is dropped.
        if read_rest:
            with self._client.stream_log(
                self._pod, self._container, since_time=self._lines.since
            ) as rest:
                self._lines.begin()
                for piece in rest:
                    self._lines.add(piece)
            self._lines.end()

    def _run(self) -> None:
        if self._ended.wait(_QUIET_START_SECONDS):
            return
        backoff = Backoff()
        while not self._ended.is_set():
            if not self._slots.acquire(timeout=_FOR_A_SLOT_SECONDS):
                continue
            began, least = time.monotonic(), 0.0
            try:
                self._listen()
                least = _AFTER_THE_END_SECONDS
            except NotFound:
                return
            except TacError:
                pass  # an unreachable kubelet, a container that has not started: it is retried
            finally:
                self._slots.release()
            if time.monotonic() - began > backoff.longest_seconds:
                backoff.reset()
            self._ended.wait(max(least, backoff.next()))

    def _listen(self) -> None:
        opened = self._client.follow_log(
            self._pod, self._container, since_time=self._lines.since, timestamps=True
        )
        with opened as stream:
            with self._lock:
                if self._ended.is_set():
                    return
                self._stream = stream
                self._lines.begin()
            for piece in stream:
                with self._lock:
                    if self._ended.is_set():
                        return
                    self._lines.add(piece)


def discard(follower: LogFollower | None) -> None:
    """Stop following, without the rest."""
    if follower is not None:
        follower.finish(read_rest=False)
