"""What our Luigi tasks share: they can be stopped, and report to Luigi's dashboard."""

from __future__ import annotations

import contextlib
import logging
import threading
import urllib.parse
from typing import TYPE_CHECKING, Any

import luigi
from luigi import rpc

from tac import settings
from tac.errors import TacError
from tac.plain import plain
from tac.progress import Progress, parse_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tac.progress import Location

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
"""Between two reports of progress under Luigi's own worker: each is two requests, which luigid
answers from one thread for all its workers. tac's worker limits its own rate."""

TRACEBACK_LIMIT = 20_000
"""Characters of a traceback that are sent to the dashboard."""


class _RateLimit:
    """Makes the latest report that was posted, in a thread of its own, at most once a second."""

    def __init__(self) -> None:
        self._last: Callable[[], object] | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="tac-reports", daemon=True)
        self._thread.start()

    def post(self, report: Callable[[], object]) -> None:
        """Make this report soon, unless a newer one is posted before that."""
        with self._changed:
            self._last = report
            self._changed.notify_all()

    def close(self) -> None:
        """Make the last report that was posted, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._last is not None or self._closed)
                report, self._last = self._last, None
            if report is None:
                return
            try:
                report()
            except (rpc.RPCError, OSError) as error:  # the step needs no dashboard
                _log.warning("a task's progress could not be reported: %s", plain(str(error)))
            with self._changed:
                self._changed.wait_for(lambda: self._closed, _PAUSE_SECONDS)


class StoppableTask(luigi.Task):
    """A Luigi task that only waits for a command to end, wherever that runs."""

    runs_in_thread = True
    """tac's worker runs it in a thread; Luigi's own worker knows processes alone."""

    _place = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # Luigi has no types
        self._begin()

    def _begin(self) -> None:
        self._stop = threading.Event()
        self._rate_limit: _RateLimit | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to threads: Luigi pickles tasks for other processes."""
        left_out = {"_stop", "_rate_limit"}
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def on_kill(self) -> None:
        """Stop the command; returns at once."""
        # The next run of the task may begin before this one has ended: it gets another event.
        stop, self._stop = self._stop, threading.Event()
        stop.set()

    def on_failure(self, exception: BaseException) -> Any:
        """Return what the dashboard shows of a failure: the message and its hint.

        Luigi's own answer, a traceback, has no hint; it is kept for bugs.
        """
        if not isinstance(exception, TacError):
            trace = super().on_failure(exception)  # type: ignore[no-untyped-call]  # Luigi's
            return plain(str(trace), limit=TRACEBACK_LIMIT, lines=True)
        hint = f"\nHint: {exception.hint}" if exception.hint else ""
        return f"{exception.message}{hint}"

    def report_status(self, text: str) -> None:
        """Show a text in the dashboard while the command does not run; no-op outside a worker."""
        self._place = ""
        self._show(text)

    def report_progress(self, line: str, log: object) -> None:
        """Show a line of the log in the dashboard, if it is one of progress."""
        if (progress := parse_progress(line)) is None:
            return
        if self._rate_limit is None:
            self._show_progress(progress, log)
        else:
            self._rate_limit.post(lambda: self._show_progress(progress, log))

    def report_location(self, location: Location, log: object) -> None:
        """Show the pod that runs the command, as its runner reports it, and link to its log."""
        self._place = location.text
        self._show(self._place, f"log: {log}")
        if template := settings.current().log_url:
            names = {"pod": location.pod, "namespace": location.namespace}
            quoted = {name: urllib.parse.quote(value, safe="") for name, value in names.items()}
            self.link(template.format_map(quoted))

    @contextlib.contextmanager
    def limited_reports(self) -> Iterator[None]:
        """Report progress inside the block at most once a second, and the last in any case."""
        if self.in_our_worker or self.set_status_message is None:
            yield
            return
        self._rate_limit = limit = _RateLimit()
        try:
            yield
        finally:
            self._rate_limit = None
            limit.close()

    def _show_progress(self, progress: Progress, log: object) -> None:
        self._show(progress.text, self._place, f"log: {log}")
        if self.set_progress_percentage is not None:
            self.set_progress_percentage(progress.percent)

    def _show(self, *lines: str) -> None:
        if self.set_status_message is not None:
            # Steps report what they find in data, and Luigi's page takes it for HTML and would run
            # a script in it (luigi 3.8.1, visualiserApp.js, showStatusMessage). "< " begins no tag.
            text = "\n".join(filter(None, map(plain, lines))).replace("<", "< ")
            self.set_status_message(text)

    def link(self, url: str) -> None:
        """Let the dashboard link to the log."""
        # Luigi's own worker drops the task's resources and retry policy when it gets one
        # (luigi 3.8.1, TaskStatusReporter.update_tracking_url).
        if self.set_tracking_url is not None and self.in_our_worker:
            self.set_tracking_url(url)

    @property
    def in_our_worker(self) -> bool:
        """Whether tac's worker runs the task now, and not Luigi's own."""
        reporter = getattr(self.set_tracking_url, "__self__", None)
        return getattr(reporter, "keeps_policy", False)
