"""What a runner is: a place where commands run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from tac.request import RunRequest
    from tac.verdict import Verdict


class Runner(Protocol):
    """A place where commands run. Any number of threads may use one at the same time."""

    def run(
        self, request: RunRequest, *, follow: Callable[[str], None], stop: threading.Event
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
