"""Status updates of running tasks, sent to Luigi's scheduler by one thread.

A task may update its status a thousand times a second; the scheduler gets the latest one of each
kind. It is sent before the task's result, or a finished task would stay at 7 % for ever, and none
after it: a late update would make a finished task run again.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import luigi
from luigi import rpc
from luigi.worker import TaskStatusReporter

from tac.observer import Observer
from tac.plain import plain

logger = logging.getLogger(__name__)

_WHOLE = 100

_PAUSE_SECONDS = 0.5
"""Between two rounds of sending: luigid serves all drivers from one thread."""


class StatusHub:
    """Keeps the latest update of each kind per task; one thread sends them."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Callable[[], object]] = {}
        self._sending: set[str] = set()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._refused = False

    def post(self, key: str, kind: str, send: Callable[[], object]) -> None:
        """Have `send` called soon, unless a newer update of this kind comes first."""
        with self._changed:
            self._waiting[key, kind] = send
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tac-status", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, key: str) -> None:
        """Send the updates of `key` from this thread; after that none of them is being sent."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._sending)
            waiting = [known for known in self._waiting if known[0] == key]
        for known in waiting:
            self._send(*known)

    def forget(self, key: str) -> None:
        """Drop the updates of `key`, and wait until none of them is being sent."""
        with self._changed:
            for known in [known for known in self._waiting if known[0] == key]:
                del self._waiting[known]
            self._changed.wait_for(lambda: key not in self._sending)

    def close(self) -> None:
        """Stop sending, and drop the updates that were not sent: the run has ended."""
        self._stop.set()
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stop.is_set())
                round_of = list(self._waiting)
            for key, kind in round_of:
                self._send(key, kind)
            self._stop.wait(_PAUSE_SECONDS)

    def _send(self, key: str, kind: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: key not in self._sending)
            send = self._waiting.pop((key, kind), None)
            if send is None:
                return
            self._sending.add(key)
        try:
            send()
        except (rpc.RPCError, OSError):
            level = logging.DEBUG if self._refused else logging.WARNING  # each task has updates
            self._refused = True
            logger.log(
                level, "the %s of %s was not sent to the scheduler", kind, key, exc_info=True
            )
        finally:
            with self._changed:
                self._sending.discard(key)
                self._changed.notify_all()


@dataclass(frozen=True)
class Listeners:
    """Who gets the updates of a task: the observers, and the scheduler through the hub."""

    observers: Observer
    hub: StatusHub
    declare_running: Callable[[luigi.Task, str], object]
    """Report to the scheduler once more that the task runs, with the URL of its log."""


class Reporter(TaskStatusReporter):
    """Luigi's status reporter: updates the observers at once, the scheduler soon."""

    keeps_policy = True
    """A tracking URL leaves the task's resources and retry policy alone; Luigi's own does not."""

    def __init__(
        self, scheduler: Any, task: luigi.Task, worker_id: str, messages: Any, to: Listeners
    ) -> None:
        super().__init__(scheduler, task.task_id, worker_id, messages)
        self._task = task
        self._to = to
        self._lock = threading.Lock()
        self._closed = False

    def update_status_message(self, message: str) -> None:
        """Show what the task does now."""
        message = plain(str(message), lines=True)
        self._to.observers.progressed(self._task_id, text=message)
        self._post("status", self._scheduler.set_task_status_message, self._task_id, message)

    def update_progress_percentage(self, percentage: float) -> None:
        """Show how far the task is."""
        percentage = min(max(percentage, 0), _WHOLE)
        self._to.observers.progressed(self._task_id, percent=int(percentage))
        send = self._scheduler.set_task_progress_percentage
        self._post("progress", send, self._task_id, percentage)

    def update_tracking_url(self, tracking_url: str) -> None:
        """Show where the log of the task is."""
        tracking_url = plain(tracking_url)
        self._to.observers.linked(self._task_id, tracking_url)
        # luigid's page comes by http, from which no browser opens a file: the button would be dead.
        if not tracking_url.startswith("file:"):
            self._post("place", self._to.declare_running, self._task, tracking_url)

    def respond(self, *answer: Any) -> None:
        """Answer a message of the scheduler."""
        self._scheduler.add_scheduler_message_response(*answer)

    def flush(self) -> None:
        """Send the pending updates to the scheduler now."""
        self._to.hub.flush(self._task_id)

    def close(self) -> None:
        """Drop all further updates; returns when none is being sent."""
        with self._lock:
            self._closed = True
        self._to.hub.forget(self._task_id)

    def _post(self, kind: str, send: Callable[..., object], *values: object) -> None:
        with self._lock:
            if not self._closed:
                self._to.hub.post(self._task_id, kind, lambda: send(*values))
