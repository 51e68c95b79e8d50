"""What a task asks of whoever runs it: the one type between tasks, runners and Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tac.progress import Location


@dataclass(frozen=True)
class RunRequest:
    """One attempt at one task: what to run, in which environment, and where its log goes."""

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
