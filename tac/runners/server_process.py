"""The driver's end of a step server: the process, the wire to it, and who waits for what.

Any number of threads may use one. When the server is gone, every waiting one is told so.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tac.exits import last_words, signal_name
from tac.runners import step_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_END_SECONDS = 5.0
"""What a server may take to end once its steps have: it has nothing left to do."""


class StartedStep:
    """A step that the server was asked for."""

    def __init__(self, server: ServerProcess, number: int) -> None:
        self._server = server
        self.number = number
        self.pid: int | None = None
        self.news: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def wait(self, seconds: float) -> dict[str, Any] | None:
        """Wait for the step's end: what the server says of it, or None when it runs on."""
        try:
            return self.news.get(timeout=seconds)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Ask the server to end the step; it sees to it that this happens."""
        self._server.send({"stop": self.number})


class ServerProcess:
    """One running step server; it and its steps end with this process, whatever happens."""

    def __init__(self, preload: Sequence[str], environment: Mapping[str, str]) -> None:
        # Without modules to import it needs no site-packages, and starts in 20 ms.
        flags = [] if preload else ["-I", "-S"]
        argv = [sys.executable, *flags, str(Path(step_server.__file__).resolve()), *preload]
        # Neither end is inherited by any other program: a copy of ours would keep the steps alive.
        self._wire, theirs = socket.socketpair()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the server has ended
        with theirs:
            self._process = subprocess.Popen(
                argv,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._words,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is the driver's to hear, and to pass on
            )
        self.gone: str | None = None
        self.ready: dict[str, Any] | None = None
        """What the server said once its modules were imported."""
        self._numbers = itertools.count(1)
        self._steps: dict[int, StartedStep] = {}
        self._state = threading.Lock()
        self._sending = threading.Lock()
        self._listener = threading.Thread(target=self._listen, name="step server", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def start(self, request: Mapping[str, Any]) -> StartedStep:
        """Ask for a step; how it ends, or that it never began, is told by its `wait`."""
        with self._state:
            step = StartedStep(self, next(self._numbers))
            if self.gone is not None:
                step.news.put({"lost": self.gone})
                return step
            self._steps[step.number] = step
        self.send({"run": step.number, **request})
        return step

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; that the server is gone is told to who waits, not to who sends."""
        data = step_server.pack(message)
        with contextlib.suppress(OSError), self._sending:
            self._wire.sendall(data)

    def close(self, *, grace_seconds: float) -> None:
        """End the server, its steps first."""
        # Not close: the listener still hears how the steps end.
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_WR)
        self._listener.join(grace_seconds + _END_SECONDS)
        if self._listener.is_alive():
            self._process.kill()
            self._listener.join(_END_SECONDS)

    def forget(self) -> None:
        """Let go of what a fork made a copy of, so that it does not keep the steps alive."""
        self._wire.close()
        self._words.close()
        self._process.returncode = 0  # not our child: there is nothing to wait for

    def _listen(self) -> None:
        received = bytearray()
        with self._wire:
            while data := self._receive():
                received += data
                for message in step_server.unpack(received):
                    self._hear(message)
            self._bury()

    def _receive(self) -> bytes:
        try:
            return self._wire.recv(1 << 16)
        except OSError:
            return b""

    def _hear(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self.ready = message
        elif "started" in message:
            with self._state:
                self._steps[message["started"]].pid = message["pid"]
        else:
            if "refused" in message:
                message["refused"] = OSError(*message["refused"])
            with self._state:
                step = self._steps.pop(message["step"])
            step.news.put(message)

    def _bury(self) -> None:
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        with self._state:
            self.gone = self._obituary(code)
            steps, self._steps = list(self._steps.values()), {}
        for step in steps:
            if step.pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(step.pid, signal.SIGKILL)
            step.news.put({"lost": self.gone})

    def _obituary(self, code: int) -> str:
        how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        with self._words:
            self._words.seek(0)
            words = last_words(self._words.read().decode(errors="replace").splitlines()).text
        return f"the step server {how}" + (f": {words}" if words else "")
