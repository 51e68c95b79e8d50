"""Drivers of this machine that were killed: luigid waits a minute for them, and need not.

luigid forgets a worker that has said nothing for `worker_disconnect_delay`, 60 s by default, and
until then nobody else may run its tasks. Whether a process of this machine lives is known here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi.task_status import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PROCESSES = "processes"
_SAME_PLACE = ("host", "username", _PROCESSES)


def process_table() -> tuple[str, str]:
    """Return, for the worker's description, in which table of processes its number counts.

    Two containers may have one host name, and each its own process 1.
    """
    space = Path("/proc/self/ns/pid")
    return _PROCESSES, str(space.readlink()) if space.is_symlink() else "of the machine"


def release_their_tasks(
    scheduler: Any, description: Mapping[str, Any], notice: Callable[[str], None]
) -> None:
    """Tell luigid that the tasks of killed drivers run no more; `description` is our worker's."""
    for worker in scheduler.worker_list():
        if any(worker.get(name) != description.get(name) for name in _SAME_PLACE):
            continue
        tasks = worker["running"]
        if not tasks or _is_running(worker["pid"]):
            continue
        for key in tasks:
            scheduler.add_task(
                worker=worker["name"],
                task_id=key,
                status=FAILED,
                runnable=None,
                expl="the driver was killed",
            )
        scheduler.disable_worker(worker=worker["name"])
        its = "1 task runs" if len(tasks) == 1 else f"{len(tasks)} tasks run"
        notice(f"process {worker['pid']} was killed: luigid is told that its {its} no more")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
