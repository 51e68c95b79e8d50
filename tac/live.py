"""The view of a run: a live table on a terminal, else a line for each task that ends.

Both read one board, which only counts and takes the time from its caller.
"""

import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from tac.observer import Observer, Planned, TaskFailure
from tac.plain import plain

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType
    from rich.text import Text

_MOST_ROWS = 12
_FRAMES_PER_SECOND = 5
"""More frames would slow down a run of many small tasks."""


_LATEST = 50
"""How many of a family's tasks the estimate is the median of: not the mean, since the first ones
wait for libraries to be loaded."""


_TENTHS_BELOW_SECONDS = 10


@dataclass
class Running:
    """A task that runs now, with its latest progress."""

    name: str
    family: str
    began: float
    percent: int | None = None
    text: str = ""


@dataclass
class Board:
    """How far a run is, counted event by event: showing it does not look at every task."""

    workers: int = 1
    names: dict[str, str] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)
    """By family."""
    failed: dict[str, str] = field(default_factory=dict)
    """The tasks that failed and do not run again as yet: key to name."""
    complete: int = 0
    done: int = 0
    took: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By family, the seconds of each task that finished."""

    @property
    def to_run(self) -> int:
        """How many tasks this run runs, with those that have finished."""
        return self.done + len(self.running) + len(self.failed) + self.waiting.total()

    def plan(self, tasks: Iterable[Planned]) -> None:
        """Add what is new of a plan."""
        for task in tasks:
            if task.key in self.names:
                continue
            self.names[task.key] = task.name
            self.families[task.key] = task.family
            if task.complete:
                self.complete += 1
            else:
                self.waiting[task.family] += 1

    def start(self, key: str, now: float) -> None:
        """Move a task to those that run."""
        family = self.families.get(key, "")
        if key in self.failed:
            del self.failed[key]
        else:
            self.waiting[family] -= 1
        self.running[key] = Running(self.names.get(key, key), family, now)

    def progress(self, key: str, percent: int | None, text: str | None) -> None:
        """Set the progress of a running task."""
        task = self.running.get(key)
        if task is not None:
            task.percent = task.percent if percent is None else percent
            task.text = task.text if text is None else text

    def finish(self, key: str, now: float) -> float:
        """Count a finished task; return how many seconds it took."""
        task = self.running.pop(key, None)
        self.done += 1
        if task is None:
            return 0.0
        took = now - task.began
        self.took[task.family].append(took)
        return took

    def fail(self, key: str) -> None:
        """Move a task to those that failed."""
        self.running.pop(key, None)
        self.failed[key] = self.names.get(key, key)

    def suspend(self, key: str) -> None:
        """Move a running task to those that wait."""
        if self.running.pop(key, None):
            self.waiting[self.families.get(key, "")] += 1

    def seconds_left(self, now: float) -> float | None:
        """Estimate from the tasks that finished; None while one of a family has yet to."""
        left = 0.0
        for family, count in (+self.waiting).items():
            if family not in self.took:
                return None
            left += count * self._usual(family)
        longest = 0.0
        for task in self.running.values():
            if task.family not in self.took:
                return None
            rest = max(0.0, self._usual(task.family) - (now - task.began))
            left += rest
            longest = max(longest, rest)
        return max(left / max(1, self.workers), longest)

    def _usual(self, family: str) -> float:
        return statistics.median(self.took[family][-_LATEST:])


def seconds_text(seconds: float) -> str:
    """Format a duration: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < _TENTHS_BELOW_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes_left = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes} min {rest} s"
    return f"{hours} h {minutes_left} min"


