"""Runners: the places where a step's command runs, behind one small interface.

A runner starts a command, follows what it says, stops it when told to, and gives a verdict.
It knows nothing of Luigi and nothing of what the step is for.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from tac import settings
from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tac.progress import Location
    from tac.verdict import Verdict


NAMES = ("local", "docker", "kubernetes")
"""The runners that there are."""


@dataclass(frozen=True)
class Command:
    """One attempt at one step: what to run, in which environment, and where its words go."""

    name: str
    """What people call it; `tac.names.log_name` makes it."""

    argv: tuple[str, ...] = field(repr=False)
    """A first word `python` means the interpreter of the place where it runs. An address in it may
    hold a password, which `tac.redaction` leaves out of what is shown."""

    environment: Mapping[str, str] = field(repr=False)
    """All variables, not only additions. It may hold credentials, so no message shows it."""

    log: Path
    """The file that everything the command says is appended to; made with its directories."""

    attempt: int = 1
    """The number of this attempt, from 1."""

    output: str = ""
    """The address that it publishes; where it is known, an earlier success is believed only if
    something is there."""

    memory: str = ""
    """How much memory it may use in a container, such as `2Gi`; else what the settings say."""

    cpu: str = ""
    """How many processors it may use in a container, such as `1.5`; else what the settings say."""

    located: Callable[[Location], None] | None = field(default=None, repr=False, compare=False)
    """Hears from the runner in which pod it runs; a line of the log may be anybody's."""


class Runner(Protocol):
    """A place where commands run. Any number of threads may use one at the same time."""

    def run(
        self, command: Command, *, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        """Run the command to its end and say what it came to.

        `follow` gets each line of the log once, while the command runs. When `stop` is set the
        command is told to end, and made to when it takes longer than the grace of the settings.
        Never raises for what a command does; what `follow` raises ends the command first.
        """

    leaves_on_interrupt: ClassVar[bool]
    """Ctrl-C lets what runs go on, unless it is pressed twice."""

    def leaves(self) -> bool:
        """Tell whether what runs goes on when this process is told to stop."""

    def leave(self) -> None:
        """Let what runs go on, if it can, whatever the settings say."""

    def where(self, addresses: Iterable[str] = ()) -> str:
        """Say where commands run, for the first line of a run; nothing: here.

        `addresses` are what they will write.

        Raises:
            ConfigError: they cannot run there with these settings, or not on these addresses.
        """

    def close(self) -> None:
        """End whatever still runs, and give everything back. May be called again."""


_shared: list[Runner] = []
_lock = threading.Lock()


def shared() -> Runner:
    """Return the runner that the settings name, one for this whole process, closed at its exit.

    Raises:
        ConfigError: there is no such runner.
    """
    with _lock:
        if not _shared:
            runner = runner_named(settings.current().runner)
            atexit.register(runner.close)
            _shared.append(runner)
        return _shared[-1]


@contextlib.contextmanager
def using(runner: Runner) -> Iterator[Runner]:
    """Let `shared` return this runner inside the block, and close it behind."""
    with _lock:
        _shared.append(runner)
    try:
        yield runner
    finally:
        with _lock:
            _shared.remove(runner)
        runner.close()


def tidy() -> None:
    """Let the runner that the settings name remove what drivers that were killed left behind."""
    runner = settings.current().runner
    if runner == "docker":
        from tac.runners.docker import DockerRunner

        DockerRunner().tidy()
    elif runner == "kubernetes":
        from tac.runners.kubernetes import KubernetesRunner

        KubernetesRunner().tidy()


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
