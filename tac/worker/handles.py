"""A running task as the worker holds it: a thread, which works itself or waits for a process.

Luigi's TaskProcess is a process by birth; here only its run() is used, in a thread, so dynamic
requirements, events, on_failure() and the check of complete() stay Luigi's own.
The driver has threads, so it never forks: 46 of 300 children hung when it did.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import contextlib
import functools
import os
import queue
import signal
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection, context, get_context
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

import luigi
from luigi.task_status import FAILED
from luigi.worker import SchedulerMessage, TaskProcess

from tac.errors import cut
from tac.observer import TaskFailure
from tac.worker import child
from tac.worker.defaults import defaults
from tac.worker.failures import failure_of
from tac.worker.status import Reporter

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

Result = tuple[str, str, Any, list[str], list[Any]]
"""As TaskProcess puts it: task id, status, explanation, missing needs, new needs."""

_PROCESSES = threading.Lock()
"""multiprocessing looks after all its children whenever it starts one: one thread at a time."""

_EXIT_SECONDS = 5.0
"""A process that gave its result has as long to end by itself."""


class Results(queue.SimpleQueue[Result]):
    """The worker's queue of results; Luigi closes it in the end."""

    def close(self) -> None:
        """There is nothing to close."""


class FencedResults:
    """Lets one result of one attempt through, and none after the attempt was stopped.

    Otherwise a late result of an attempt that timed out would be taken for that of the next.
    `flush` is called before the result is let through.
    """

    def __init__(self, results: Results, flush: Callable[[], object]) -> None:
        self._results = results
        self._flush = flush
        self._lock = threading.Lock()
        self._closed = False

    def put(self, result: Result) -> None:
        """Pass the result on, if it is the first."""
        self._flush()
        if self.close():
            self._results.put(result)

    def close(self) -> bool:
        """Let nothing more through; False when it was closed before."""
        with self._lock:
            was_open = not self._closed
            self._closed = True
        return was_open


@dataclass(frozen=True)
class TaskOptions:
    """How the worker wants its tasks run."""

    worker_id: str
    timeout_seconds: int
    check_unfulfilled_deps: bool
    check_complete_on_run: bool
    stop_grace_seconds: float
    """Between asking a process to stop and killing it."""
    verbose: bool


