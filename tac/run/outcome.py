"""The outcome of a run: pure bookkeeping over the plan and the scheduler's statuses."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from luigi.task_status import DONE, FAILED

from tac.observer import TaskFailure
from tac.worker import Node


class Exit(IntEnum):
    """Exit codes of `tac run`; those from 10 to 40 are Luigi's retcode classes."""

    DONE = 0
    ALREADY_RUNNING = 10
    MISSING_DATA = 20
    NOT_RUN = 25
    TASK_FAILED = 30
    SCHEDULING_ERROR = 35
    UNHANDLED_EXCEPTION = 40
    INTERRUPTED = 128 + signal.SIGINT
    TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class FailedTask:
    """A task that failed for good."""

    name: str
    failure: TaskFailure
    log: str | None = None


@dataclass
class Outcome:
    """The tasks of a run, each in the list of how it ended."""

    ran: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    failed: list[FailedTask] = field(default_factory=list)
    broken: list[FailedTask] = field(default_factory=list)
    """Their complete() or requires() raised, so they could not be scheduled."""
    missing: list[str] = field(default_factory=list)
    """External data that is not there."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Run by other workers: name to worker."""
    not_run: list[str] = field(default_factory=list)
    refused: list[FailedTask] = field(default_factory=list)
    """Those of them that only the scheduler blocked, and why."""
    held_up: dict[str, list[str]] = field(default_factory=dict)
    """Each task that failed or is missing, and the tasks that were not run because of it."""
    running: list[str] = field(default_factory=list)
    """Those that were running when the run was stopped."""
    stopped_by: signal.Signals | None = None
    detached: bool = False
    """Whether they keep running."""
    seconds: float = 0.0

    @property
    def exit_code(self) -> Exit:
        """The one exit code, chosen as Luigi chooses: the largest that applies."""
        if self.stopped_by is not None:
            return Exit.TERMINATED if self.stopped_by == signal.SIGTERM else Exit.INTERRUPTED
        applies = {
            Exit.ALREADY_RUNNING: self.elsewhere,
            Exit.MISSING_DATA: self.missing,
            Exit.NOT_RUN: self.not_run,
            Exit.TASK_FAILED: self.failed,
            Exit.SCHEDULING_ERROR: self.broken,
        }
        worst = [code for code, tasks in applies.items() if tasks and code != Exit.NOT_RUN]
        if worst:
            return max(worst)
        return Exit.NOT_RUN if self.not_run else Exit.DONE


def outcome_of(
    nodes: Mapping[str, Node],
    statuses: Mapping[str, str],
    run_elsewhere: Mapping[str, str],
    failures: Mapping[str, FailedTask],
    refusals: Mapping[str, TaskFailure],
) -> Outcome:
    """Sort the tasks by how they ended."""
    outcome = Outcome()
    held_up_by: dict[str, str] = {}
    for key, node in nodes.items():
        name = str(node.task)
        if node.failure is not None:
            outcome.broken.append(FailedTask(name, node.failure))
        elif node.complete:
            outcome.there.append(name)
            continue
        elif statuses.get(key) == DONE:
            outcome.ran.append(name)
            continue
        elif statuses.get(key) == FAILED:
            failed = failures.get(key) or FailedTask(name, TaskFailure(f"{name}: failed"))
            outcome.failed.append(failed)
        elif key in run_elsewhere:
            outcome.elsewhere[name] = run_elsewhere[key]
        elif node.external:
            outcome.missing.append(name)
        else:
            outcome.not_run.append(name)
            continue
        held_up_by[key] = name
    _find_held_up(outcome, nodes, held_up_by | _note_refused(outcome, nodes, refusals))
    return outcome


def _note_refused(
    outcome: Outcome, nodes: Mapping[str, Node], refusals: Mapping[str, TaskFailure]
) -> dict[str, str]:
    not_run = set(outcome.not_run)
    names = {key: str(nodes[key].task) for key in refusals}
    refused = {key: name for key, name in names.items() if name in not_run}
    outcome.refused = [FailedTask(name, refusals[key]) for key, name in refused.items()]
    return refused


def _find_held_up(outcome: Outcome, nodes: Mapping[str, Node], causes: Mapping[str, str]) -> None:
    """Find for each of these tasks the tasks that were not run because of it."""
    dependents: dict[str, list[str]] = {}
    for key, node in nodes.items():
        for need in node.needs:
            dependents.setdefault(need.task_id, []).append(key)
    not_run = set(outcome.not_run)
    for cause, name in causes.items():
        found: dict[str, None] = {}
        waiting = [cause]
        while waiting:
            for key in dependents.get(waiting.pop(), ()):
                if key != cause and key not in found and str(nodes[key].task) in not_run:
                    found[key] = None
                    waiting.append(key)
        outcome.held_up[name] = [str(nodes[key].task) for key in found]
