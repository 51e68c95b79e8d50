"""What our Luigi tasks that run elsewhere share: they stop when told, and tell the dashboard."""

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
"""Between two times that Luigi's own worker is told how far a task is: each is two requests, which
luigid answers from one thread for everybody. tac's worker has a pause of its own."""

TRACEBACK_LIMIT = 20_000
"""Characters of a traceback that the dashboard is sent."""


class _Telling:
    """Does the last of what is posted, soon and in a thread of its own, with a pause behind it."""

    def __init__(self) -> None:
        self._last: Callable[[], object] | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="tac-telling", daemon=True)
        self._thread.start()

    def post(self, tell: Callable[[], object]) -> None:
        """Have it done, unless something newer is posted before."""
        with self._changed:
            self._last = tell
            self._changed.notify_all()

    def close(self) -> None:
        """Do what was posted last, and nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._last is not None or self._closed)
                tell, self._last = self._last, None
            if tell is None:
                return
            try:
                tell()
            except (rpc.RPCError, OSError) as error:  # the work goes on without its dashboard
                _log.warning("the scheduler was not told how far a task is: %s", plain(str(error)))
            with self._changed:
                self._changed.wait_for(lambda: self._closed, _PAUSE_SECONDS)


class StoppableTask(luigi.Task):
    """A Luigi task that waits for something, in a thread of tac's worker, or Luigi's process."""

    runs_in_thread = True
    """tac's worker waits for it in a thread of its own process."""

    _place = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # Luigi has no types
        self._begin()

    def _begin(self) -> None:
        self._stop = threading.Event()
        self._telling: _Telling | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave threads' things out: Luigi pickles tasks to hand them to other processes."""
        left_out = {"_stop", "_telling"}
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

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
            trace = super().on_failure(exception)  # type: ignore[no-untyped-call]  # Luigi's
            return plain(str(trace), limit=TRACEBACK_LIMIT, lines=True)
        hint = f"\nHint: {exception.hint}" if exception.hint else ""
        return f"{exception.message}{hint}"

    def tell(self, text: str) -> None:
        """Show a text in the dashboard, where nothing runs; outside a worker there is none."""
        self._place = ""
        self._show(text)

    def tell_progress(self, line: str, log: object) -> None:
        """Show a line of the log in the dashboard, if it says how far the work is."""
        if (told := parse_progress(line)) is None:
            return
        if self._telling is None:
            self._show_progress(told, log)
        else:
            self._telling.post(lambda: self._show_progress(told, log))

    def tell_place(self, location: Location, log: object) -> None:
        """Show where the work runs, as its runner told it, and link to a log that is kept there."""
        self._place = location.text
        self._show(self._place, f"log: {log}")
        if template := settings.current().log_url:
            names = {"pod": location.pod, "namespace": location.namespace}
            quoted = {name: urllib.parse.quote(value, safe="") for name, value in names.items()}
            self.link(template.format_map(quoted))

    @contextlib.contextmanager
    def last_word_told(self) -> Iterator[None]:
        """Tell of what is said inside the last word at most once a second, and the very last."""
        if self.in_our_worker or self.set_status_message is None:
            yield
            return
        self._telling = telling = _Telling()
        try:
            yield
        finally:
            self._telling = None
            telling.close()

    def _show_progress(self, told: Progress, log: object) -> None:
        self._show(told.text, self._place, f"log: {log}")
        if self.set_progress_percentage is not None:
            self.set_progress_percentage(told.percent)

    def _show(self, *lines: str) -> None:
        if self.set_status_message is not None:
            # Steps tell what they find in data, and Luigi's page takes it for HTML and would run a
            # script in it (luigi 3.8.1, visualiserApp.js, showStatusMessage). "< " begins no tag.
            text = "\n".join(filter(None, map(plain, lines))).replace("<", "< ")
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
