"""The process of one task: its assignment, its run, and the messages that it sends.

It is connected to the driver and never to the scheduler, and ends when that connection does.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import os
import pickle
import queue
import signal
import threading
import time
import traceback
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import luigi
from luigi.task_status import FAILED
from luigi.worker import ContextManagedTaskProcess, SchedulerMessage, TaskException

from tac import terminal
from tac.errors import cut
from tac.observer import TaskFailure
from tac.worker.defaults import Defaults, set_defaults
from tac.worker.failures import failure_of
from tac.worker.luigi_logging import silence_luigi


@dataclass(frozen=True)
class Assignment:
    """A task, and how it is to be run."""

    task: luigi.Task
    worker_id: str
    check_unfulfilled_deps: bool
    check_complete_on_run: bool
    stop_grace_seconds: float
    verbose: bool
    process_context: str | None
    defaults: Defaults = field(default_factory=dict)
    """The defaults of parameters that were set in the driver."""


def failure_of_run(task: luigi.Task, error: BaseException) -> TaskFailure:
    """Return why run() failed, or why the task is not complete after it."""
    if isinstance(error, TaskException):  # the only one that TaskProcess.run raises
        return _not_complete(task)
    return failure_of(str(task), error)


def _not_complete(task: luigi.Task) -> TaskFailure:
    ended = f"{task}: ended without an error, and"
    if luigi.task.flatten(task.output()):
        return TaskFailure(
            f"{ended} its output does not exist", hint="run() has to create what output() names"
        )
    if type(task).complete is luigi.Task.complete:
        return TaskFailure(
            f"{ended} has no output() that shows that it is done",
            hint="return a target from output(), or give it a complete() of its own",
        )
    return TaskFailure(
        f"{ended} its complete() says that it is not done",
        hint="complete() has to return True once run() has ended",
    )


def main(theirs: Connection, pickled: bytes) -> None:
    """Run the task, send the result, and exit."""
    os.setpgid(0, 0)
    terminal.guard()
    driver = _Driver(theirs)
    warnings.showwarning = driver.warn  # type: ignore[assignment]  # it is never called with keywords
    driver.listen()
    try:
        assignment: Assignment = pickle.loads(pickled)  # noqa: S301 - from the driver that started us
    except Exception as error:  # noqa: BLE001 - it imports the task's own module
        text = f"its process could not load it: {type(error).__name__}: {cut(str(error))}"
        driver.send("failure", TaskFailure(text, details=traceback.format_exc()))
        driver.send("result", ("", FAILED, traceback.format_exc(), [], []))
        return
    silence_luigi(verbose=assignment.verbose)
    set_defaults(assignment.defaults)
    driver.grace_seconds = assignment.stop_grace_seconds
    try:
        _TaskRun(assignment, driver).run()
    except KeyboardInterrupt:  # its result is told
        return


class _TaskRun(ContextManagedTaskProcess):
    """Luigi's run(), which puts its result into `result_queue`: the connection to the driver."""

    def __init__(self, assignment: Assignment, driver: "_Driver") -> None:
        super().__init__(
            assignment.process_context,
            assignment.task,
            assignment.worker_id,
            driver,
            _Reporter(driver, assignment.task),
            use_multiprocessing=True,
            check_unfulfilled_deps=assignment.check_unfulfilled_deps,
            check_complete_on_run=assignment.check_complete_on_run,
        )

    def _handle_run_exception(self, ex: BaseException) -> Any:
        self.result_queue.send("failure", failure_of_run(self.task, ex))
        return super()._handle_run_exception(ex)


class _Driver:
    """The other end of the connection."""

    def __init__(self, theirs: Connection) -> None:
        self._connection = theirs
        self._sending = threading.Lock()
        self.messages: queue.SimpleQueue[SchedulerMessage] = queue.SimpleQueue()
        self.grace_seconds = 0.0

    def put(self, result: Any) -> None:
        self.send("result", result)

    def send(self, *values: Any) -> None:
        with self._sending:
            self._connection.send(values)

    def warn(
        self, message: Warning | str, _: object, filename: str, lineno: int, *__: object
    ) -> None:
        """Let the driver show a warning: it knows which ones it has shown already."""
        self.send("warning", str(message), filename, lineno)

    def add_scheduler_message_response(self, *values: Any) -> None:
        self.send("report", "respond", values)

    def listen(self) -> None:
        threading.Thread(target=self._listen, name="tac-driver", daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                task_id, message_id, content, payload = self._connection.recv()
            except (EOFError, OSError):
                self._die()
                return
            self.messages.put(SchedulerMessage(self, task_id, message_id, content, **payload))

    def _die(self) -> None:
        """End this process, and all it started: the driver has ended."""
        os.killpg(0, signal.SIGTERM)
        time.sleep(self.grace_seconds)  # mostly SIGTERM ends this process in it
        os.killpg(0, signal.SIGKILL)


class _Reporter:
    """Luigi's status reporter in this process: sends each update to the driver."""

    def __init__(self, driver: _Driver, task: luigi.Task) -> None:
        self._driver = driver
        self.scheduler_messages = driver.messages if task.accepts_messages else None

    def __getattr__(self, method: str) -> Any:
        if not method.startswith(("update_", "decrease_", "report_")):
            raise AttributeError(method)
        return lambda *values: self._driver.send("report", method, values)
