"""Release the tasks of killed drivers of this machine, for which luigid would wait a minute.

luigid drops a worker that has sent nothing for `worker_disconnect_delay`, 60 s by default, and
until then no other worker may run its tasks. Whether a process of this machine lives is known here.
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
    """Return an item of the worker's description: the PID namespace of its process.

    Two containers may have one host name, and each its own process 1.
    """
    space = Path("/proc/self/ns/pid")
    return _PROCESSES, str(space.readlink()) if space.is_symlink() else "of the machine"


def release_tasks(
    scheduler: Any, description: Mapping[str, Any], notice: Callable[[str], None]
) -> None:
    """Report the tasks of killed drivers as failed to luigid; `description` is our worker's."""
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
        its = "1 task is" if len(tasks) == 1 else f"{len(tasks)} tasks are"
        notice(f"process {worker['pid']} was killed: its {its} released in luigid")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