class ThreadHandle(TaskProcess):
    """Runs the task in a thread; for a task that only waits, or has nothing to do."""

    task: luigi.Task
    result_queue: FencedResults

    def __init__(
        self, task: luigi.Task, results: Results, reporter: Reporter, options: TaskOptions
    ) -> None:
        super().__init__(
            task,
            options.worker_id,
            FencedResults(results, reporter.flush),
            reporter,
            worker_timeout=options.timeout_seconds,
            check_unfulfilled_deps=options.check_unfulfilled_deps,
            check_complete_on_run=options.check_complete_on_run,
        )
        self.use_multiprocessing = False  # or run() would reseed the driver's random numbers
        self.options = options
        self.failure: TaskFailure | None = None
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._main, name=task.task_id, daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin; the result comes through the queue."""
        try:
            self._thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._fail(TaskFailure(f"{self.task}: could not be started: {error}"))

    def is_alive(self) -> bool:
        """Whether the task may still give a result."""
        return self._thread.is_alive() and not self.stopped.is_set()

    @property
    def exitcode(self) -> int | None:
        """Never a number the worker would act on: how a task ended comes through the queue."""
        return None

    def terminate(self) -> None:
        """Stop the task, without waiting for it; a result that comes later is dropped."""
        if not self.result_queue.close():
            return
        self.stopped.set()
        self.failure = TaskFailure(f"{self.task}: was stopped")
        if self.timeout_time is not None and time.time() > self.timeout_time:
            seconds = self.worker_timeout
            self.failure = TaskFailure(
                f"{self.task}: took longer than {seconds} s, its worker_timeout"
            )
        self.status_reporter.close()
        self._stop()

    def wait_until_ended(self, deadline: float) -> bool:
        """Wait until the task runs no more, at most until `deadline` of the monotonic clock."""
        if self._thread.ident is None:
            return True
        return self._ended.wait(max(0.0, deadline - time.monotonic()))

    def _stop(self) -> None:
        on_kill: Callable[[], object] | None = getattr(self.task, "on_kill", None)
        if on_kill is None:
            return
        try:
            on_kill()
        except Exception as error:  # noqa: BLE001 - anybody's on_kill()
            self.failure = failure_of(f"{self.task}: on_kill()", error)

    def _main(self) -> None:
        try:
            if not self.stopped.is_set():
                self.run()
        except BaseException as error:
            self._fail(failure_of(str(self.task), error))
            raise
        finally:
            self._ended.set()

    def _fail(self, failure: TaskFailure) -> None:
        self.failure = failure
        self.result_queue.put(
            (self.task.task_id, FAILED, failure.details or failure.message, [], [])
        )

    def _handle_run_exception(self, ex: BaseException) -> Any:
        if (
            self.stopped.is_set()
        ):  # as in Luigi, a task that was killed does not get its on_failure()
            return "stopped"
        self.failure = child.failure_of_run(self.task, ex)
        return super()._handle_run_exception(ex)


class ProcessHandle(ThreadHandle):
    """Runs the task in a process of its own, and waits for it in a thread.

    The process is forked from a clean server and leads its own process group.
    It lives no longer than the driver, whatever ends that: its life hangs on the connection.
    """

    def __init__(
        self, task: luigi.Task, results: Results, reporter: Reporter, options: TaskOptions
    ) -> None:
        super().__init__(task, results, reporter, options)
        self._process: BaseProcess | None = None
        self._starting = threading.Lock()
        self._kill_timer: threading.Timer | None = None

    def run(self) -> None:
        """Give the task to a process and put what comes of it."""
        try:
            assignment = bytes(ForkingPickler.dumps(self._assignment()))
        except Exception as error:  # noqa: BLE001 - pickling calls anybody's __getstate__
            self._fail(_not_picklable(self.task, error))
            return
        ours, theirs = _context().Pipe()
        with contextlib.closing(ours):
            with contextlib.closing(theirs), self._starting, _PROCESSES:
                if self.stopped.is_set():
                    return
                self._process = _context().Process(target=child.main, args=(theirs, assignment))
                self._process.start()
            process = self._process
            try:
                told_result = self._listen(ours, process)
                self._reap(process, _EXIT_SECONDS if told_result else None)
            finally:
                if self._kill_timer is not None:
                    self._kill_timer.cancel()
            if not told_result:
                self._fail(TaskFailure(f"{self.task}: {_end_of(process.exitcode)}"))

    def _assignment(self) -> "child.Assignment":
        return child.Assignment(
            self.task,
            self.options.worker_id,
            check_unfulfilled_deps=self.check_unfulfilled_deps,
            check_complete_on_run=self.check_complete_on_run,
            stop_grace_seconds=self.options.stop_grace_seconds,
            verbose=self.options.verbose,
            defaults=defaults(),
        )

    def _listen(self, ours: "connection.Connection", process: "BaseProcess") -> bool:
        """Hear what the process says, until its result (True) or its end without one (False)."""
        messages = self.status_reporter.scheduler_messages
        if messages is not None:
            messages.connect(ours)
        while True:
            ready = connection.wait([ours, process.sentinel])
            if ours not in ready:
                return False
            try:
                kind, *words = ours.recv()
            except (EOFError, OSError):
                connection.wait([process.sentinel])
                return False
            if kind == "result":
                self.result_queue.put((self.task.task_id, *words[0][1:]))
                return True
            self._hear(kind, words)

    def _hear(self, kind: str, words: list[Any]) -> None:
        if kind == "failure":
            self.failure = words[0]
        elif kind == "warning":
            text, filename, line = words
            warnings.showwarning(text, UserWarning, filename, line)
        elif kind == "report" and not self.stopped.is_set():
            method, values = words
            getattr(self.status_reporter, method)(*values)

    def _reap(self, process: "BaseProcess", seconds: float | None) -> None:
        if not connection.wait([process.sentinel], seconds):
            _signal_group(process, signal.SIGKILL)
        with _PROCESSES:
            process.join()
        if self.stopped.is_set() or process.exitcode:
            # What the task had started goes with it.
            _signal_group(process, signal.SIGKILL)

    def _stop(self) -> None:
        super()._stop()
        with self._starting:
            process = self._process
        if process is None:
            return
        _signal_group(process, signal.SIGTERM)
        grace = self.options.stop_grace_seconds
        self._kill_timer = threading.Timer(grace, _signal_group, (process, signal.SIGKILL))
        self._kill_timer.daemon = True
        self._kill_timer.start()


class ProcessMessages:
    """Messages of the scheduler on their way to a task in a process."""

    def __init__(self) -> None:
        self._connection: connection.Connection | None = None

    def connect(self, ours: "connection.Connection") -> None:
        """Send them here from now on."""
        self._connection = ours

    def put(self, message: SchedulerMessage) -> None:
        """Send one; a task that has ended does not hear it."""
        if self._connection is not None:
            words = (message._task_id, message._message_id)  # noqa: SLF001 - it has no other door
            with contextlib.suppress(OSError):
                self._connection.send((*words, message.content, message.payload))


@functools.cache
def _context() -> context.ForkServerContext:
    found = get_context("forkserver")
    # Luigi's half second is paid once. The tasks' own modules are not loaded there: some start
    # threads, and what is forked then may hang.
    found.set_forkserver_preload(["tac.worker.child"])
    return found


def _signal_group(process: "BaseProcess", number: signal.Signals) -> None:
    pid = process.pid
    if pid is None:
        return
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # It has not made its own group yet, or all of it is gone.
        if process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _end_of(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code} and without a result"


def _not_picklable(task: luigi.Task, error: Exception) -> TaskFailure:
    return TaskFailure(
        f"{task}: cannot be sent to a process of its own: {cut(str(error))}",
        hint="make what cannot be pickled in run(), or give the task `runs_in_thread = True`",
    )