class PlainLines(Observer):
    """One line for each task that ends, and for nothing else."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._clock = clock
        self._board = Board()

    def planned(self, tasks: Sequence[Planned]) -> None:
        """Count them."""
        self._board.plan(tasks)

    def started(self, key: str) -> None:
        """Note the time."""
        self._board.start(key, self._clock())

    def suspended(self, key: str, needs: Sequence[str]) -> None:
        """Print it: the number of tasks has grown."""
        self._board.suspend(key)
        self._line(key, f"needs {len(needs)} more first")

    def finished(self, key: str) -> None:
        """Print it."""
        took = self._board.finish(key, self._clock())
        self._line(key, f"done in {seconds_text(took)}")

    def failed(self, key: str, failure: TaskFailure, *, again: bool) -> None:
        """Print it, with the reason only if the task is retried: the summary has the others."""
        self._board.fail(key)
        self._line(key, f"failed, and is tried again: {failure.message}" if again else "failed")

    def notice(self, text: str) -> None:
        """Print it."""
        self._say(text)

    def _line(self, key: str, what: str) -> None:
        board = self._board
        width = len(str(board.to_run))
        ended = board.done + len(board.failed)
        self._say(f"[{ended:{width}}/{board.to_run}] {board.names.get(key, key)}: {what}")


class LiveView(Observer):
    """A table that is drawn several times a second, and removed when the run ends."""

    def __init__(self, console: "Console", workers: int) -> None:
        from rich.live import Live

        self._console = console
        self._board = Board(workers)
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        self._live.stop()

    def planned(self, tasks: Sequence[Planned]) -> None:
        """Count them."""
        with self._lock:
            self._board.plan(tasks)

    def started(self, key: str) -> None:
        """Show it among those that run."""
        with self._lock:
            self._board.start(key, time.monotonic())

    def progressed(self, key: str, *, percent: int | None = None, text: str | None = None) -> None:
        """Show it in the row of the task."""
        with self._lock:
            self._board.progress(key, percent, text)

    def suspended(self, key: str, needs: Sequence[str]) -> None:  # noqa: ARG002 - an observer's
        """Count it as waiting."""
        with self._lock:
            self._board.suspend(key)

    def finished(self, key: str) -> None:
        """Count it."""
        with self._lock:
            self._board.finish(key, time.monotonic())

    def failed(self, key: str, failure: TaskFailure, *, again: bool) -> None:
        """Print a line about it above the table."""
        with self._lock:
            self._board.fail(key)
            name = self._board.names.get(key, key)
        what = "failed, and is tried again" if again else "failed"
        self.notice(f"{name}: {what}: {failure.message}")

    def notice(self, text: str) -> None:
        """Print a line about it above the table."""
        self._console.print(_text(text))

    def _draw(self) -> "RenderableType":
        from rich.console import Group

        now = time.monotonic()
        with self._lock:
            header = header_text(self._board, now, self._began)
            share = (self._board.done, max(1, self._board.to_run))
            rows = [replace(task) for task in self._board.running.values()]
            waiting = waiting_text(self._board)
        parts: list[RenderableType] = [_header(header, share)]
        if rows:
            parts.append(_table(rows, now))
        if waiting:
            parts.append(_text(waiting))
        return Group(*parts)


def waiting_text(board: Board) -> str:
    """Return how many tasks wait, by family; "": none."""
    waiting = [f"{count} {family}" for family, count in (+board.waiting).items()]
    return f"waiting: {', '.join(waiting)}" if waiting else ""


def header_text(board: Board, now: float, began: float) -> str:
    """Return how far the run is, and the estimate of the time left."""
    left = board.seconds_left(now)
    rest = "time left unknown yet" if left is None else f"about {seconds_text(left)} left"
    failed = f", {len(board.failed)} failed" if board.failed else ""
    return f"{board.done} of {board.to_run} done{failed}, {seconds_text(now - began)}, {rest}"


def _header(text: str, share: tuple[int, int]) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    done, to_run = share
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=to_run, completed=done, width=30), _text(text))
    return grid


def _table(tasks: Sequence[Running], now: float) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column(width=12)
    table.add_column(no_wrap=True, justify="right", min_width=6)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    for task in tasks[:_MOST_ROWS]:
        bar = "" if task.percent is None else ProgressBar(100, task.percent, width=12)
        elapsed = seconds_text(now - task.began)
        table.add_row(_text(task.name), bar, elapsed, _text(_doing(task.text)))
    if len(tasks) > _MOST_ROWS:
        table.add_row(f"and {len(tasks) - _MOST_ROWS} more", "", "", "")
    return table


def _text(text: str) -> "Text":
    """Keep rich from reading markup, links and emoji codes in a text."""
    from rich.text import Text

    return Text(plain(text))


def _doing(text: str) -> str:
    """Leave out where the log is: the dashboard shows it, and the summary if the task failed."""
    return " ".join(line for line in text.splitlines() if not line.startswith("log: "))
