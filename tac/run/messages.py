"""The messages about a run, before and after it: pure, from plans and outcomes to lines."""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import click
import luigi

from tac.run import parameters
from tac.run.outcome import FailedTask, Outcome
from tac.run.redo import Redo
from tac.worker import Node, Plan

_MOST_NAMES = 5
_STEP = re.compile(r"^step/\S+: ")
"""How the message of a failed step begins: with its name."""

_MOST_FAILURES = 20
"""How many failures are shown: of a thousand, most have one reason."""


def place_of(output: Any) -> str:
    """Return the path or URL of a target, or its text."""
    return str(getattr(output, "path", output))


def task_help(kind: type[luigi.Task], options: Iterable[str] = ()) -> Iterator[str]:
    """Describe a task and the parameters that it takes beside the `options` of tac run."""
    yield f"Usage: tac run {kind.get_task_family()} [--PARAMETER VALUE]... [OPTIONS]\n"
    if kind.__doc__:
        yield textwrap.indent(inspect.cleandoc(kind.__doc__), "  ") + "\n"
    rows = [
        (each.option, f"{each.text or each.kind}{_kind_and_default(each)}")
        for each in parameters.describe(kind, options)
    ]
    if rows:
        formatter = click.HelpFormatter(max_width=100)
        formatter.write_dl(rows)
        yield f"Parameters:\n{formatter.getvalue()}"
    else:
        yield "It has no parameters."


def _kind_and_default(described: parameters.Described) -> str:
    default = "needed" if described.default is None else f"default: {described.default}"
    return f"  [{described.kind}; {default}]" if described.text else f"  [{default}]"


def dry_run(plan: Plan) -> Iterator[str]:
    """Say of every task whether it would run, and why."""
    missing = {node.task.task_id for node in plan.missing()}
    for node in plan.in_order():
        if node.complete:
            yield f"complete       {node.task}: {_places(node.task)}"
        elif node.failure is not None:
            yield f"cannot run     {node.failure.message}"
        elif node.external:
            yield f"missing        {node.task}: {_places(node.task)} comes from elsewhere"
        else:
            yield f"would run      {node.task}: {_why(node, missing)}"
    would_run = sum(1 for key in missing if _can_run(plan.nodes[key]))
    there = len(plan.nodes) - len(missing)
    yield f"{would_run} would run, {there} {'is' if there == 1 else 'are'} complete"


def _can_run(node: Node) -> bool:
    return node.failure is None and not node.external


def _why(node: Node, missing: set[str]) -> str:
    needs = [str(need) for need in node.needs if need.task_id in missing]
    reasons = (
        [f"{_places(node.task)} is not there"] if luigi.task.flatten(node.task.output()) else []
    )
    if needs:
        reasons.append(f"needs {names(needs, most=1)}, which would run")
    return "; ".join(reasons) or "is not complete"


def _places(task: luigi.Task) -> str:
    return names([place_of(output) for output in luigi.task.flatten(task.output())]) or "complete"


def names(known: list[str], most: int = _MOST_NAMES) -> str:
    """Name the first few and count the others."""
    others = len(known) - most
    shown = ", ".join(known[:most])
    return f"{shown} and {others} more" if others > 0 else shown


def force(redo: Redo) -> Iterator[str]:
    """List what --force is about to delete, and what it cannot find."""
    for task, outputs in redo.delete:
        yield f"delete  {task}: {names([place_of(output) for output in outputs])}"
    for task in redo.elsewhere:
        yield f"leave   {task}: it comes from elsewhere"
    for task in redo.leave:
        yield f"leave   {task}: its output cannot be deleted"
    if redo.unseen:
        yield f"not looked at: {', '.join(redo.unseen)}, whose parameters cannot be guessed"


def summary(outcome: Outcome) -> str:
    """Count it in one line."""
    counts = {
        "ran": len(outcome.ran),
        "failed": len(outcome.failed),
        "could not be scheduled": len(outcome.broken),
        "missing": len(outcome.missing),
        "run by another worker": len(outcome.elsewhere),
        "stopped": len(outcome.running) if outcome.stopped_by else 0,
        "were not run": len(outcome.not_run) - (len(outcome.running) if outcome.stopped_by else 0),
        "were complete": len(outcome.there),
    }
    always = ("ran", "were complete")
    parts = [_counted(count, what) for what, count in counts.items() if count > 0 or what in always]
    return f"{', '.join(parts)}, {outcome.seconds:.1f} s"


