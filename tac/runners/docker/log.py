"""What a container says, brought into the log file of its step: everything once, while it runs.

The engine keeps all of it until the container is removed. So after a connection that was cut it is
read from its beginning again, and what is in the file already is passed over.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Self

from tac.log_file import LogWriter
from tac.runners.docker.engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tac.log_file import Log
    from tac.runners.docker.engine import Engine, Stream

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

    def __exit__(self, *exception: object) -> None:
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


class Copy(LogWriter):
    """The part of a step's log file that one container's words are copied to."""

    def __init__(self, log: Log, tell: Callable[[str], None]) -> None:
        super().__init__(log, tell)
        self._copied = 0
        self._ahead = 0

    def rewind(self) -> None:
        """What comes next comes from the container's beginning again."""
        self._ahead = self._copied

    def add(self, piece: bytes) -> None:
        """Write what is new of a piece, and tell its lines."""
        new = piece[self._ahead :]
        self._ahead -= len(piece) - len(new)
        if new:
            self.write(new)
            self._copied += len(new)
            self.follow()

    def add_rest(self, engine: Engine, container: str) -> None:
        """Write what is still missing of a container that has ended, and tell the last line."""
        self.rewind()
        with contextlib.suppress(EngineError):  # its result counts, not its last words
            self.add(engine.logs(container))
        self.finish()
