"""Handles of running tasks: a thread that runs the task itself, or waits for its process.

Luigi's TaskProcess is a process; here only its run() is used, in a thread, so dynamic requirements,
events, on_failure() and the check of complete() stay Luigi's own.
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
from luigi.worker import ContextManagedTaskProcess, SchedulerMessage

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
"""multiprocessing reaps all its children whenever it starts one: one thread at a time."""

_EXIT_SECONDS = 5.0
"""How long a process that sent its result may take to exit by itself."""


class Results(queue.SimpleQueue[Result]):
    """The worker's queue of results, with the close() that Luigi calls."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class FencedResults:
    """Passes on one result of one attempt, and none after the attempt was stopped.

    Otherwise a late result of an attempt that timed out would be taken for that of the next.
    `flush` is called before the result is passed on.
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
            key, status, explanation, *needs = result
            if status is None:  # after KeyboardInterrupt, which Luigi lets end its worker
                status, explanation = FAILED, "run() was interrupted: KeyboardInterrupt"
            self._results.put((key, status, explanation, *needs))

    def close(self) -> bool:
        """Pass on nothing more; False when it was closed before."""
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
    """Between SIGTERM and SIGKILL."""
    verbose: bool
    process_context: str | None
    """The context manager around each run(), by its name: Luigi's task_process_context."""


class ThreadHandle(ContextManagedTaskProcess):
    """Runs the task in a thread; for a task that only waits, or has nothing to do."""

    task: luigi.Task
    result_queue: FencedResults

    def __init__(
        self, task: luigi.Task, results: Results, reporter: Reporter, options: TaskOptions
    ) -> None:
        super().__init__(
            options.process_context,
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
        """Start the task; the result comes through the queue."""
        try:
            self._thread.start()
        except RuntimeError as error:  # the limit of threads
            self._fail(TaskFailure(f"{self.task}: could not be started: {error}"))

    def is_alive(self) -> bool:
        """Whether the task may still give a result."""
        return self._thread.is_alive() and not self.stopped.is_set()

    @property
    def exitcode(self) -> int | None:
        """None, as the worker would act on a number: the result comes through the queue."""
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
        """Wait until the task has ended, at most until `deadline` of the monotonic clock."""
        if self._thread.ident is None:
            return True
        return self._ended.wait(max(0.0, deadline - time.monotonic()))

    def _stop(self) -> None:
        on_kill: Callable[[], object] | None = getattr(self.task, "on_kill", None)
        if on_kill is None:
            return
        try:
            on_kill()
        except Exception as error:  # noqa: BLE001 - a task's own on_kill()
            self.failure = failure_of(f"{self.task}: on_kill()", error)

    def _main(self) -> None:
        try:
            if not self.stopped.is_set():
                self.run()
        except KeyboardInterrupt as error:
            self._fail(failure_of(str(self.task), error))
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
        if self.stopped.is_set():  # as in Luigi, on_failure() is not called for a killed task
            return "stopped"
        self.failure = child.failure_of_run(self.task, ex)
        return super()._handle_run_exception(ex)


class ProcessHandle(ThreadHandle):
    """Runs the task in a process of its own, and waits for it in a thread.

    The process is forked from a clean server and leads its own process group.
    It ends when its connection does, and so with the driver, whatever ends that.
    """

    def __init__(
        self, task: luigi.Task, results: Results, reporter: Reporter, options: TaskOptions
    ) -> None:
        super().__init__(task, results, reporter, options)
        self._process: BaseProcess | None = None
        self._starting = threading.Lock()
        self._kill_timer: threading.Timer | None = None

    def run(self) -> None:
        """Run the task in a process, and put its result."""
        try:
            assignment = bytes(ForkingPickler.dumps(self._assignment()))
        except Exception as error:  # noqa: BLE001 - pickling calls the task's own __getstate__
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
                has_result = self._listen(ours, process)
                self._reap(process, _EXIT_SECONDS if has_result else None)
            finally:
                if self._kill_timer is not None:
                    self._kill_timer.cancel()
            if not has_result:
                if not self.stopped.is_set():
                    text = _exit_text(process.exitcode)
                    self.task.trigger_event(luigi.Event.PROCESS_FAILURE, self.task, text)
                self._fail(TaskFailure(f"{self.task}: {_exit_text(process.exitcode)}"))

    def _assignment(self) -> "child.Assignment":
        return child.Assignment(
            self.task,
            self.options.worker_id,
            check_unfulfilled_deps=self.check_unfulfilled_deps,
            check_complete_on_run=self.check_complete_on_run,
            stop_grace_seconds=self.options.stop_grace_seconds,
            verbose=self.options.verbose,
            process_context=self.options.process_context,
            defaults=defaults(),
        )

    def _listen(self, ours: "connection.Connection", process: "BaseProcess") -> bool:
        """Handle its messages, until its result (True) or its end without one (False)."""
        messages = self.status_reporter.scheduler_messages
        if messages is not None:
            messages.connect(ours)
        while True:
            ready = connection.wait([ours, process.sentinel])
            if ours not in ready:
                return False
            try:
                kind, *values = ours.recv()
            except (EOFError, OSError):
                connection.wait([process.sentinel])
                return False
            if kind == "result":
                self.result_queue.put((self.task.task_id, *values[0][1:]))
                return True
            self._handle_message(kind, values)

    def _handle_message(self, kind: str, values: list[Any]) -> None:
        if kind == "failure":
            self.failure = values[0]
        elif kind == "warning":
            text, filename, line = values
            warnings.showwarning(text, UserWarning, filename, line)
        elif kind == "report" and not self.stopped.is_set():
            method, values = values
            getattr(self.status_reporter, method)(*values)

    def _reap(self, process: "BaseProcess", seconds: float | None) -> None:
        if not connection.wait([process.sentinel], seconds):
            _signal_group(process, signal.SIGKILL)
        with _PROCESSES:
            process.join()
        if self.stopped.is_set() or process.exitcode:
            # The processes that the task had started end with it.
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
    """Sends messages of the scheduler to a task in a process."""

    def __init__(self) -> None:
        self._connection: connection.Connection | None = None

    def connect(self, ours: "connection.Connection") -> None:
        """Send them through this connection from now on."""
        self._connection = ours

    def put(self, message: SchedulerMessage) -> None:
        """Send one, unless the task has ended."""
        if self._connection is not None:
            values = (message._task_id, message._message_id)  # noqa: SLF001 - it has no other accessor
            with contextlib.suppress(OSError):
                self._connection.send((*values, message.content, message.payload))


@functools.cache
def _context() -> context.ForkServerContext:
    found = get_context("forkserver")
    # Importing Luigi takes half a second, once. The tasks' own modules are not imported there: some
    # start threads, and what is forked then may hang.
    found.set_forkserver_preload(["tac.worker.child"])
    return found


def _signal_group(process: "BaseProcess", number: signal.Signals) -> None:
    pid = process.pid
    if pid is None:
        return
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # It has not created its own group yet, or the whole group has exited.
        if process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _exit_text(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code} and without a result"


def _not_picklable(task: luigi.Task, error: Exception) -> TaskFailure:
    return TaskFailure(
        f"{task}: cannot be sent to a process of its own: {cut(str(error))}",
        hint="make what cannot be pickled in run(), or give the task `runs_in_thread = True`",
    )
