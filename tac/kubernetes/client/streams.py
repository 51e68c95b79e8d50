"""Answers that do not end: the events of a watch, and a container's log while it is written.

Each that may be silent, or be closed by another thread, has a connection of its own, and so does
not affect others.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import requests
import urllib3.exceptions

from tac.errors import ApiUnavailable, TacError
from tac.kubernetes.client.errors import error_of, no_answer, read_status, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tac.kubernetes.client.connection import PrivateConnection
    from tac.kubernetes.client.errors import RequestInfo

NO_ANSWER = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
)
"""The errors of the libraries for a connection that broke or timed out."""

_PIECE_BYTES = 1 << 16
_LONGEST_EVENT_BYTES = 1 << 24
"""An object has 1.5 MiB at most (etcd's --max-request-bytes); a longer line is not an event."""


class Stream:
    """One answer, read piece by piece by one thread; any thread may close it."""

    def __init__(
        self,
        asked: RequestInfo,
        own: PrivateConnection | None,
        send: Callable[[], requests.Response],
        silence_seconds: float,
    ) -> None:
        self._asked = asked
        self._own = own
        self._send = send
        self._silence_seconds = silence_seconds
        self._response: requests.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._closed = threading.Event()
        self._over = False
        # Reentrant: a signal handler may close it in the thread that reads.
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it: a thread that waits for a piece returns at once, without one."""
        self._closed.set()
        if self._own is not None:
            self._own.break_off()
        # The reader was woken; if it takes longer, it releases the connection itself.
        if self._lock.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._lock.release()

    def open(self) -> None:
        """Send the request, and wait until the answer begins.

        Raises:
            ApiError, ApiUnavailable, ConfigError: there is none, or a refusal.
        """
        try:
            response = self._send()
            if response.status_code != HTTPStatus.OK:
                retry_after = response.headers.get("Retry-After")
                found = read_status(response.status_code, response.content, retry_after)
                raise error_of(self._asked, found)
        except NO_ANSWER as error:
            self._release()
            raise no_answer(self._asked, error, self._silence_seconds) from error
        except TacError:
            self._release()
            raise
        if self._own is not None:
            self._own.allow_silence(self._silence_seconds)
        self._response = response
        self._pieces = response.raw.stream(_PIECE_BYTES, decode_content=True)

    def _piece(self) -> bytes | None:
        """Wait for the next piece; None: there is no more, or it was closed."""
        with self._lock:
            if self._over or self._closed.is_set():
                self._release()
                return None
            try:
                piece = self._read()
            except TacError:
                self._release()
                if self._closed.is_set():
                    return None
                raise
            if piece is None or self._closed.is_set():
                self._release()
                return None
            return piece

    def _read(self) -> bytes | None:
        try:
            if self._response is None:
                self.open()
            return next(self._pieces, None)
        except (*NO_ANSWER, ValueError) as error:  # ValueError: it was closed while it was read
            raise no_answer(self._asked, error, self._silence_seconds) from error

    def _release(self) -> None:
        self._over = True
        with contextlib.suppress(*NO_ANSWER):
            if self._response is not None:
                self._response.close()
            if self._own is not None:
                self._own.close()


class Watch(Stream):
    """The events of one watch, each `{"type": …, "object": …}`; bookmarks are among them."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Iterate until the server's time for it is over, or it is closed.

        Raises:
            Expired: the version is too old: list again.
            ApiUnavailable: the connection broke: continue from the last resourceVersion.
            ApiError: the server ended it with an error.
        """
        rest = b""
        while (piece := self._piece()) is not None:
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > _LONGEST_EVENT_BYTES:
                self.close()
                raise ApiUnavailable(
                    f"{self._asked.subject}: an event has more than {_LONGEST_EVENT_BYTES} bytes"
                )
            for line in lines:
                if self._closed.is_set():
                    return
                yield self._event(line)
        if rest and not self._closed.is_set():
            raise ApiUnavailable(f"{self._asked.subject}: an event ended in its middle")

    def _event(self, line: bytes) -> dict[str, Any]:
        try:
            event: dict[str, Any] = json.loads(line)
        except ValueError as error:
            self.close()
            raise ApiUnavailable(f"{self._asked.subject}: an event is no JSON") from error
        if event["type"] == "ERROR":
            self.close()
            raise error_of(self._asked, status_of(event["object"]))
        return event


class LogStream(Stream):
    """A container's log in pieces as they arrive, not in lines; requested when it is iterated."""

    def __iter__(self) -> Iterator[bytes]:
        """Iterate until the container has ended, or it is closed.

        Raises:
            NotFound: there is no such pod.
            Invalid: it has no such container, or the container has not begun.
            ApiUnavailable: the connection broke, or was silent for long: follow again from the
                last timestamp.
        """
        while (piece := self._piece()) is not None:
            yield piece
