"""Luigi's scheduler in the driver's own process, for one worker and thousands of tasks.

Luigi's get_work looks at every pending task: 24 ms at 5,000 of them, so a run is quadratic. Here
the tasks that are ready are kept in heaps, and a task that is done looks only at its dependents.
That is for one worker: batches, assistants and several workers are left to Luigi's own get_work.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import copy
import heapq
import time
from collections import defaultdict
from typing import Any

from luigi.scheduler import Scheduler, SimpleTaskState, Task, Worker
from luigi.task_status import DONE, FAILED, PENDING, RUNNING

_PRUNE_SECONDS = 0.5
"""How often failed tasks are checked for one whose retry is due."""

_Signature = frozenset[tuple[str, int]]


class LocalScheduler(Scheduler):
    """A scheduler whose get_work takes as long for ten pending tasks as for ten thousand."""

    def __init__(self, **configuration: Any) -> None:
        super().__init__(**configuration)
        self._ready: defaultdict[_Signature, list[tuple[float, float, str]]] = defaultdict(list)
        self._dependents: defaultdict[str, list[str]] = defaultdict(list)
        self._pruned = 0.0
        self._left_to_luigi = False
        state = _UnmailedState(self._config.state_path)
        vars(state).update(vars(self._state))
        self._state = state

    def add_task(self, **known: Any) -> None:
        """Update a task, and the dependents that are ready because of it."""
        super().add_task(**known)
        task = self._state.get_task(known["task_id"])
        self._file(task)
        if task.status == DONE:
            for key in self._dependents.pop(task.id, ()):
                self._file(self._state.get_task(key))

    def add_task_batcher(self, **known: Any) -> None:
        """Register a family whose tasks may be run as a batch."""
        self._left_to_luigi = True
        super().add_task_batcher(**known)

    def get_work(
        self,
        host: str | None = None,
        assistant: bool = False,  # noqa: FBT001, FBT002 - Luigi's signature
        current_tasks: list[str] | None = None,
        worker: str | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        """Return the ready task of the highest priority that was scheduled first, if any."""
        asking = self._update_worker(worker, worker_reference={"host": host}, get_work=True)
        self._retry_failed()
        workers = sum(1 for _ in self._state.get_active_workers())
        self._left_to_luigi = self._left_to_luigi or assistant or workers > 1
        if self._left_to_luigi or self._paused or not asking.enabled:
            whole: dict[str, Any] = super().get_work(
                host, assistant, current_tasks, worker, **others
            )
            return whole
        task = self._lost(asking, current_tasks) or self._best(asking)
        reply = self._counts(asking, idle=task is None)
        if task is None:
            return reply | {"task_id": None}
        self.update_metrics_task_started(task)
        self._state.set_status(task, RUNNING, self._config)
        task.worker_running = asking.id
        task.resources_running = task.resources.copy()  # type: ignore[attr-defined]  # Luigi sets it here too
        task.time_running = time.time()
        self._update_task_history(task, RUNNING, host=host)
        return reply | {
            "task_id": task.id,
            "task_family": task.family,
            "task_module": task.module,
            "task_params": task.params,
        }

    def load(self) -> None:
        """Load the saved state."""
        super().load()
        for task in self._state.get_active_tasks():
            self._file(task)

    def _lost(self, worker: Worker, current: list[str] | None) -> Task | None:
        """Return a task whose get_work reply was lost, if any."""
        if current is None or len(current) >= self._state.get_active_task_count_for_status(RUNNING):
            return None
        running = self._state.get_active_tasks_by_status(RUNNING)
        lost = (task for task in running if task.worker_running == worker.id)
        return next((task for task in lost if task.id not in current), None)

    def _best(self, worker: Worker) -> Task | None:
        """Return the ready task of the highest priority whose resources are free, if any.

        The resources that a task of higher priority waits for are reserved for it, or small tasks
        would starve a big one.
        """
        used = self._used_resources() if any(self._ready) else {}
        reserved: defaultdict[str, int] = defaultdict(int)
        slots = worker.info.get("workers", 1) - self._state.get_active_task_count_for_status(
            RUNNING
        )
        tops = sorted(
            (heap[0], sorted(signature), signature)
            for signature, heap in self._ready.items()
            if self._clear_top(heap, worker)
        )
        for (_, _, key), resources, signature in tops:
            if not self._has_resources(dict(resources), reserved):
                continue
            if self._has_resources(dict(resources), used):
                heapq.heappop(self._ready[signature])
                best: Task = self._state.get_task(key)
                return best
            if slots > 0:
                slots -= 1
                for name, amount in resources:
                    reserved[name] += amount
        return None

    def _clear_top(self, heap: list[tuple[float, float, str]], worker: Worker) -> bool:
        """Drop outdated entries from the top; return whether a valid one is left."""
        while heap:
            task = self._state.get_task(heap[0][2])
            if task is not None and worker.id in task.workers and self._schedulable(task):
                return True
            heapq.heappop(heap)
            self._file_if_blocked(task)
        return False

    def _file(self, task: Task | None) -> None:
        """Add a pending task to the ready ones, or to the dependents of one requirement.

        One that is not done is enough: when it is, the task is filed again.
        """
        if task is None or task.status != PENDING:
            return
        if not self._file_if_blocked(task):
            entry = (-_number(task.priority), task.time, task.id)
            heapq.heappush(self._ready[frozenset(task.resources.items())], entry)

    def _file_if_blocked(self, task: Task | None) -> bool:
        if task is None or task.status != PENDING:
            return False
        for need in task.deps:
            needed = self._state.get_task(need)
            if needed is None or needed.status != DONE:
                self._dependents[need].append(task.id)
                return True
        return False

    def _update_priority(self, task: Task, prio: float, _worker: str) -> None:
        """Raise the priority of a task's requirements; Luigi recurses, too deep for long chains."""
        task.priority = max(_number(prio), _number(task.priority))
        raised = [task]
        while raised:
            urgent = raised.pop()
            for key in urgent.deps:
                needed = self._state.get_task(key)
                if needed is not None and _number(needed.priority) < urgent.priority:
                    needed.priority = urgent.priority
                    self._file(needed)
                    raised.append(needed)

    def _retry_failed(self) -> None:
        failed = list(self._state.get_active_tasks_by_status(FAILED))
        if failed and time.monotonic() - self._pruned >= _PRUNE_SECONDS:
            self._pruned = time.monotonic()
            self.prune()
            for task in failed:
                self._file(task)

    def _counts(self, worker: Worker, *, idle: bool) -> dict[str, Any]:
        """Count pending tasks; exactly only where that decides whether the worker exits."""
        if idle and not self._state.get_active_task_count_for_status(RUNNING):
            counts: dict[str, Any] = self.count_pending(worker.id)
            return counts
        waiting = self._state.get_active_task_count_for_status(PENDING)
        return {
            "n_pending_tasks": waiting,
            "n_unique_pending": waiting,
            "n_pending_last_scheduled": waiting,
            "worker_state": worker.state,
            "running_tasks": [],
        }


class _UnmailedState(SimpleTaskState):
    """Luigi mails when it disables a task; here a first failure does, and the worker mails that."""

    def set_status(self, task: Task, new_status: str, config: Any = None) -> None:
        if config is not None:
            config = copy.copy(config)
            config.batch_emails = True  # whoever batches them sends none here
        super().set_status(task, new_status, config)


def _number(priority: Any) -> float:
    """Return a priority that can be compared; Luigi takes any other for its default."""
    return priority if isinstance(priority, int | float) else Task.DEFAULT_PRIORITY
