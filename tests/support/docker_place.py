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
from tac.runners.docker import DockerRunner
from tac.verdict import Verdict
from tests.support.engine import Engine
from tests.support.place import Place
from tests.support.processes import until
from tests.support.wire import Wire

GRACE_SECONDS = 1.0
DEADLINE_SECONDS = 60.0


class DockerPlace(Place[DockerRunner]):
    """A directory, a runner in it, and the engine; `name` is unique to the step."""

    def __init__(self, path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        name = f"t-{path.parent.name}-{path.name}".replace("_", "-").lower()[:100]
        super().__init__(path, name, DEADLINE_SECONDS, monkeypatch)
        self.grace_seconds = GRACE_SECONDS
        self.engine = engine

    def new_runner(self) -> DockerRunner:
        return DockerRunner(stop_grace_seconds=self.grace_seconds)

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
            with contextlib.suppress(Exception):  # it may have been removed meanwhile
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


@pytest.fixture
def at(
    engine: Engine, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DockerPlace]:
    with docker_place(tmp_path, engine, image, monkeypatch) as found:
        yield found


@pytest.fixture
def wire(at: DockerPlace) -> Iterator[Wire]:
    """The engine behind an address that can be cut."""
    path = at.engine.host.removeprefix("unix://")

    def connect() -> socket.socket:
        theirs = socket.socket(socket.AF_UNIX)
        theirs.connect(path)
        return theirs

    wire = Wire(connect)
    at.set(DOCKER_HOST=f"tcp://127.0.0.1:{wire.port}")
    yield wire
    at.close()
    wire.cut()


class Line(socket.socket):
    """A connection to the engine that can fall silent, as one whose way was lost without a sign."""

    def __init__(self, mended: threading.Event) -> None:
        super().__init__(socket.AF_UNIX)
        self._mended = mended
        self._silent = threading.Event()

    def fall_silent(self) -> None:
        self._silent.set()

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        if not self._silent.is_set():
            return data
        self._mended.wait()
        return b""


@pytest.fixture
def silence(at: DockerPlace) -> Iterator[Callable[[], None]]:
    """What lets every connection to the engine fall silent, and those that are made later not."""
    path = at.engine.host.removeprefix("unix://")
    lines: list[Line] = []
    mended = threading.Event()

    def connect() -> socket.socket:
        line = Line(mended)
        line.connect(path)
        lines.append(line)
        return line

    def silence() -> None:
        for line in lines:
            line.fall_silent()

    wire = Wire(connect)
    at.set(DOCKER_HOST=f"tcp://127.0.0.1:{wire.port}")
    yield silence
    at.close()
    mended.set()
    wire.cut()


class SilentRegistry:
    """A registry of images that is asked, and never answers."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self._asking: list[socket.socket] = []
        self.asked = threading.Event()
        self.address = f"127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for each in self._asking:
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._asking.append(self._door.accept()[0])
                self.asked.set()


@pytest.fixture
def silent_registry() -> Iterator[SilentRegistry]:
    with contextlib.closing(SilentRegistry()) as registry:
        yield registry
