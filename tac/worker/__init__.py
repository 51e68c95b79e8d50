"""A Luigi worker that holds thousands of waiting tasks in one process.

A task with `runs_in_thread = True` is a thread of the driver, and its `on_kill()` stops it.
Every other task has a process of its own, forked from a clean server and never from the driver.
The worker refuses tasks that it did not schedule, outlives a scheduler that is unreachable or was
restarted, and leaves no process or thread running, not after an error and not after SIGTERM; Jobs
and containers go on only where that was asked for (`on_stop`, or Ctrl-C).
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import contextlib
import functools
import json
import queue
import shlex
import sys
import time
import traceback
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

import luigi
from luigi import notifications
from luigi import worker as luigi_worker
from luigi.configuration import get_config
from luigi.rpc import RPCError
from luigi.scheduler import WORKER_STATE_ACTIVE, WORKER_STATE_DISABLED
from luigi.task_register import load_task
from luigi.task_status import DONE, FAILED, PENDING, RUNNING
from luigi.worker import GetWorkResponse

from tac.luigi_task import TRACEBACK_LIMIT
from tac.observer import Observer, Observers, Planned, TaskFailure
from tac.plain import plain
from tac.scheduler.remote import RetryingRemoteScheduler
from tac.worker.dead_drivers import process_table, release_tasks
from tac.worker.handles import (
    ProcessHandle,
    ProcessMessages,
    Results,
    TaskOptions,
    ThreadHandle,
)
from tac.worker.plan import Node, Plan, plan_of
from tac.worker.status import Listeners, Reporter, StatusHub

__all__ = ["Node", "Plan", "TacWorker", "plan_of"]

CONFIGURATION = {
    "keep_alive": False,  # decided by which failed tasks are retried, see _keep_alive
    "check_complete_on_run": True,  # a task without its output is not done
    "check_unfulfilled_deps": False,  # the scheduler knows what is done
    "cache_task_completion": False,  # would start a process
    "wait_interval": 0.5,  # how late a timeout is noticed; a result is noticed at once
    "wait_jitter": 0.0,
}
"""Luigi's worker is configured so where luigi.cfg does not say otherwise."""

_STATE_CHECK_SECONDS = 3.0
"""How often a scheduler without work for us is asked whether it still knows our tasks."""


