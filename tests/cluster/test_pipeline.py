"""The reference pipeline on a real Kubernetes with S3 in it, as people start it.

TAC_TEST_SEED takes the seed that a failed test has printed, and its moments come again.
"""

import datetime
import os
import random
import re
import signal
import subprocess
import sys
import time

import luigi
import pytest

from tac.task import Report
from tests.support.journal import journal
from tests.support.laptop import OF_STEPS, Laptop
from tests.support.processes import until
from tests.support.runs import environment, line_of, started_program, tac

DAY = "2023-03-01"
PREDICTIONS = f"predictions/{DAY}.parquet"
WORDS = ("run", "MakePredictions", "--date", DAY)
SECONDS = 300
pytestmark = pytest.mark.timeout(SECONDS)
KILLS = 10
STEPS = 15


@pytest.fixture(scope="module")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The predictions of one day as the local runner makes them."""
    at = tmp_path_factory.mktemp("local")
    ended = tac(at, *WORDS, seconds=SECONDS)
    assert ended.code == 0, ended.err
    return (at / "store" / PREDICTIONS).read_bytes()


def test_one_day_makes_the_same_bytes_on_all_nodes_and_a_second_run_creates_nothing(
    deployment, laptop, local_run, tmp_path
):
    with journal(deployment.namespace) as kept:
        ended = tac(tmp_path, *WORDS, seconds=SECONDS, **laptop.of(tmp_path, "first"))

    assert ended.code == 0, ended.err
    first, *_, last = ended.err.splitlines()
    assert re.fullmatch(
        rf"kubernetes: context \S+, namespace {deployment.namespace}, https://\S+", first
    )
    assert re.fullmatch(rf"{STEPS} ran, 0 were complete, \d+\.\d s", last)
    assert laptop.read("first", PREDICTIONS) == local_run
    assert laptop.jobs() == []
    assert sorted(kept.succeeded.values()) == [1] * STEPS
    nodes = {node["metadata"]["name"] for node in deployment.read("nodes")["items"]}
    assert kept.nodes == nodes

    with journal(deployment.namespace) as kept:
        again = tac(tmp_path, *WORDS, seconds=SECONDS, **laptop.of(tmp_path, "first"))

    assert again.err == f"MakePredictions(date={DAY}): complete, nothing to do\n"
    assert (kept.jobs, kept.pods) == ({}, {})


def test_a_driver_in_the_cluster_makes_the_same_bytes(deployment, laptop, local_run):
    ended = deployment.do("run", *WORDS[1:], "--store", "s3://tac/inside")

    assert ended.code == 0, ended.err
    assert laptop.read("inside", PREDICTIONS) == local_run
    assert laptop.jobs() == []


def test_the_stock_command_makes_the_same_bytes(laptop, local_run, tmp_path):
    words = ("--module", "tac.task", "MakePredictions", "--date", DAY)
    more = ("--local-scheduler", "--workers", "10", "--lock-pid-dir", str(tmp_path / "luigi"))

    ended = subprocess.run(
        [sys.executable, "-m", "luigi", *words, *more],
        cwd=tmp_path,
        env=environment(tmp_path, **laptop.of(tmp_path, "stock")),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert laptop.read("stock", PREDICTIONS) == local_run
    assert laptop.jobs() == []


@pytest.mark.timeout(2 * SECONDS)
def test_drivers_that_are_killed_leave_nothing_undone_twice_or_lying_about(
    deployment, laptop, local_run, tmp_path
):
    seed = os.environ.get("TAC_TEST_SEED", str(time.time_ns()))  # noqa: TID251 # the test's own
    print(f"TAC_TEST_SEED={seed}")
    chance = random.Random(seed)
    variables = laptop.of(tmp_path, "killed")
    # A page that looks back on three days has more steps than ten killed drivers can do.
    words = ("run", "Report", "--date", DAY, "--history", "3")
    steps = len(tasks_of(Report(date=datetime.date.fromisoformat(DAY), history=3)))
    with journal(deployment.namespace) as kept:
        for _ in range(KILLS):
            with started_program(tmp_path, *words, "--workers", 2, **variables) as process:
                assert line_of(process).startswith("kubernetes: context ")
                time.sleep(chance.uniform(0, 2))  # the moment is what is varied, not waited for
                assert process.poll() is None, "the driver ended before it was killed"
                process.kill()
                assert process.wait() == -signal.SIGKILL
        done_by_the_killed = len(kept.succeeded)
        ended = tac(tmp_path, *words, seconds=SECONDS, **variables)
        # What no driver has read is swept when its controller has said that it is over.
        until(lambda: all_over(laptop), "the end of all Jobs")
        again = tac(tmp_path, *words, seconds=SECONDS, **variables)

    assert (ended.code, again.code) == (0, 0), ended.err + again.err
    assert 0 < done_by_the_killed < steps
    assert laptop.read("killed", PREDICTIONS) == local_run
    assert laptop.jobs() == []
    assert sorted(kept.succeeded.values()) == [1] * steps
    assert len(kept.pods) == steps


def tasks_of(task: luigi.Task) -> set[str]:
    """A task and all that it needs, each once."""
    return {task.task_id}.union(*(tasks_of(need) for need in task.deps()))


def all_over(laptop: Laptop) -> bool:
    """Whether every Job of a step that is there is Complete, or Failed."""
    jobs = laptop.deployment.read("jobs", "--selector", OF_STEPS)["items"]
    return all(
        {each["type"] for each in job["status"].get("conditions", ())} & {"Complete", "Failed"}
        for job in jobs
    )


def test_two_drivers_at_once_run_each_step_once(deployment, laptop, local_run, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with (
        journal(deployment.namespace) as kept,
        started_program(first, *WORDS, **laptop.of(first, "shared")) as other,
    ):
        ended = tac(second, *WORDS, seconds=SECONDS, **laptop.of(second, "shared"))
        _, said = other.communicate(timeout=SECONDS)

    assert (ended.code, other.returncode) == (0, 0), ended.err + said
    assert laptop.read("shared", PREDICTIONS) == local_run
    assert laptop.jobs() == []
    assert sorted(kept.succeeded.values()) == [1] * STEPS
    assert len(kept.pods) == STEPS
