"""Drivers of tasks that describe their own pods: killed, told to end, stopped; and what they show.

They are real processes, above all the stock `luigi` command, which forks one for each task.
"""

import os
import signal

import pytest

from tests.support.job_place import OURS, at, end_of
from tests.support.kubernetes_place import step_image
from tests.support.luigid import luigid
from tests.support.processes import children, ended, until
from tests.support.runs import wait_until

__all__ = ["at", "step_image"]


@pytest.fixture
def slow(at):
    """A pipeline of one task that goes on until it is let go."""
    (at.path / "pipeline.py").write_text(
        f"{OURS}\n"
        "import luigi\n"
        "class Wait(KubernetesJobTask):\n"
        "    name = 'wait'\n"
        "    backoff_limit = 0\n"
        f"    kubernetes_namespace = {at.namespace!r}\n"
        f"    spec_schema = {at.spec(SCRIPT)!r}\n"
        "    def output(self):\n"
        f"        return luigi.LocalTarget({str(at.shared / 'done')!r})\n"
    )
    return at


SCRIPT = (
    "trap 'echo told; exit 143' TERM; echo 1 >> /at/runs; echo '[ 40 %] waiting'; "
    "until [ -e /at/go ]; do sleep 0.1; done; touch /at/done"
)


def begun(at):
    until((at.shared / "runs").exists, "the pod's first word")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stock_driver_that_is_killed_finds_its_job_again(slow, workers):
    with slow.started(slow.stock("Wait", "--workers", workers)) as process:
        begun(slow)
        os.killpg(process.pid, signal.SIGKILL)
    [job] = slow.jobs()

    with slow.started(slow.stock("Wait", "--workers", workers)) as process:
        log = next(slow.path.glob("store/_tac/logs/wait-*.log"))
        until(lambda: "# adopted job/" in log.read_text(), "the Job to be found again")
        assert [each["metadata"]["uid"] for each in slow.jobs()] == [job["metadata"]["uid"]]
        (slow.shared / "go").touch()
        outcome = end_of(process)

    assert outcome.code == 0, outcome.err
    assert (slow.shared / "runs").read_text() == "1\n"
    slow.until_empty()


@pytest.mark.parametrize(("policy", "left"), [("stop", 0), ("leave", 1)])
@pytest.mark.parametrize(
    ("command", "number"),
    [("stock", signal.SIGTERM), ("stock", signal.SIGINT), ("tac", signal.SIGTERM)],
    ids=["stock-term", "stock-ctrl-c", "tac-term"],
)
def test_a_driver_on_sigterm_deletes_its_job_or_leaves_it_running(
    slow, command, number, policy, left
):
    slow.set(TAC_ON_STOP=policy)
    with slow.started(getattr(slow, command)("Wait", "--workers", "1")) as process:
        begun(slow)
        process.send_signal(number)
        outcome = end_of(process)

    code = {"tac": 143, "stock": -number}[command]
    assert outcome.code == code, outcome.err
    until(lambda: len(slow.jobs()) == left, "the end of what is stopped")


def test_a_forked_task_on_sigterm_deletes_its_job(slow):
    with slow.started(slow.stock("Wait", "--workers", "2")) as process:
        begun(slow)
        [child] = until(lambda: list(children(process.pid)), "the task's own process")
        os.kill(child, signal.SIGTERM)
        wait_until(lambda: ended(child), "the end of the task's process")
        end_of(process)

    slow.until_empty()


def test_luigid_shows_what_a_task_waits_for_where_its_log_is_and_how_far_it_is(slow):
    with (
        luigid(slow.path) as server,
        slow.started([*slow.tac("Wait"), "--luigid", server.url]) as process,
    ):
        until(lambda: fields(server)[0] == 40, "its progress")
        shown = fields(server)
        (slow.shared / "go").touch()
        assert end_of(process).code == 0

    log = next(slow.path.glob("store/_tac/logs/wait-*.log"))
    percent, status, link = shown
    assert (percent, link) == (40, None)  # no browser opens a file from luigid's page
    assert status.splitlines()[0] == "waiting"
    assert status.splitlines()[-1] == f"log: {log}"


def fields(server):
    """What luigid shows of the only task."""
    [task] = server.tasks().values() or [{}]
    return [task.get(name) for name in ("progress_percentage", "status_message", "tracking_url")]
