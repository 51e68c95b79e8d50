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
        command gets SIGTERM, and SIGKILL when it takes longer than the grace of the settings.
        Never raises for what a command does; what `follow` raises ends the command first.
        """

    detaches_on_interrupt: ClassVar[bool]
    """Whether Ctrl-C detaches, unless it is pressed twice."""

    def detaches(self) -> bool:
        """Return whether what runs outlives this process when that is stopped."""

    def detach(self) -> None:
        """Let what runs outlive this process, if it can, whatever the settings say."""

    def preflight(self, addresses: Iterable[str] = ()) -> str:
        """Check that commands can run; return where they do, for the first line of a run.

        `addresses` are those that they will write; an empty answer stands for this machine.

        Raises:
            ConfigError: they cannot run with these settings, or not on these addresses.
        """

    def close(self) -> None:
        """End whatever still runs, and give everything back. May be called again."""
