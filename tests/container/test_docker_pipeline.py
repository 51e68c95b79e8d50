"""The reference pipeline in containers, as people start it: files and S3, once and again.

TAC_TEST_SEED takes the seed that a failed test has printed, and its moments come again.
"""

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.docker_place import containers
from tests.support.engine import Engine
from tests.support.runs import Ended, end_of, environment, started_program, tac, wait_until
from tests.support.s3 import SECRET_KEY, bucket, s3_server

__all__ = ["bucket", "s3_server"]

DAY = "2023-03-01"
PREDICTIONS = f"predictions/{DAY}.parquet"
MANAGED = "app.kubernetes.io/managed-by=tac"
WORDS = ("run", "MakePredictions", "--date", DAY, "--workers", "2")
KILLS = 10
SECONDS = 250.0
"""A pipeline of fifteen containers takes a minute on a machine that is busy."""
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def variables(engine: Engine, image: str) -> dict[str, str]:
    """What a driver is started with."""
    return {"DOCKER_HOST": engine.host, "TAC_IMAGE": image, "TAC_RUNNER": "docker"}


@pytest.fixture(scope="module")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The predictions of one day as the local runner makes them."""
    at = tmp_path_factory.mktemp("local")
    ended = tac(at, *WORDS, seconds=SECONDS)
    assert ended.code == 0, ended.err
    return (at / "store" / PREDICTIONS).read_bytes()


def ours(engine: Engine, at: Path) -> list[str]:
    """The containers that see this directory."""
    return [
        each["Name"]
        for each in containers(engine, MANAGED)
        if str(at) in str(each["HostConfig"]["Mounts"])
    ]


def summary(ended: Ended) -> str:
    assert ended.code == 0, ended.err
    return ended.err.splitlines()[-1]


def test_one_day_in_containers_makes_the_same_bytes_and_leaves_none(
    engine, variables, local_run, tmp_path
):
    ended = tac(tmp_path, *WORDS, seconds=SECONDS, **variables)

    assert re.fullmatch(r"15 ran, 0 were complete, \d+\.\d s", summary(ended))
    assert (tmp_path / "store" / PREDICTIONS).read_bytes() == local_run
    assert ours(engine, tmp_path) == []
    assert "[100 %] features" in "".join(
        log.read_text() for log in tmp_path.glob("store/_tac/logs/transform-data-*.log")
    )

    again = tac(tmp_path, *WORDS, **{**variables, "DOCKER_HOST": "unix:///nonexistent"})

    assert summary(again) == f"MakePredictions(date={DAY}): complete, nothing to do"


def test_drivers_that_are_killed_leave_nothing_undone_twice_or_lying_about(
    engine, variables, local_run, tmp_path
):
    seed = os.environ.get("TAC_TEST_SEED", str(time.time_ns()))  # noqa: TID251 # the test's own
    print(f"TAC_TEST_SEED={seed}")
    chance = random.Random(seed)
    # A page that looks back on two days has more steps than ten killed drivers can do.
    words = ("run", "Report", "--date", DAY, "--history", "2", "--workers", "2")
    for _ in range(KILLS):
        with started_program(tmp_path, *words, **variables) as process:
            # The moment is what is varied, not waited for; the first container comes after 0.7 s,
            # and goes on between two drivers.
            time.sleep(chance.uniform(0.2, 2.2))
            assert process.poll() is None, "the driver ended before it was killed"
            process.kill()
    ended = tac(tmp_path, *words, seconds=SECONDS, **variables)

    assert ended.code == 0, ended.err
    assert (tmp_path / "store" / PREDICTIONS).read_bytes() == local_run
    assert ours(engine, tmp_path) == []
    assert not list((tmp_path / "store").rglob("*.partial"))
    for log in (tmp_path / "store" / "_tac" / "logs").glob("*.log"):
        assert ": exists, " not in log.read_text(), log


def test_two_drivers_at_once_run_each_step_once(engine, variables, local_run, tmp_path):
    with started_program(tmp_path, *WORDS, **{**variables, "TAC_LOGS": "logs2"}) as other:
        ended = tac(tmp_path, *WORDS, seconds=SECONDS, **variables)
        _, said = other.communicate(timeout=SECONDS)

    assert (ended.code, other.returncode) == (0, 0), ended.err + said
    assert (tmp_path / "store" / PREDICTIONS).read_bytes() == local_run
    assert ours(engine, tmp_path) == []
    logs = [*tmp_path.glob("store/_tac/logs/*.log"), *tmp_path.glob("logs2/*.log")]
    assert not [log for log in logs if "; nothing to do" in log.read_text()]


def test_the_stock_command_runs_its_tasks_in_containers_too(engine, variables, local_run, tmp_path):
    words = ("--module", "tac.task", "MakePredictions", "--date", DAY)
    more = ("--local-scheduler", "--workers", "2", "--lock-pid-dir", str(tmp_path / "luigi"))

    ended = subprocess.run(
        [sys.executable, "-m", "luigi", *words, *more],
        cwd=tmp_path,
        env=environment(tmp_path, **variables),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "store" / PREDICTIONS).read_bytes() == local_run
    assert ours(engine, tmp_path) == []


def test_a_pipeline_on_s3_gets_its_keys_by_a_file_that_only_the_step_reads(
    engine, variables, local_run, tmp_path, bucket
):
    shown: list[str] = []
    s3 = {**bucket.environment(), "TAC_DOCKER_NETWORK": "host", "TAC_LOGS": str(tmp_path / "logs")}
    words = (*WORDS, "--store", bucket.address("v1"))

    with started_program(tmp_path, *words, **variables, **s3) as process:
        deadline = time.monotonic() + SECONDS
        while process.poll() is None:
            assert time.monotonic() < deadline, "the run does not end"
            shown += [str(each) for each in containers(engine, MANAGED) if bucket.name in str(each)]
            time.sleep(0.1)  # ten looks a second at what anybody may see
        out, err = process.communicate()

    assert (process.returncode, out) == (0, bucket.address(f"v1/{PREDICTIONS}\n")), err
    reply = bucket.client.get_object(Bucket=bucket.name, Key=f"v1/{PREDICTIONS}")
    assert reply["Body"].read() == local_run
    assert len(shown) > 5
    assert SECRET_KEY not in "".join(shown)
    assert "/run/tac/aws-credentials" in "".join(shown)
    texts = [path.read_text() for path in (tmp_path / "logs").iterdir()]
    assert not [text for text in texts if SECRET_KEY in text]


def test_an_address_of_s3_that_means_the_container_itself_is_refused(variables, tmp_path, bucket):
    words = ("run", "FetchSchedule", "--date", DAY, "--store", bucket.address("v1"))

    ended = tac(tmp_path, *words, **variables, **bucket.environment())

    assert ended.code == 30
    endpoint = bucket.server.endpoint
    assert f"S3's address, {endpoint}: in a container it is the container itself" in ended.err
    assert "Hint: set TAC_CONTAINER_S3_ENDPOINT_URL to its address" in ended.err


def test_flights_of_a_file_come_from_where_the_template_leads(
    variables, local_run, tmp_path, tmp_path_factory
):
    source = tmp_path_factory.mktemp("source")
    first = tac(source, "run", "FetchData", "--date", DAY)
    assert first.code == 0, first.err
    template = f"file://{source}/store/flights/{{date:%Y-%m-%d}}.parquet"

    ended = tac(tmp_path, "run", "FetchData", "--date", DAY, "--source", template, **variables)

    assert summary(ended).startswith("1 ran")
    made = (tmp_path / "store" / "flights" / f"{DAY}.parquet").read_bytes()
    assert made == (source / "store" / "flights" / f"{DAY}.parquet").read_bytes()


@pytest.mark.parametrize(("policy", "left"), [("stop", 0), ("leave", 1)])
def test_a_driver_on_sigterm_stops_its_containers_or_leaves_them_running(
    engine, variables, tmp_path, policy, left
):
    words = ("run", "FetchData", "--date", DAY, "--source", "http://192.0.2.1/{date}.csv")

    with started_program(tmp_path, *words, **variables, TAC_ON_STOP=policy) as process:
        wait_until(lambda: ours(engine, tmp_path), "a container")
        process.terminate()
        ended = end_of(process)

    assert ended.code == 143, ended.err
    names = ours(engine, tmp_path)
    assert len(names) == left
    for name in names:
        engine.command("rm", "--force", name.removeprefix("/"))
