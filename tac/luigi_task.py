"""What our Luigi tasks that run elsewhere share: they stop when told, and tell the dashboard."""

from __future__ import annotations

import re
import threading
from typing import Any

import luigi

from tac import settings
from tac.errors import TacError
from tac.progress import parse_progress

_PLACE = re.compile(
    r"^# (?P<place>pod/(?P<pod>\S+)[^:]*(: kubectl .*--namespace (?P<namespace>\S+) logs .*)?)$"
)
"""The line in which a runner notes in the log where a step runs that does not run here."""


class StoppableTask(luigi.Task):
    """A Luigi task that waits for something, in a thread of tac's worker, or Luigi's process."""

    runs_in_thread = True
    """tac's worker waits for it in a thread of its own process."""

    _place = ""

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

    def on_failure(self, exception: BaseException) -> Any:
        """Return what the dashboard shows of a failure: what happened, and what to do about it.

        Luigi's own answer, a traceback, knows no hint; a bug keeps it.
        """
        if not isinstance(exception, TacError):
            return super().on_failure(exception)  # type: ignore[no-untyped-call]  # Luigi's
        hint = f"\nHint: {exception.hint}" if exception.hint else ""
        return f"{exception.message}{hint}"

    def tell(self, text: str) -> None:
        """Show a text in the dashboard, where nothing runs; outside a worker there is none."""
        self._place = ""
        self._show(text)

    def tell_progress(self, line: str, log: object) -> None:
        """Show a line of the log in the dashboard, if it says how far the work is, or where."""
        if (told := parse_progress(line)) is not None:
            self._show(told.text, self._place, f"log: {log}")
            if self.set_progress_percentage is not None:
                self.set_progress_percentage(told.percent)
        elif found := _PLACE.match(line):
            self._place = found["place"]
            self._show(self._place, f"log: {log}")
            if template := settings.current().log_url:
                names = {"pod": found["pod"], "namespace": found["namespace"] or ""}
                self.link(template.format_map(names))

    def _show(self, *lines: str) -> None:
        if self.set_status_message is not None:
            # Steps tell what they find in data, and Luigi's page takes it for HTML and would run a
            # script in it (luigi 3.8.1, visualiserApp.js, showStatusMessage). "< " begins no tag.
            text = "\n".join(filter(None, lines)).replace("<", "< ")
            self.set_status_message(text)

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
