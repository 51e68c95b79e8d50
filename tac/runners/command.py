"""What a runner is handed, and what a runner is: one command, and a place where commands run."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tac.progress import Location
    from tac.verdict import Verdict


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
