"""Runners: the places where a step's command runs, behind one small interface.

A runner starts a command, follows its log, stops it on demand, and returns a verdict.
It knows nothing of Luigi, and nothing of what the step is for.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from typing import TYPE_CHECKING

from tac import settings
from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tac.runners.runner import Runner


NAMES = ("local", "docker", "kubernetes")
"""The runners that there are."""


_current: list[Runner] = []
_lock = threading.Lock()


def current() -> Runner:
    """Return the runner that the settings name, one for this whole process, closed at its exit.

    Raises:
        ConfigError: there is no such runner.
    """
    with _lock:
        if not _current:
            runner = runner_named(settings.current().runner)
            atexit.register(runner.close)
            _current.append(runner)
        return _current[-1]


@contextlib.contextmanager
def using(runner: Runner) -> Iterator[Runner]:
    """Let `current` return this runner inside the block, and close it after that."""
    with _lock:
        _current.append(runner)
    try:
        yield runner
    finally:
        with _lock:
            _current.remove(runner)
        runner.close()


def sweep() -> None:
    """Let the runner of the settings remove what killed drivers have left."""
    runner_named(settings.current().runner).sweep()


def runner_named(name: str) -> Runner:
    """Make a runner of that name.

    Raises:
        ConfigError: there is no such runner.
    """
    if name == "local":
        from tac.runners.local import LocalRunner

        return LocalRunner()
    if name == "docker":
        from tac.runners.docker import DockerRunner

        return DockerRunner()
    if name == "kubernetes":
        from tac.runners.kubernetes import KubernetesRunner

        return KubernetesRunner()
    raise _unknown(name)


def check_name(name: str) -> None:
    """Refuse a name that no runner has, also where nothing is left to run.

    Raises:
        ConfigError: there is no such runner.
    """
    if name not in NAMES:
        raise _unknown(name)


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"runner: there is none called {name!r}", hint=f"use {_choice(NAMES)}")


def _choice(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
