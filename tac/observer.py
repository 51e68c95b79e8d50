"""The events of a run, and who observes them: the live view, the lines of a log, the summary.

An observer gets plain values and never a task, so neither this module nor a view imports Luigi.
`key` is Luigi's task id everywhere. The calls come from several threads, one at a time.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tac.plain import plain

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """One task of the plan, what it needs, and whether it is complete already."""

    key: str
    family: str
    name: str
    needs: tuple[str, ...]
    complete: bool


@dataclass(frozen=True)
class TaskFailure:
    """Why a task failed: one sentence, a hint, and details such as a traceback.

    Sentence and hint are made plain and one line each.
    """

    message: str
    hint: str | None = None
    details: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", plain(self.message))
        if self.hint is not None:
            object.__setattr__(self, "hint", plain(self.hint))


class Observer:
    """Ignores every event; a view overrides those that it shows."""

    def planned(self, tasks: Sequence[Planned]) -> None:
        """These tasks belong to the run; a later call adds to an earlier one."""

    def started(self, key: str) -> None:
        """The task runs from now on; it may have failed before."""

    def progressed(self, key: str, *, percent: int | None = None, text: str | None = None) -> None:
        """The running task reported its progress, or what it does."""

    def linked(self, key: str, url: str) -> None:
        """The running task reported the URL of its log."""

    def suspended(self, key: str, needs: Sequence[str]) -> None:
        """The task yielded dynamic dependencies, and runs again when they are complete."""

    def finished(self, key: str) -> None:
        """The task succeeded, and its output exists."""

    def failed(self, key: str, failure: TaskFailure, *, again: bool) -> None:
        """The task failed; `again`: it is retried."""

    def notice(self, text: str) -> None:
        """One line about the run, and not about a task."""


class Observers(Observer):
    """Passes each event to every observer; an exception of one is logged, and the run goes on."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)
        self._one_at_a_time = threading.RLock()
        self._failed: set[tuple[str, int]] = set()

    def planned(self, tasks: Sequence[Planned]) -> None:
        """Pass it on."""
        self._notify("planned", tasks)

    def started(self, key: str) -> None:
        """Pass it on."""
        self._notify("started", key)

    def progressed(self, key: str, *, percent: int | None = None, text: str | None = None) -> None:
        """Pass it on."""
        self._notify("progressed", key, percent=percent, text=text)

    def linked(self, key: str, url: str) -> None:
        """Pass it on."""
        self._notify("linked", key, url)

    def suspended(self, key: str, needs: Sequence[str]) -> None:
        """Pass it on."""
        self._notify("suspended", key, needs)

    def finished(self, key: str) -> None:
        """Pass it on."""
        self._notify("finished", key)

    def failed(self, key: str, failure: TaskFailure, *, again: bool) -> None:
        """Pass it on."""
        self._notify("failed", key, failure, again=again)

    def notice(self, text: str) -> None:
        """Pass it on."""
        self._notify("notice", text)

    def _notify(self, event: str, *values: object, **named: object) -> None:
        with self._one_at_a_time:
            for observer in self._observers:
                try:
                    getattr(observer, event)(*values, **named)
                except Exception:  # an observer must not end the run
                    if (event, id(observer)) not in self._failed:  # a run has thousands of events
                        self._failed.add((event, id(observer)))
                        logger.exception("%s of %r failed", event, observer)