def _counted(count: int, what: str) -> str:
    return f"{count} {what.replace('were', 'was') if count == 1 else what}"


def explanation(outcome: Outcome, command: str) -> Iterator[str]:
    """Say what went wrong, what was not run because of it, and how to continue."""
    if outcome.stopped_by is not None:
        yield f"{outcome.stopped_by.name}: stopped{_what_ran(outcome)}"
    yield from _failures([*outcome.broken, *outcome.failed, *outcome.refused], outcome)
    missing = ((name, "is not there, and comes from elsewhere") for name in outcome.missing)
    yield from _not_ours(dict(missing), outcome)
    yield from _not_ours(
        {name: f"is run by another worker, {who}" for name, who in outcome.elsewhere.items()},
        outcome,
    )
    if outcome.elsewhere:
        yield (
            "Hint: wait for it; luigid forgets a worker that died after "
            "[scheduler] worker_disconnect_delay, 60 s"
        )
    if outcome.exit_code:
        yield f"What is done stays done. To continue: {command}"


def _what_ran(outcome: Outcome) -> str:
    if not outcome.running:
        return "; nothing was running"
    if outcome.detached:
        verb = "keeps" if len(outcome.running) == 1 else "keep"
        return f"; {names(outcome.running)} {verb} running"
    return f" {names(outcome.running)}"


def _not_ours(tasks: dict[str, str], outcome: Outcome) -> Iterator[str]:
    for name, what in itertools.islice(tasks.items(), _MOST_FAILURES):
        yield f"Error: {name}: {what}"
        yield from _held_up(name, outcome)
    if (more := len(tasks) - _MOST_FAILURES) > 0:
        yield f"The same: {more} more"


def _failures(tasks: list[FailedTask], outcome: Outcome) -> Iterator[str]:
    groups = _alike(tasks)
    shown = groups[:_MOST_FAILURES]
    held_up = [_held_up_by(group, outcome) for group in shown]
    for group, held, after in itertools.zip_longest(shown, held_up, held_up[1:]):
        yield from _failure(group[0])
        if others := [task.name for task in group[1:]]:
            yield f"The same: {names(others)}"
        # Ten days that fail block the same tasks: these are named once, after the last of them.
        if held and held != after:
            yield f"Not run because of it: {names(held)}"
    if more := sum(map(len, groups[_MOST_FAILURES:])):
        yield f"{more} more failed"


def _alike(tasks: list[FailedTask]) -> list[list[FailedTask]]:
    """Group the tasks that failed for one reason, such as an engine that does not run."""
    groups: dict[object, list[FailedTask]] = {}
    for task in tasks:
        said = _STEP.sub("", task.failure.message.removeprefix(f"{task.name}: "))
        groups.setdefault((said, task.failure.hint, task.failure.details), []).append(task)
    return list(groups.values())


def _held_up_by(tasks: list[FailedTask], outcome: Outcome) -> list[str]:
    held = (outcome.held_up.get(task.name, ()) for task in tasks)
    return list(dict.fromkeys(itertools.chain.from_iterable(held)))


def _failure(task: FailedTask) -> Iterator[str]:
    message = task.failure.message
    yield f"Error: {message if message.startswith(task.name) else f'{task.name}: {message}'}"
    if task.failure.hint:
        yield f"Hint: {task.failure.hint}"
    if task.log:
        yield f"Log: {task.log.removeprefix('file://')}"
    yield from (f"    {line}" for line in task.failure.details.rstrip().splitlines())


def _held_up(name: str, outcome: Outcome) -> Iterator[str]:
    held_up = outcome.held_up.get(name)
    if held_up:
        yield f"Not run because of it: {names(held_up)}"


def all_there(plan: Plan) -> str:
    """Say that there is nothing to do."""
    roots = [str(root) for root in plan.roots]
    return f"{names(roots, most=1)}: complete, nothing to do"
