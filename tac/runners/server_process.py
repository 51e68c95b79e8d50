"""The driver's end of a step server: its process, the socket to it, and the steps it runs.

Any number of threads may use one. When the server dies, the wait for each of its steps ends.
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

from tac.exits import last_error, signal_name
from tac.runners import step_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_END_SECONDS = 5.0
"""How long a server may take to end after its steps: it has nothing left to do."""


class StartedStep:
    """A step that the server was asked to start."""

    def __init__(self, server: ServerProcess, number: int) -> None:
        self._server = server
        self.number = number
        self.pid: int | None = None
        self.results: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def wait(self, seconds: float) -> dict[str, Any] | None:
        """Wait for the step's end: return its result, or None when it still runs."""
        try:
            return self.results.get(timeout=seconds)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Ask the server to stop the step; it kills one that does not end in time."""
        self._server.send({"stop": self.number})


class ServerProcess:
    """One running step server; it and its steps end with this process, even by SIGKILL."""

    def __init__(self, preload: Sequence[str], environment: Mapping[str, str]) -> None:
        # Without modules to import it needs no site-packages, and starts in 20 ms.
        flags = [] if preload else ["-I", "-S"]
        argv = [sys.executable, *flags, str(Path(step_server.__file__).resolve()), *preload]
        # No other program inherits either end: a copy of ours would keep the steps running.
        self._socket, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the server has ended
        with theirs:
            self._process = subprocess.Popen(
                argv,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is for the driver, which stops the steps
            )
        self.death: str | None = None
        """How the server ended, once it has."""
        self.ready: dict[str, Any] | None = None
        """Its message that its modules are imported."""
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
        """Ask for a step; its `wait` returns how it ended, or that it did not start."""
        with self._state:
            step = StartedStep(self, next(self._numbers))
            if self.death is not None:
                step.results.put({"lost": self.death})
                return step
            self._steps[step.number] = step
        self.send({"run": step.number, **request})
        return step

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; when the server has died, the wait for its steps says so."""
        data = step_server.pack(message)
        with contextlib.suppress(OSError), self._sending:
            self._socket.sendall(data)

    def close(self, *, grace_seconds: float) -> None:
        """Stop the steps, then the server."""
        # Not close: the listener still receives how the steps end.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._listener.join(grace_seconds + _END_SECONDS)
        if self._listener.is_alive():
            self._process.kill()
            self._listener.join(_END_SECONDS)

    def close_copies(self) -> None:
        """Close the copies that a fork has made, so that they do not keep the steps running."""
        self._socket.close()
        self._stderr.close()
        self._process.returncode = 0  # not our child: there is nothing to wait for

    def _listen(self) -> None:
        received = bytearray()
        with self._socket:
            while data := self._receive():
                received += data
                for message in step_server.unpack(received):
                    self._handle(message)
            self._handle_death()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except OSError:
            return b""

    def _handle(self, message: dict[str, Any]) -> None:
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
            step.results.put(message)

    def _handle_death(self) -> None:
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        with self._state:
            self.death = self._describe_exit(code)
            steps, self._steps = list(self._steps.values()), {}
        for step in steps:
            if step.pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(step.pid, signal.SIGKILL)
            step.results.put({"lost": self.death})

    def _describe_exit(self, code: int) -> str:
        how = f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        with self._stderr:
            self._stderr.seek(0)
            end = last_error(self._stderr.read().decode(errors="replace").splitlines()).text
        return f"the step server {how}" + (f": {end}" if end else "")
