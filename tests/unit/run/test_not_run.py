"""Why a scheduler does not schedule a task, from its own state."""

import luigi
import pytest

from tac.observer import TaskFailure
from tac.run.not_run import SchedulerState, why_not_run
from tac.worker import Node

URL = "http://luigid:8082"


class Wants(luigi.Task):
    resources = {"gpu": 2}  # noqa: RUF012 # as Luigi declares it


class Wanted(luigi.Task):
    def requires(self):
        return Wants()


ROWS = [
    (
        "disabled on luigid",
        SchedulerState(URL, disabled=frozenset([Wants().task_id])),
        "PENDING",
        "it failed too often, and luigid has disabled it",
        f"enable it again on the page of {URL}, or wait for [scheduler] disable_persist_seconds",
    ),
    (
        "disabled by its class",
        SchedulerState(),
        "DISABLED",
        "its class says that it is disabled",
        "`disabled` is set there",
    ),
    (
        "beyond the limit of the worker",
        SchedulerState(),
        "UNKNOWN",
        "the worker refused it",
        "see [worker] task_limit in luigi.cfg",
    ),
    (
        "paused",
        SchedulerState(URL, paused=True),
        "PENDING",
        "luigid is paused",
        f"unpause it on the page of {URL}",
    ),
    (
        "the driver is disabled",
        SchedulerState(URL, driver_disabled=True, paused=True),
        "PENDING",
        "this driver accepts no more tasks",
        "luigid's page does that, and SIGUSR1; run the same command again",
    ),
    (
        "not set",
        SchedulerState(),
        "PENDING",
        "[resources] gpu is not set, which counts as 1, and Wants wants 2",
        "write gpu=2 below [resources] in luigi.cfg",
    ),
    (
        "too few",
        SchedulerState(URL, resources={"gpu": (1, 1)}),
        "PENDING",
        "[resources] gpu=1, and Wants wants 2",
        f"write gpu=2 below [resources] in the luigi.cfg of luigid ({URL})",
    ),
    (
        "in use",
        SchedulerState(URL, resources={"gpu": (3, 2)}),
        "PENDING",
        "[resources] gpu=3, of which others use 2, and Wants wants 2",
        "run the same again when they are done",
    ),
    (
        "free since",
        SchedulerState(URL, resources={"gpu": (4, 2)}),
        "PENDING",
        f"{URL} did not schedule it",
        "--verbose shows what Luigi logs",
    ),
    (
        "free here",
        SchedulerState(resources={"gpu": (2, 0)}),
        "PENDING",
        "the scheduler did not schedule it",
        "--verbose shows what Luigi logs",
    ),
]


@pytest.mark.parametrize(
    ("state", "status", "message", "hint"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_each_reason_is_named_with_its_remedy(state, status, message, hint):
    wants, wanted = Wants(), Wanted()
    nodes = {
        wanted.task_id: Node(wanted, complete=False, needs=(wants,)),
        wants.task_id: Node(wants, complete=False),
    }
    statuses = {wants.task_id: status, wanted.task_id: "PENDING"}

    found = why_not_run(nodes, statuses, lambda: state)

    assert found == {wants.task_id: TaskFailure(f"Wants(): was not run: {message}", hint)}


@pytest.mark.parametrize("status", ["DONE", "FAILED"])
def test_the_scheduler_is_not_asked_when_all_was_run_or_failed(status):
    wants = Wants()

    def ask():
        raise AssertionError("asked")

    nodes = {wants.task_id: Node(wants, complete=False)}
    assert why_not_run(nodes, {wants.task_id: status}, ask) == {}
