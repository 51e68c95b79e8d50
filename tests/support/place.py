"""A directory with a runner of a test's own, and how commands are run by it."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from tac import settings
from tac.request import RunRequest
from tac.runners.runner import Runner
from tac.verdict import Verdict
from tests.support.processes import ignore

R = TypeVar("R", bound=Runner)


class Place(ABC, Generic[R]):
    """Commands that are called `name` run here; `seconds` is the deadline of each."""

    def __init__(
        self, path: Path, name: str, seconds: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.path = path
        self.name = name
        self.log = path / "x.log"
        self.stop = threading.Event()
        self._seconds = seconds
        self._patch = monkeypatch
        self._runner: R | None = None

    @abstractmethod
    def new_runner(self) -> R:
        """Another driver's; the caller closes it."""

    @property
    def runner(self) -> R:
        """The runner, made when the settings are."""
        if self._runner is None:
            self._runner = self.new_runner()
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

    def command(self, *argv: object, **more: Any) -> RunRequest:
        values = {"environment": settings.child_environment(), "log": self.log, **more}
        return RunRequest(self.name, tuple(map(str, argv)), **values)

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
        thread.join(self._seconds)
        assert not thread.is_alive(), "the command still runs"
