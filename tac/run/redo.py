"""What --force runs again: a task, and everything made from its output.

A Luigi task knows what it requires, and not what requires it.
So dependents are looked for among candidates: the tasks of the module with the same parameters,
every value of a choice, and every date that occurs in the store.
What was made with other parameters is not found.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import contextlib
import datetime as dt
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import luigi

from tac import settings
from tac.errors import ConfigError
from tac.run.parameters import DATE, parameters_of, tasks_of
from tac.store import store_of
from tac.worker.plan import is_external, needs_of

_DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")
_MOST_CANDIDATES = 200_000
"""Of one family: a task of many choices over many dates would take minutes."""


@dataclass
class Redo:
    """What --force deletes, and what it has to leave."""

    delete: list[tuple[luigi.Task, list[Any]]] = field(default_factory=list)
    leave: list[luigi.Task] = field(default_factory=list)
    """Done, and with an output that cannot be deleted."""
    elsewhere: list[luigi.Task] = field(default_factory=list)
    """External outputs that exist: no task here would make them again."""
    unseen: list[str] = field(default_factory=list)
    """Families with parameters that could not be guessed."""


def to_redo(asked: Sequence[luigi.Task], module: str) -> Redo:
    """Find the tasks to make again: the asked ones, and all complete ones that need them.

    Raises:
        ConfigError: one of their outputs is, or holds, what is never removed.
    """
    redo = Redo()
    dates = _dates_in_store()
    candidates: list[luigi.Task] = list(asked)
    for family, kind in tasks_of(module).items():
        found = list(_candidates(kind, asked, dates))
        candidates += found
        if not found:
            redo.unseen.append(family)
    for task in _asked_and_above(asked, candidates):
        outputs = [output for output in luigi.task.flatten(task.output()) if output.exists()]
        if is_external(task):
            redo.elsewhere += [task] if outputs else []
            continue
        deletable = [output for output in outputs if _delete_of(output) is not None]
        for output in deletable:  # before anything is deleted
            _require_removable(output)
        if deletable:
            redo.delete.append((task, deletable))
        if len(deletable) < len(outputs) or (not outputs and task in asked and task.complete()):
            redo.leave.append(task)
    return redo


def delete(redo: Redo) -> None:
    """Delete the outputs, dependents first: when it is interrupted, no input is missing."""
    for _, outputs in reversed(redo.delete):
        for output in outputs:
            remove = _delete_of(output)
            if remove is not None:
                remove()


def _delete_of(output: Any) -> Any:
    return getattr(output, "delete", None) or getattr(output, "remove", None)


def _require_removable(output: Any) -> None:
    """Refuse a root, a home or a mount point, of any class of target."""
    path = getattr(output, "path", None)
    if not isinstance(path, str):
        return
    try:
        store = store_of(path)
    except ConfigError:  # none of our stores: hdfs://
        return
    store.require_removable(path)


def _dates_in_store() -> list[dt.date]:
    store = settings.current().store
    found: set[dt.date] = set()
    for entry in store_of(store).list(store.rstrip("/") + "/"):
        for text in _DATE.findall(entry.address):
            try:
                found.add(dt.date.fromisoformat(text))
            except ValueError:
                continue
    return sorted(found)


def _candidates(
    kind: type[luigi.Task], asked: Sequence[luigi.Task], dates: Sequence[dt.date]
) -> Iterator[luigi.Task]:
    """Make the tasks of one family whose parameters can be guessed from the asked ones."""
    names = [option.replace("-", "_") for option in parameters_of(kind)]
    values = [_guesses(kind, name, asked, dates) for name in names]
    for chosen in itertools.islice(itertools.product(*values), _MOST_CANDIDATES):
        with contextlib.suppress(Exception):  # a family may refuse what was guessed
            yield kind(**dict(zip(names, chosen, strict=True)))


def _guesses(
    kind: type[luigi.Task], name: str, asked: Sequence[luigi.Task], dates: Sequence[dt.date]
) -> list[Any]:
    parameter = parameters_of(kind)[name.replace("_", "-")]
    same = dict.fromkeys(getattr(task, name) for task in asked if hasattr(task, name))
    if name == DATE and isinstance(parameter, luigi.DateParameter):
        return list(dict.fromkeys((*same, *dates)))
    if same:
        return list(same)
    choices = list(getattr(parameter, "_choices", ()))
    if not choices and parameter.has_task_value(kind.get_task_family(), name):
        return [parameter.task_value(kind.get_task_family(), name)]
    return choices


def _asked_and_above(
    asked: Sequence[luigi.Task], candidates: Iterable[luigi.Task]
) -> list[luigi.Task]:
    """Return the asked tasks, then the candidates that need them, however indirectly."""
    dependents: dict[str, list[luigi.Task]] = {}
    known = {task.task_id: task for task in candidates}
    waiting = list(known.values())
    while waiting:
        task = waiting.pop()
        needs: list[luigi.Task] = []
        with contextlib.suppress(Exception):  # what cannot say its needs cannot be run either
            needs = list(needs_of(task))
        for need in needs:
            dependents.setdefault(need.task_id, []).append(task)
            if need.task_id not in known:
                known[need.task_id] = need
                waiting.append(need)
    found = {task.task_id: task for task in asked}
    level = list(asked)
    while level:
        above = {task.task_id: task for each in level for task in dependents.get(each.task_id, ())}
        level = [task for key, task in above.items() if key not in found]
        found.update((task.task_id, task) for task in level)
    return list(found.values())
