"""What our Luigi tasks that run elsewhere share: they stop when told, and tell the dashboard."""

from __future__ import annotations

import threading
from typing import Any

import luigi

from tac.progress import parse_progress


class StoppableTask(luigi.Task):
    """A Luigi task that waits for something, in a thread of tac's worker, or Luigi's process."""

    runs_in_thread = True
    """tac's worker waits for it in a thread of its own process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # Luigi has no types
        self._stop = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the event out: Luigi pickles tasks to hand them to other processes."""
        return {name: value for name, value in self.__dict__.items() if name != "_stop"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._stop = threading.Event()

    def on_kill(self) -> None:
        """Stop what runs; returns at once."""
        # The next run of the task may begin before this one has ended: it gets an event of its own.
        stop, self._stop = self._stop, threading.Event()
        stop.set()

    def tell(self, text: str, *, percent: int | None = None) -> None:
        """Show a line in the dashboard; outside a worker there is none."""
        if self.set_status_message is not None:
            self.set_status_message(text)
        if percent is not None and self.set_progress_percentage is not None:
            self.set_progress_percentage(percent)

    def tell_progress(self, line: str, log: object) -> None:
        """Show a line of the log in the dashboard, if it is one of progress."""
        if (told := parse_progress(line)) is not None:
            self.tell(f"{told.text}\nlog: {log}", percent=told.percent)

    def link(self, url: str) -> None:
        """Let the dashboard link to the log."""
        # Luigi's own worker forgets the task's resources and retry policy when it is told one
        # (luigi 3.8.1, TaskStatusReporter.update_tracking_url).
        if self.set_tracking_url is not None and self.in_our_worker:
            self.set_tracking_url(url)

    @property
    def in_our_worker(self) -> bool:
        """Whether tac's worker runs the task now, and not Luigi's own."""
        reporter = getattr(self.set_tracking_url, "__self__", None)
        return getattr(reporter, "keeps_policy", False)
