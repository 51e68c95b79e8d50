"""The stock `luigi` command with a luigid, which knows how each step does, and in which pod."""

import datetime
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import luigi
import pytest

from tac.task import TransformData
from tests.support.luigid import Luigid, luigid
from tests.support.processes import until
from tests.support.runs import started_process

DAY = "2023-08-20"
WORKERS = 2
SECONDS = 240
pytestmark = pytest.mark.timeout(300)

Shown = dict[str, Any]


def tasks_of(task: luigi.Task) -> dict[str, luigi.Task]:
    """A task and all that it needs, by their ids."""
    found = {task.task_id: task}
    for need in task.deps():
        found |= tasks_of(need)
    return found


def stock(at: Path, server: Luigid) -> list[str]:
    words = ("--module", "tac.task", "TransformData", "--date", DAY, "--workers", str(WORKERS))
    more = ("--scheduler-url", server.url, "--lock-pid-dir", str(at / "luigi"))
    return [sys.executable, "-m", "luigi", *words, *more]


def in_a_pod(server: Luigid) -> list[Shown]:
    """The tasks of which luigid knows that they run, and in which pod."""
    return [
        task
        for task in server.tasks().values()
        if task["status"] == "RUNNING" and str(task["status_message"]).startswith("pod/")
    ]


def test_luigid_knows_the_graph_the_states_and_where_each_step_runs(laptop, tmp_path):
    wanted = tasks_of(TransformData(date=datetime.date.fromisoformat(DAY)))
    root = f"TransformData(date={DAY})"

    with luigid(tmp_path) as server:
        variables = laptop.of(tmp_path, "stock-luigid")
        with started_process(tmp_path, stock(tmp_path, server), **variables) as driver:
            until(lambda: in_a_pod(server), "a step that runs in a pod", SECONDS)
            half_way = server.tasks()
            jobs = laptop.jobs()
            _, err = driver.communicate(timeout=SECONDS)
        graph = server.ask("dep_graph", task_id=next(iter(wanted)))
        shown = server.tasks()

    assert driver.returncode == 0, err
    states = Counter(task["status"] for task in half_way.values())
    assert 1 <= states["RUNNING"] <= WORKERS
    assert len(jobs) <= 2 * WORKERS  # those that run, and those that are about to be deleted
    assert half_way[root]["status"] == "PENDING"
    assert {key: {*task["deps"]} for key, task in graph.items()} == {
        key: {need.task_id for need in task.deps()} for key, task in wanted.items()
    }
    assert {task["status"] for task in graph.values()} == {"DONE"}
    assert shown[root]["progress_percentage"] == 100
    pods = [pod_of(task, laptop.namespace, tmp_path / "logs") for task in graph.values()]
    assert len({*pods}) == len(wanted)
    # Luigi's own worker forgets the task's resources and retry policy when it is told a link.
    assert {task["tracking_url"] for task in graph.values()} == {None}
    assert laptop.read("stock-luigid", f"features/{DAY}.parquet")
    assert laptop.jobs() == []


def pod_of(task: Shown, namespace: str, logs: Path) -> str:
    """The pod in which a step ran, as luigid shows it: with how to read its log, there and here."""
    found = re.fullmatch(
        r"(features: \S+\n)?"
        r"pod/(?P<pod>\S+) on \S+: kubectl --context \S+ "
        rf"--namespace {namespace} logs --follow (?P=pod)\n"
        rf"log: (?P<log>{re.escape(str(logs))}/\S+\.log)",
        task["status_message"],
    )
    assert found is not None, task
    assert Path(found["log"]).exists()
    return found["pod"]
