"""What a run tells those who watch it.

An observer gets plain values and never a task, so a view needs no Luigi.
`key` is Luigi's task id everywhere.
The calls come from several threads, one at a time.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tac.plain import plain

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """One task of the plan, what it needs, and whether its output is there already."""

    key: str
    family: str
    name: str
    needs: tuple[str, ...]
    there: bool


@dataclass(frozen=True)
class TaskFailure:
    """Why a task failed: one sentence, what to do about it, and everything else that is known.

    Whatever it is made of, the sentence and the hint are one plain line each.
    """

    message: str
    hint: str | None = None
    details: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", plain(self.message))
        if self.hint is not None:
            object.__setattr__(self, "hint", plain(self.hint))


class Observer:
    """Hears everything and does nothing; a view overrides what it wants to know."""

    def planned(self, tasks: Sequence[Planned]) -> None:
        """These tasks belong to the run; a later call adds to an earlier one."""

    def started(self, key: str) -> None:
        """The task runs from now on; it may have failed before."""

    def told(self, key: str, *, percent: int | None = None, text: str | None = None) -> None:
        """The running task says how far it is, or what it does."""

    def linked(self, key: str, url: str) -> None:
        """The running task says where its log can be read."""

    def suspended(self, key: str, needs: Sequence[str]) -> None:
        """The task found out what else it needs and will run again after that."""

    def finished(self, key: str) -> None:
        """The task did its work and its output is there."""

    def failed(self, key: str, failure: TaskFailure, *, again: bool) -> None:
        """The task failed; `again` says that it will be tried once more."""

    def notice(self, text: str) -> None:
        """Something that is no task's affair, worth one line."""


class Observers(Observer):
    """Passes each event to every observer; one that fails is logged and never harms the run."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = tuple(observers)
        self._one_at_a_time = threading.RLock()
        self._failed: set[tuple[str, int]] = set()

    def planned(self, tasks: Sequence[Planned]) -> None:
        """Pass it on."""
        self._tell("planned", tasks)

    def started(self, key: str) -> None:
        """Pass it on."""
        self._tell("started", key)

    def told(self, key: str, *, percent: int | None = None, text: str | None = None) -> None:
        """Pass it on."""
        self._tell("told", key, percent=percent, text=text)

    def linked(self, key: str, url: str) -> None:
        """Pass it on."""
        self._tell("linked", key, url)

    def suspended(self, key: str, needs: Sequence[str]) -> None:
        """Pass it on."""
        self._tell("suspended", key, needs)

    def finished(self, key: str) -> None:
        """Pass it on."""
        self._tell("finished", key)

    def failed(self, key: str, failure: TaskFailure, *, again: bool) -> None:
        """Pass it on."""
        self._tell("failed", key, failure, again=again)

    def notice(self, text: str) -> None:
        """Pass it on."""
        self._tell("notice", text)

    def _tell(self, event: str, *values: object, **named: object) -> None:
        with self._one_at_a_time:
            for observer in self._observers:
                try:
                    getattr(observer, event)(*values, **named)
                except Exception:  # who only watches must not end the run
                    if (event, id(observer)) not in self._failed:  # a run has thousands of events
                        self._failed.add((event, id(observer)))
                        logger.exception("%s of %r failed", event, observer)