class TacWorker(luigi_worker.Worker):
    """Luigi's worker with tasks in threads or clean processes; `observers` get the events."""

    def __init__(  # noqa: PLR0913 - Luigi's arguments, in their order, and ours
        self,
        scheduler: Any = None,
        worker_id: str | None = None,
        worker_processes: int = 1,
        assistant: bool = False,  # noqa: FBT001, FBT002 - Luigi's signature
        *,
        observers: Iterable[Observer] = (),
        stop_grace_seconds: float = 10.0,
        verbose: bool = False,
        **configuration: Any,
    ) -> None:
        ours = {
            name: value
            for name, value in CONFIGURATION.items()
            if not get_config().has_option("worker", name.replace("_", "-"))
            and not get_config().has_option("worker", name)
        }
        super().__init__(
            scheduler, worker_id, worker_processes, assistant, **(ours | configuration)
        )
        self._results = Results()
        self._task_result_queue = self._results  # type: ignore[assignment]  # Luigi's is for processes
        self._options = TaskOptions(
            worker_id=self._id,
            timeout_seconds=self._config.timeout,
            check_unfulfilled_deps=self._config.check_unfulfilled_deps,
            check_complete_on_run=self._config.check_complete_on_run,
            stop_grace_seconds=stop_grace_seconds,
            verbose=verbose,
            process_context=self._config.task_process_context,
        )
        self.nodes: dict[str, Node] = {}
        """Every task of the run as it was when it was scheduled, by task id."""
        self.statuses: dict[str, str] = {}
        self.run_elsewhere: dict[str, str] = {}
        """The tasks that other workers run, by the scheduler's latest reply: task id to worker."""
        self._observers = Observers(observers)
        self._hub = StatusHub()
        self._listeners = Listeners(self._observers, self._hub, self._declare_running)
        self._handles: weakref.WeakSet[ThreadHandle] = weakref.WeakSet()
        self._roots: list[luigi.Task] = []
        self._families: set[tuple[str | None, str]] = set()
        self._failures: Counter[str] = Counter()
        self._to_retry: set[str] = set()
        self._state_checked = 0.0
        self._adding_new_needs = False

    def __enter__(self) -> Self:
        """Start, and release the tasks of killed drivers of this machine."""
        if isinstance(self._scheduler, RetryingRemoteScheduler):
            describe = dict(self._worker_info)
            release_tasks(self._scheduler, describe, self._observers.notice)
        super().__enter__()
        return self

    def _generate_worker_info(self) -> list[tuple[str, Any]]:
        return [*super()._generate_worker_info(), process_table()]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        """Stop the running tasks, wait for their end, and release them in the scheduler."""
        running = [handle for handle in self._running_tasks.values() if handle.is_alive()]
        for handle in running:
            handle.terminate()
        self._hub.close()
        super().__exit__(kind, error, trace)
        deadline = time.monotonic() + self._options.stop_grace_seconds + 2.0
        for handle in list(self._handles):
            handle.wait_until_ended(deadline)
        for handle in running:
            self._release(handle.task)
        return False

    @property
    def requests_no_more_work(self) -> bool:
        """Whether this worker was disabled: it requests no more work."""
        return self._stop_requesting_work

    def running(self) -> list[str]:
        """Return the keys of the tasks that run now."""
        return [key for key, handle in self._running_tasks.items() if handle.is_alive()]

    def add(
        self,
        task: luigi.Task,
        multiprocess: bool = False,  # noqa: ARG002, FBT001, FBT002 - Luigi's signature
        processes: int = 0,  # noqa: ARG002 - the same
    ) -> bool:
        """Schedule the task and all its requirements, whose outputs are checked in threads."""
        self._validate_task(task)
        return self.schedule(plan_of([task]))

    def schedule(self, plan: Plan) -> bool:
        """Schedule a plan: requirements first, so equals run in the order of requires()."""
        if self._first_task is None and plan.roots:
            self._first_task = plan.roots[0].task_id
        if not self._adding_new_needs:
            self._roots.extend(plan.roots)
        nodes = list(plan.in_order())
        self._observers.planned([_planned(node) for node in nodes])
        self.nodes.update(plan.nodes)
        self.add_succeeded = True
        for node in nodes:
            self._validate_task(node.task)
            answer = _completeness(node)
            with _requires_raising(node):
                for _ in self._add(node.task, answer):
                    pass
        return self.add_succeeded

    def _add_task(self, *values: Any, **known: Any) -> None:
        key, status = known["task_id"], known["status"]
        if known.get("expl"):
            known["expl"] = _plain_explanation(known["expl"])
        handle = self._running_tasks.get(key)
        if handle is not None:
            handle.status_reporter.close()
        if known.get("family"):
            self._families.add((known.get("module"), known["family"]))
        self.statuses[key] = status
        batch = [task.task_id for task in self._batch_running_tasks.get(key, ())]
        super()._add_task(*values, **known)
        if handle is not None:
            self._report_end(handle, known)
            for member in batch:
                self.statuses[member] = status
                self._report_end_of(member, known, handle.failure)

    def _report_end(self, handle: ThreadHandle, known: dict[str, Any]) -> None:
        key = handle.task.task_id
        if known["status"] == FAILED:
            self._failures[key] += 1
            if self._failures[key] < (handle.task.retry_count or 1):
                self._to_retry.add(key)
        self._report_end_of(key, known, handle.failure)

    def _report_end_of(self, key: str, known: dict[str, Any], failure: TaskFailure | None) -> None:
        if known["status"] == DONE:
            self._observers.finished(key)
        elif known["status"] == PENDING:
            self._note_dynamic_requirements(key, known.get("new_deps") or ())
        else:
            failure = failure or TaskFailure(str(json.loads(known.get("expl") or '""')))
            self._observers.failed(key, failure, again=key in self._to_retry)

    def _note_dynamic_requirements(self, key: str, new: Sequence[str]) -> None:
        if key in self.nodes:
            needs = dict.fromkeys(
                (*self.nodes[key].needs, *(self.nodes[need].task for need in new))
            )
            self.nodes[key] = replace(self.nodes[key], needs=tuple(needs))
        self._observers.suspended(key, new)

    def _get_work(self) -> GetWorkResponse:
        while not self._stop_requesting_work:
            if self.worker_processes < 1:
                return self._response({"task_id": None} | self._scheduler.count_pending(self._id))
            reply = self._scheduler.get_work(
                worker=self._id,
                host=self.host,
                assistant=False,
                current_tasks=list(self._running_tasks),
            )
            self._note_run_elsewhere(reply["running_tasks"] or ())
            if self._is_unrequested(reply):
                self._refuse(reply)
            elif self._has_no_task(reply) and self._scheduler_forgot():
                self._register_again()
            else:
                return self._response(reply)
        return GetWorkResponse(None, 0, 0, 0, 0, WORKER_STATE_DISABLED)

    def _response(self, reply: dict[str, Any]) -> GetWorkResponse:
        key = self._get_work_task_id(reply)
        if key is not None and "batch_task_ids" in reply:
            members = reply["batch_task_ids"]
            ours = [member for member in members if member in self._scheduled_tasks]
            self._batch_running_tasks[key] = [self._scheduled_tasks[member] for member in ours]
            task = load_task(reply["task_module"], reply["task_family"], reply["task_params"])
            self._scheduled_tasks[key] = task
            self._observers.planned([_planned(Node(task, complete=False))])
        return GetWorkResponse(
            key,
            reply["running_tasks"],
            reply["n_pending_tasks"],
            reply["n_unique_pending"],
            reply.get("n_pending_last_scheduled", 0),
            reply.get("worker_state", WORKER_STATE_ACTIVE),
        )

    def _note_run_elsewhere(self, running: Iterable[dict[str, Any]]) -> None:
        others = [task for task in running if task["worker"] != self._id]
        self.run_elsewhere = {task["task_id"]: task["worker"] for task in others}
        # Luigi keeps every reply, each with all running tasks: 828 MB for 1,000 of them. Its
        # summary reads only what others run, so the last reply is enough.
        self._get_work_response_history = [{"task_id": None, "running_tasks": others}]

    @staticmethod
    def _has_no_task(reply: dict[str, Any]) -> bool:
        return reply.get("task_id") is None and "batch_id" not in reply

    def _is_unrequested(self, reply: dict[str, Any]) -> bool:
        """Tell whether the scheduler sends a task that this driver did not schedule.

        luigid has no authentication: anyone with access to it could have any module imported here.
        """
        if "batch_id" in reply:
            return (reply.get("task_module"), reply["task_family"]) not in self._families
        key = reply.get("task_id")
        return key is not None and key not in self._scheduled_tasks

    def _refuse(self, reply: dict[str, Any]) -> None:
        refused = [reply["task_id"]] if reply.get("task_id") else reply["batch_task_ids"]
        for key in refused:
            self._observers.notice(f"{key}: refused: this driver did not schedule it")
            self._scheduler.add_task(
                worker=self._id,
                task_id=key,
                status=FAILED,
                runnable=False,
                expl="refused: this driver did not schedule it",
            )

    def _scheduler_forgot(self) -> bool:
        """Whether the scheduler does not know a task that is pending here: it was restarted."""
        if not isinstance(self._scheduler, RetryingRemoteScheduler):
            return False
        now = time.monotonic()
        if self._running_tasks and now - self._state_checked < _STATE_CHECK_SECONDS:
            return False
        self._state_checked = now
        waiting = next((key for key, status in self.statuses.items() if status == PENDING), None)
        if waiting is None:
            return False
        known: dict[str, Any] = self._scheduler.fetch_error(task_id=waiting)
        return "taskModule" not in known  # as for every task it does not know

    def _register_again(self) -> None:
        self._observers.notice("luigid was restarted and knew no task: all are scheduled again")
        self._batch_families_sent.clear()
        self._add_worker()
        for handle in self._running_tasks.values():
            self._declare_running(handle.task)
        roots, self._roots = self._roots, []
        self.schedule(plan_of(roots))

    def _declare_running(self, task: luigi.Task, tracking_url: str | None = None) -> None:
        # All that add_task would otherwise reset to its default. Luigi's worker leaves it out: a
        # task with one retry was tried 29 times.
        self._scheduler.add_task(
            worker=self._id,
            task_id=task.task_id,
            status=RUNNING,
            tracking_url=tracking_url,
            runnable=None,
            priority=task.priority,
            resources=task.process_resources(),
            params=task.to_str_params(),
            family=task.task_family,
            module=task.task_module,
            accepts_messages=task.accepts_messages,
            retry_policy_dict=_retry_policy(task),
        )

    def _release(self, task: luigi.Task) -> None:
        """Report the task as failed, so that another driver may run it at once."""
        if isinstance(self._scheduler, RetryingRemoteScheduler):
            self._scheduler.timeout_seconds = 0.0
        with contextlib.suppress(RPCError):
            self._scheduler.add_task(
                worker=self._id,
                task_id=task.task_id,
                status=FAILED,
                runnable=None,
                resources=task.process_resources(),
                expl="the driver was stopped",
                retry_policy_dict=_retry_policy(task),
            )

    def _keep_alive(self, get_work_response: GetWorkResponse) -> bool:
        """Wait while a failed task is to be retried, and for other tasks only if asked to."""
        if self._config.keep_alive:
            return bool(super()._keep_alive(get_work_response))
        return bool(self._to_retry) and get_work_response.n_pending_tasks > 0

    def _run_task(self, task_id: str) -> None:
        if task_id in self._running_tasks:  # its reply was lost, and the scheduler repeats it
            self._handle_next_task()
            return
        self._to_retry.discard(task_id)
        self.statuses[task_id] = RUNNING
        handle = self._create_task_process(self._scheduled_tasks[task_id])
        self._running_tasks[task_id] = handle
        self._handles.add(handle)
        self._observers.started(task_id)
        handle.start()

    def _create_task_process(self, task: luigi.Task) -> ThreadHandle:
        in_thread = _runs_in_thread(task)
        messages: Any = queue.SimpleQueue() if in_thread else ProcessMessages()
        reporter = Reporter(
            self._scheduler,
            task,
            self._id,
            messages if task.accepts_messages else None,
            self._listeners,
        )
        kind = ThreadHandle if in_thread else ProcessHandle
        return kind(task, self._results, reporter, self._options)

    def _handle_next_task(self) -> None:
        self._adding_new_needs = True
        try:
            super()._handle_next_task()
        finally:
            self._adding_new_needs = False

    def _handle_task_load_error(self, exception: BaseException, task_ids: list[str]) -> None:
        # Luigi sends the scheduler the exception itself, which cannot be written as JSON.
        trace = "".join(traceback.format_exception(exception))
        super()._handle_task_load_error(_plain_lines(trace), task_ids)

    def _announce_scheduling_failure(self, task: luigi.Task, expl: Any) -> None:
        super()._announce_scheduling_failure(task, _plain_lines(str(expl)))

    def _email_error(
        self, task: luigi.Task, formatted_traceback: str, subject: str, headline: str
    ) -> None:
        # Luigi mails the parameters, the command line and the traceback as they are.
        names = {"task": task, "host": self.host}
        # First on its own, since it is cut in there: half a password is one too.
        trace = plain(formatted_traceback or "", limit=None, lines=True)
        text = notifications.format_task_error(
            headline.format(**names), task, shlex.join(sys.argv), trace
        )
        text = plain(text, limit=None, lines=True)
        notifications.send_error_email(plain(subject.format(**names)), text, task.owner_email)


