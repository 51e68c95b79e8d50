"""What a container says, brought into the log file of its step: everything once, while it runs.

The engine keeps all of it until the container is removed. So after a connection that was cut it is
read from its beginning again, and what is in the file already is passed over.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from typing import TYPE_CHECKING, Self

from tac.runners.docker.engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from tac.runners.docker.engine import Engine, Stream
    from tac.runners.log import Log

_log = logging.getLogger(__name__)

_PIECES_AHEAD = 64
_LOOK_SECONDS = 0.5


class LiveLog:
    """One connection that follows a container, read by a thread of its own."""

    def __init__(self, engine: Engine, container: str) -> None:
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_PIECES_AHEAD)
        self._closed = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(
            target=self._read, args=(engine, container), name=f"log of {container}", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        if self._stream is not None and self._thread.is_alive():
            with contextlib.suppress(Exception):  # a connection that is closed already says so
                self._stream.close()
        self._thread.join(_LOOK_SECONDS)

    def next(self, seconds: float) -> bytes | None:
        """Return the next piece; nothing for so long: b"", and None when there is no more.

        No more means that the container has ended, or the connection: the engine knows which.
        """
        try:
            return self._pieces.get(timeout=seconds)
        except queue.Empty:
            return b""

    def _read(self, engine: Engine, container: str) -> None:
        # A connection can be cut in the middle of anything; the libraries below have as many
        # errors for that as there are places.
        with contextlib.suppress(Exception):
            self._stream = engine.follow_logs(container)
            for piece in self._stream:
                self._put(piece)
        self._put(None)

    def _put(self, piece: bytes | None) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._pieces.put(piece, timeout=_LOOK_SECONDS)
                return


class Copy:
    """The part of a step's log file that one container's words are copied to."""

    def __init__(self, path: Path, log: Log, tell: Callable[[str], None]) -> None:
        self._file = path.open("ab", buffering=0)
        self._log = log
        self._tell = tell
        self._copied = 0
        self._ahead = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def rewind(self) -> None:
        """What comes next comes from the container's beginning again."""
        self._ahead = self._copied

    def add(self, piece: bytes) -> None:
        """Write what is new of a piece, and tell its lines."""
        new = piece[self._ahead :]
        self._ahead -= len(piece) - len(new)
        if new:
            self._write(new)
            self._copied += len(new)
            while self._log.follow(self._tell):
                pass

    def finish(self, engine: Engine, container: str) -> None:
        """Write what is still missing of a container that has ended, and tell the last line."""
        self.rewind()
        with contextlib.suppress(EngineError):  # its result counts, not its last words
            self.add(engine.logs(container))
        self._log.finish(self._tell)

    def note(self, text: str) -> None:
        """Write a line of our own."""
        self._write(f"# {text}\n".encode())

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:  # a full disk here says nothing about the work
            _log.warning("%s: not written: %s", self._file.name, error.strerror)
