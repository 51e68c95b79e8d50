"""No step outlives its driver, whichever process dies first, in whichever way."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tac.verdict import Reason
from tests.support.processes import (
    A_STEP,
    GRACE_SECONDS,
    REPOSITORY,
    children,
    ended,
    environment,
    marked,
    parent,
    pids_in,
    place,
    until,
)

SLACK_SECONDS = 5.0  # for a machine that does other things; the grace itself is measured below


@contextmanager
def driver(mode, directory, count, step):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.driver", mode, directory, str(count), step],
        cwd=REPOSITORY,
        env=environment(str(directory)),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pid in marked(str(directory)):
            os.kill(pid, signal.SIGKILL)


def all_pids(directory, count):
    """The process ids of all steps, once all have written them down."""
    found = [pids_in(directory / f"{number}.pids") for number in range(count)]
    return [pid for pids in found for pid in pids] if all(found) else []


@pytest.fixture(params=["cold", "warm"])
def at(request, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    with place(tmp_path, request.param) as found:
        yield found


@pytest.mark.parametrize("mode", ["cold", "warm", "forked"])
@pytest.mark.parametrize("step", ["polite", "stubborn"])
def test_a_driver_that_is_killed_takes_its_steps_along(mode, step, tmp_path):
    with driver(mode, tmp_path, 4, step) as process:
        pids = until(lambda: all_pids(tmp_path, 4), "the start of four steps")
        process.kill()
        if mode == "forked":
            for number in range(4):
                os.kill(pids_in(tmp_path / f"{number}.task")[0], signal.SIGKILL)

        until(lambda: not marked(str(tmp_path)), "the end", GRACE_SECONDS + SLACK_SECONDS)
        assert all(ended(pid) for pid in pids)


@pytest.mark.parametrize("seed", range(8))
def test_it_does_not_matter_when_the_driver_is_killed(seed, tmp_path):
    chance = random.Random(seed)
    mode = chance.choice(["cold", "warm"])
    with driver(mode, tmp_path, 8, "stubborn") as process:
        until(lambda: marked(str(tmp_path)), "the start")
        time.sleep(chance.uniform(0, 0.8))
        process.kill()

        until(lambda: not marked(str(tmp_path)), "the end", GRACE_SECONDS + SLACK_SECONDS)


def test_one_task_process_that_is_killed_ends_its_own_step_only(tmp_path):
    with driver("forked", tmp_path, 2, "stubborn"):
        until(lambda: all_pids(tmp_path, 2), "the start of two steps")
        os.kill(pids_in(tmp_path / "0.task")[0], signal.SIGKILL)

        pids = pids_in(tmp_path / "0.pids")
        until(lambda: all(ended(pid) for pid in pids), "the end", GRACE_SECONDS + SLACK_SECONDS)
        assert not any(ended(pid) for pid in pids_in(tmp_path / "1.pids"))


def test_a_server_that_is_killed_takes_its_steps_along_and_the_driver_says_so(at):
    path = at.path / "pids"
    with at.running(*A_STEP, "stubborn", path) as verdicts:
        pids = until(lambda: pids_in(path), "the start")
        os.kill(server_of(pids[0]), signal.SIGKILL)

    (verdict,) = verdicts
    assert verdict.reason is Reason.LOST
    assert ": the step server was killed by SIGKILL" in verdict.detail
    until(lambda: all(ended(pid) for pid in pids), "the end of the step and its child")
    assert at.a_step("exit", "65").exit_code == 65


def server_of(pid):
    """The step server above a step and its reaper."""
    server = parent(parent(pid))
    assert server in children(os.getpid())
    return server


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        ("polite", "stopped on request after "),
        ("careless", "stopped on request after "),
        ("stubborn", ", by SIGKILL because SIGTERM did not end it"),
    ],
)
def test_a_step_is_stopped_within_the_grace(at, step, detail):
    path = at.path / "pids"
    with at.running(*A_STEP, step, path) as verdicts:
        pids = until(lambda: pids_in(path), "the start")
        at.stop.set()
        began = time.monotonic()

    (verdict,) = verdicts
    assert verdict.reason is Reason.STOPPED
    assert detail in verdict.detail
    took = time.monotonic() - began
    assert took < GRACE_SECONDS + SLACK_SECONDS
    assert step != "stubborn" or took > GRACE_SECONDS
    assert all(ended(pid) for pid in pids)


def test_a_stop_that_comes_first_starts_nothing(at):
    at.stop.set()

    assert at.a_step("exit", "0").detail == "stopped on request before it began"
    assert not at.log.exists()


def test_a_follower_that_fails_ends_the_step(at):
    def follow(line):
        raise OSError(f"the display is gone at {line!r}")

    path = at.path / "pids"
    with pytest.raises(OSError, match="the display is gone at 'hello'"):
        at.run("sh", "-c", f"echo $$ > {path}; echo hello; exec sleep 600", follow=follow)

    assert ended(pids_in(path)[0])


def test_closing_the_runner_stops_what_runs(at):
    path = at.path / "pids"
    with at.running(*A_STEP, "stubborn", path) as verdicts:
        pids = until(lambda: pids_in(path), "the start")
        at.runner.close()
        assert all(ended(pid) for pid in pids)

    assert verdicts[0].reason is Reason.STOPPED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_signalled_stops_its_steps_first(at, number):
    path = at.path / "pids"
    with at.running(*A_STEP, "polite", path) as verdicts:
        pids = until(lambda: pids_in(path), "the start")
        os.kill(server_of(pids[0]), number)

    (verdict,) = verdicts
    assert verdict.reason is Reason.STOPPED
    assert ended(pids[0])
    assert at.a_step("exit", "65").exit_code == 65