def _runs_in_thread(task: luigi.Task) -> bool:
    """Whether the task is a thread: it has `runs_in_thread`, or no run() of its own."""
    return bool(getattr(task, "runs_in_thread", False)) or type(task).run in (luigi.Task.run, None)


def _retry_policy(task: luigi.Task) -> Any:
    return luigi_worker._get_retry_policy_dict(task)  # noqa: SLF001 - what Luigi's worker sends


@contextlib.contextmanager
def _requires_raising(node: Node) -> Iterator[None]:
    """Let Luigi meet the error of a requires() that was called already: BROKEN_TASK."""
    if node.requires_error is None:
        yield
        return
    attributes = vars(node.task)
    attributes["deps"] = functools.partial(_raise, node.requires_error)
    try:
        yield
    finally:
        del attributes["deps"]


def _raise(error: Exception) -> NoReturn:
    raise error


def _completeness(node: Node) -> Any:
    """Return whether the task is complete, or why that is not known, as Luigi's worker takes it."""
    if node.failure is None or node.requires_error is not None:
        return node.complete
    return luigi_worker.TracebackWrapper(node.failure.details or node.failure.message)


def _plain_explanation(explanation: str) -> str:
    """Make the explanation of a failure plain: a traceback quotes the exception's own text.

    It is JSON, except for a task that could not be loaded.
    """
    try:
        text = json.loads(explanation)
    except ValueError:
        return _plain_lines(explanation)
    return json.dumps(_plain_lines(str(text)))


def _plain_lines(text: str) -> str:
    return plain(text, limit=TRACEBACK_LIMIT, lines=True)


def _planned(node: Node) -> Planned:
    task = node.task
    needs = tuple(need.task_id for need in node.needs)
    return Planned(task.task_id, task.task_family, str(task), needs, complete=node.complete)
