"""Why a task was not run although nothing that it needs went wrong."""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import luigi
from luigi.task_status import DISABLED, DONE, FAILED, UNKNOWN

from tac.observer import TaskFailure
from tac.worker import Node

_UNSET = 1
"""The amount of a resource that is not configured (luigi.scheduler, _has_resources)."""


@dataclass(frozen=True)
class SchedulerState:
    """What a scheduler says about tasks that it does not schedule."""

    url: str = ""
    """Of luigid; none for the scheduler in this process."""
    resources: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """How many there are, and how many of them are in use."""
    disabled: frozenset[str] = frozenset()
    """Tasks that failed too often to be tried again."""
    paused: bool = False
    driver_disabled: bool = False

    @classmethod
    def of(cls, scheduler: Any, *, driver_disabled: bool = False) -> "SchedulerState":
        """Ask the scheduler."""
        rows = scheduler.resource_list()
        return cls(
            url=getattr(scheduler, "url", ""),
            resources={row["name"]: (row["num_total"], row["num_used"]) for row in rows},
            disabled=frozenset(scheduler.task_list(status=DISABLED, upstream_status="")),
            paused=scheduler.is_paused()["paused"],
            driver_disabled=driver_disabled,
        )

    @property
    def configuration(self) -> str:
        """Where its resources are set."""
        return f"the luigi.cfg of luigid ({self.url})" if self.url else "luigi.cfg"


def why_not_run(
    nodes: Mapping[str, Node], statuses: Mapping[str, str], ask: Callable[[], SchedulerState]
) -> dict[str, TaskFailure]:
    """Return by task id why each task was not run that could have run; `ask` only if there is one.

    A task that waits for one that failed, is missing or runs elsewhere is not among them.
    """
    ready = {
        key: node.task
        for key, node in nodes.items()
        if _may_run(node, statuses.get(key))
        and all(_is_done(nodes, statuses, need.task_id) for need in node.needs)
    }
    found: dict[str, TaskFailure] = {}
    if ready:
        state = ask()
        found = {key: _why(key, task, statuses.get(key), state) for key, task in ready.items()}
    if circle := _circle(nodes):
        names = [str(nodes[key].task) for key in circle]
        found[circle[0]] = TaskFailure(
            f"{names[0]}: was not run: it needs itself: {' needs '.join([*names, names[0]])}",
            hint="one of these requires() has to leave one out",
        )
    return found


def _may_run(node: Node, status: str | None) -> bool:
    done_or_wrong = node.complete or node.failure is not None or node.external
    return not done_or_wrong and status not in (DONE, FAILED)


def _is_done(nodes: Mapping[str, Node], statuses: Mapping[str, str], key: str) -> bool:
    return statuses.get(key) == DONE or (key in nodes and nodes[key].complete)


def _why(key: str, task: luigi.Task, status: str | None, state: SchedulerState) -> TaskFailure:
    where = state.url or "the scheduler"
    unknown = TaskFailure(f"{where} did not schedule it", "--verbose shows what Luigi logs")
    reasons = (*_held_back(key, task, status, state), *_too_few(task, state), unknown)
    return replace(reasons[0], message=f"{task}: was not run: {reasons[0].message}")


def _held_back(
    key: str, task: luigi.Task, status: str | None, state: SchedulerState
) -> Iterator[TaskFailure]:
    if state.driver_disabled:
        yield TaskFailure(
            "this driver accepts no more tasks",
            "luigid's page does that, and SIGUSR1; run the same command again",
        )
    if task.disabled or status == DISABLED:
        yield TaskFailure("its class says that it is disabled", "`disabled` is set there")
    if key in state.disabled:
        yield TaskFailure(
            "it failed too often, and luigid has disabled it",
            f"enable it again on the page of {state.url}, or wait for [scheduler] "
            "disable_persist_seconds",
        )
    if status == UNKNOWN:
        yield TaskFailure("the worker refused it", "see [worker] task_limit in luigi.cfg")
    if state.paused:
        yield TaskFailure("luigid is paused", f"unpause it on the page of {state.url}")


def _too_few(task: luigi.Task, state: SchedulerState) -> Iterator[TaskFailure]:
    family = task.task_family
    for name, wanted in task.process_resources().items():
        total, used = state.resources.get(name, (_UNSET, 0))
        there = f"[resources] {name}={total}"
        if name not in state.resources:
            there = f"[resources] {name} is not set, which counts as {_UNSET}"
        if wanted > total:
            yield TaskFailure(
                f"{there}, and {family} wants {wanted}",
                hint=f"write {name}={wanted} below [resources] in {state.configuration}",
            )
        elif wanted > total - used:
            yield TaskFailure(
                f"{there}, of which others use {used}, and {family} wants {wanted}",
                hint="run the same again when they are done",
            )


def _circle(nodes: Mapping[str, Node]) -> list[str]:
    """Return tasks each of which needs the next, and the last the first; none: there are none."""
    needs = {key: [need.task_id for need in node.needs] for key, node in nodes.items()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return list(reversed(error.args[1][:-1]))
    return []
