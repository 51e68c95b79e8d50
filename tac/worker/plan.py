"""The plan of a run: its tasks, what each requires, and which are complete.

`--dry-run`, the worker and the view share one walk, so they cannot differ.
It checks many outputs at once, in threads: no process, no pickling, one client for a store.
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
"""How many tasks are checked at once: a remote store answers after 10 ms or more."""


@dataclass(frozen=True)
class Node:
    """A task of the plan. The requirements of a complete task are not looked up."""

    task: luigi.Task
    complete: bool
    needs: tuple[luigi.Task, ...] = ()
    failure: TaskFailure | None = None
    """Why its complete() or requires() failed."""
    requires_error: Exception | None = None
    """What requires() raised, or what is wrong with what it returned."""

    @property
    def external(self) -> bool:
        """Whether it is an external task."""
        return is_external(self.task)


@dataclass
class Plan:
    """The requested tasks, and every task they require."""

    roots: tuple[luigi.Task, ...]
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all requested tasks are complete."""
        return all(self.nodes[root.task_id].complete for root in self.roots)

    def in_order(self) -> Iterator[Node]:
        """Yield every node once, requirements before their task, in the order of requires()."""
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
        """Return the tasks that are not complete, in the order they would run."""
        return [node for node in self.in_order() if not node.complete]

    def __str__(self) -> str:
        """Return one line."""
        missing = len(self.missing())
        return f"{missing} to run, {len(self.nodes) - missing} complete"


def plan_of(roots: Iterable[luigi.Task]) -> Plan:
    """Check whether the roots and their requirements are complete, down to the complete ones."""
    plan = Plan(tuple(roots))
    level = list({root.task_id: root for root in plan.roots}.values())
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="tac-plan") as threads:
        while level:
            nodes = [_check(level[0])] if len(level) == 1 else list(threads.map(_check, level))
            plan.nodes.update((node.task.task_id, node) for node in nodes)
            needed = {need.task_id: need for node in nodes for need in node.needs}
            level = [task for key, task in needed.items() if key not in plan.nodes]
    return plan


def _check(task: luigi.Task) -> Node:
    try:
        _require_number(task.priority)
        complete = task.complete()
    except Exception as error:  # noqa: BLE001 - a task's own complete()
        return Node(task, complete=False, failure=failure_of(str(task), error))
    try:
        return Node(task, complete, () if complete else tuple(needs_of(task)))
    except Exception as error:  # noqa: BLE001 - a task's own requires()
        failure = failure_of(str(task), error)
        return Node(task, complete=False, failure=failure, requires_error=error)


def _require_number(priority: object) -> None:
    if not isinstance(priority, int | float):
        raise TypeError(f"priority must be a number, not {priority!r}")


def is_external(task: luigi.Task) -> bool:
    """Whether a task is external; Luigi has three ways to declare that."""
    run: object = task.run
    return run is None or run is NotImplemented


def needs_of(task: luigi.Task) -> Iterator[luigi.Task]:
    """Yield the requirements of a task; an external one has none.

    Raises:
        TypeError: its requires() returns something else than tasks.
    """
    for need in () if is_external(task) else task.deps():
        if not isinstance(need, luigi.Task):
            raise TypeError(f"requires() must return tasks, not {need!r}")
        yield need
