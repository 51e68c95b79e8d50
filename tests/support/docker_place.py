"""A Docker runner of a test's own, a way to cut its connection, and what is left in the engine."""

import contextlib
import re
import socket
from collections.abc import Iterator
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
    """A directory, a runner in it, and the engine; `name` is the step's and nobody else's."""

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
