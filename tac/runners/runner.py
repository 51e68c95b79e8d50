"""What a runner is: a place where commands run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from tac.request import RunRequest
    from tac.verdict import Verdict


class Runner(ABC):
    """A place where commands run. Any number of threads may use one at the same time."""

    detaches_on_interrupt: ClassVar[bool] = False
    """Whether Ctrl-C detaches, unless it is pressed twice."""

    @abstractmethod
    def run(
        self, request: RunRequest, *, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        """Run the command to its end and return its verdict.

        `follow` gets each line of the log once, while the command runs. When `stop` is set the
        command gets SIGTERM, and SIGKILL when it takes longer than the grace of the settings.
        Never raises for what a command does; what `follow` raises ends the command first.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop whatever still runs, or detach, and release everything. May be called again."""

    def preflight(self, addresses: Iterable[str] = ()) -> str:  # noqa: ARG002 - any will do
        """Check that commands can run; return where they do, for the first line of a run.

        `addresses` are those that they will write; an empty answer stands for this machine.

        Raises:
            ConfigError: they cannot run with these settings, or not on these addresses.
        """
        return ""

    def detaches(self) -> bool:
        """Return whether what runs outlives this process when that is stopped."""
        return False

    def detach(self) -> None:  # noqa: B027 - most runners cannot
        """Let what runs outlive this process, if it can, whatever the settings say."""

    def sweep(self) -> None:  # noqa: B027 - most runners leave nothing
        """Remove what killed drivers have left, and close."""
