"""The plan of a run: which tasks there are, what each needs, and which outputs are there.

The same walk serves `--dry-run`, the worker and the view, so they cannot disagree.
It asks many outputs at once, with threads: no process, no pickling, one client for a store.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import luigi

from tac.observer import TaskFailure
from tac.worker.failures import failure_of

_THREADS = 16
"""As many outputs are asked at once: a store far away answers after 10 ms, and does so all day."""


@dataclass(frozen=True)
class Node:
    """A task of the plan. What a complete task needs was not asked."""

    task: luigi.Task
    complete: bool
    needs: tuple[luigi.Task, ...] = ()
    failure: TaskFailure | None = None
    """Why it could not be asked whether it is complete, or what it needs."""

    @property
    def external(self) -> bool:
        """Whether its output comes from elsewhere."""
        return is_external(self.task)


@dataclass
class Plan:
    """The tasks that were asked for, and every task they need."""

    roots: tuple[luigi.Task, ...]
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for is there."""
        return all(self.nodes[root.task_id].complete for root in self.roots)

    def in_order(self) -> Iterator[Node]:
        """Yield every node once, what a task needs before the task, in the order of requires()."""
        seen: set[str] = set()
        stack = [(root.task_id, False) for root in reversed(self.roots)]
        while stack:
            key, needs_are_done = stack.pop()
            node = self.nodes[key]
            if needs_are_done:
                yield node
            elif key not in seen:
                seen.add(key)
                stack.append((key, True))
                stack.extend((need.task_id, False) for need in reversed(node.needs))

    def missing(self) -> list[Node]:
        """Return the tasks whose output is not there, in the order they would run."""
        return [node for node in self.in_order() if not node.complete]

    def __str__(self) -> str:
        """Say it in one line."""
        missing = len(self.missing())
        return f"{missing} to run, {len(self.nodes) - missing} there already"


def plan_of(roots: Iterable[luigi.Task]) -> Plan:
    """Ask every task that the roots need whether it is complete, down to the complete ones."""
    plan = Plan(tuple(roots))
    level = list({root.task_id: root for root in plan.roots}.values())
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="tac-plan") as threads:
        while level:
            nodes = [_look_at(level[0])] if len(level) == 1 else list(threads.map(_look_at, level))
            plan.nodes.update((node.task.task_id, node) for node in nodes)
            needed = {need.task_id: need for node in nodes for need in node.needs}
            level = [task for key, task in needed.items() if key not in plan.nodes]
    return plan


def _look_at(task: luigi.Task) -> Node:
    try:
        complete = task.complete()
        needs = () if complete else tuple(needs_of(task))
    except Exception as error:  # noqa: BLE001 - anybody's complete() and requires() are called here
        return Node(task, complete=False, failure=failure_of(str(task), error))
    return Node(task, complete, needs)


def is_external(task: luigi.Task) -> bool:
    """Tell whether the output of a task comes from elsewhere; Luigi knows three ways to say so."""
    run: object = task.run
    return run is None or run is NotImplemented


def needs_of(task: luigi.Task) -> Iterator[luigi.Task]:
    """Yield what a task needs; one that comes from elsewhere needs nothing of ours.

    Raises:
        TypeError: its requires() returns what is no task.
    """
    for need in () if is_external(task) else task.deps():
        if not isinstance(need, luigi.Task):
            raise TypeError(f"requires() must return tasks, not {need!r}")
        yield need
