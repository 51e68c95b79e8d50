"""A Docker runner of a test's own, a way to cut its connection, and what is left in the engine."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tac import settings
from tac.names import STEP
from tac.runners import Command
from tac.runners.docker import DockerRunner
from tac.verdict import Verdict
from tests.support.engine import Engine
from tests.support.processes import ignore, until

GRACE_SECONDS = 1.0
DEADLINE_SECONDS = 60.0


class DockerPlace:
    """A directory, a runner in it, and the engine; `name` is the step's and nobody else's."""

    def __init__(self, path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.name = f"t-{path.parent.name}-{path.name}".replace("_", "-").lower()[:100]
        self.log = path / "x.log"
        self.stop = threading.Event()
        self.engine = engine
        self._patch = monkeypatch
        self._runner: DockerRunner | None = None

    @property
    def runner(self) -> DockerRunner:
        """The runner, made when the settings are."""
        if self._runner is None:
            self._runner = DockerRunner(stop_grace_seconds=GRACE_SECONDS)
        return self._runner

    def set(self, **values: str) -> None:
        """Change settings, for a runner that is made anew."""
        for name, value in values.items():
            self._patch.setenv(name, value)
        settings.current.cache_clear()
        self.close()

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()
        self._runner = None

    def command(self, *argv: object, **more: Any) -> Command:
        values = {"environment": settings.child_environment(), "log": self.log, **more}
        return Command(self.name, tuple(map(str, argv)), **values)

    def run(self, *argv: object, follow: Callable[[str], None] = ignore, **more: Any) -> Verdict:
        return self.runner.run(self.command(*argv, **more), follow=follow, stop=self.stop)

    def sh(self, script: str, **more: Any) -> Verdict:
        return self.run("sh", "-c", script, **more)

    @contextmanager
    def running(self, script: str, **more: Any) -> Iterator[list[Verdict]]:
        """Run a script in a thread; the list holds its verdict after the block."""
        verdicts: list[Verdict] = []
        thread = threading.Thread(
            target=lambda: verdicts.append(self.sh(script, **more)), daemon=True
        )
        thread.start()
        yield verdicts
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive(), "the command still runs"

    @property
    def words(self) -> str:
        """What the last command said."""
        return self.log.read_text(errors="replace").partition("\n")[2]

    def containers(self) -> list[dict[str, Any]]:
        """What the engine knows of every container of this step."""
        return containers(self.engine, f"{STEP}={self.name}")

    def container(self) -> dict[str, Any]:
        """The one container, once it runs."""

        def running() -> list[dict[str, Any]]:
            return [each for each in self.containers() if each["State"]["Running"]]

        return until(running, "a running container")[0]


def containers(engine: Engine, label: str) -> list[dict[str, Any]]:
    """Inspect every container with a label."""
    found = []
    with contextlib.closing(engine.client()) as client:
        for each in client.api.containers(all=True, filters={"label": label}):
            with contextlib.suppress(Exception):  # it may be gone by now
                found.append(client.api.inspect_container(each["Id"]))
    return found


def message(verdict: Verdict) -> str:
    """A verdict's whole message without what differs from one run to the next."""
    return re.sub(r"\b\d+\.\d s\b", "T s", verdict.message("x"))


@contextmanager
def docker_place(
    path: Path, engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerPlace]:
    """A place of which nothing may be left in the engine."""
    at = DockerPlace(path, engine, monkeypatch)
    monkeypatch.chdir(path)
    at.set(DOCKER_HOST=engine.host, TAC_IMAGE=image, TAC_STORE=str(path / "store"))
    try:
        yield at
        at.close()
        assert at.containers() == []
    finally:
        at.close()
        for each in at.containers():
            engine.command("rm", "--force", each["Id"])
        monkeypatch.undo()
        settings.current.cache_clear()


class Wire:
    """A TCP address that leads to the engine's socket, until it is cut; then nothing answers."""

    def __init__(self, host: str) -> None:
        self._engine = host.removeprefix("unix://")
        self._door: socket.socket | None = None
        self._ends: list[socket.socket] = []
        self._port = 0
        self.connections = 0
        self.mend()

    @property
    def host(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Let it lead there (again)."""
        self._door = socket.create_server(("127.0.0.1", self._port))
        self._port = self._door.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._door,), daemon=True).start()

    def cut(self) -> None:
        """Close every connection in the middle of whatever it carries, and accept no other."""
        door, self._door = self._door, None
        for each in [*([door] if door else []), *self._ends]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._ends.clear()

    def _accept(self, door: socket.socket) -> None:
        while True:
            try:
                ours, _ = door.accept()
            except OSError:
                return
            self.connections += 1
            theirs = socket.socket(socket.AF_UNIX)
            theirs.connect(self._engine)
            self._ends += [ours, theirs]
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (sink, source):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def at(
    engine: Engine, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerPlace]:
    with docker_place(tmp_path, engine, image, monkeypatch) as found:
        yield found


@pytest.fixture
def wire(at: DockerPlace) -> Iterator[Wire]:
    """The engine behind an address that can be cut."""
    wire = Wire(at.engine.host)
    at.set(DOCKER_HOST=wire.host)
    yield wire
    at.close()
    wire.cut()
