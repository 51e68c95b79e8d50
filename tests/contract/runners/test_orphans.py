"""The processes that a step leaves end with it, also those in another session and group."""

import os
import signal
import subprocess
import sys

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
    until,
)

SLACK_SECONDS = 5.0


def started(path):
    """The step, its daemon and the daemon's child, once all have written themselves down."""
    pids = until(lambda: pids_in(path), "the start of a daemon")
    assert len(pids) == 3
    return pids


@pytest.mark.parametrize(("code", "reason"), [(0, Reason.DONE), (65, Reason.BAD_DATA)])
def test_a_daemon_ends_with_its_step(at, code, reason):
    gate = at.path / "gate"
    with at.running(*A_STEP, "daemon_until", at.path / "pids", gate, code) as verdicts:
        pids = started(at.path / "pids")
        assert not any(ended(pid) for pid in pids)
        gate.touch()

    assert verdicts[0].reason is reason
    assert [pid for pid in pids if not ended(pid)] == [], "before the verdict is there"


def test_a_daemon_of_a_step_beside_is_not_touched(at, tmp_path):
    gates = [tmp_path / "gate-0", tmp_path / "gate-1"]
    files = [tmp_path / "pids-0", tmp_path / "pids-1"]
    with at.running(*A_STEP, "daemon_until", files[0], gates[0], 0) as first:
        theirs = started(files[0])
        with at.running(*A_STEP, "daemon_until", files[1], gates[1], 0) as second:
            ours = started(files[1])
            gates[1].touch()
            until(lambda: second, "the end of the second step")
            assert all(ended(pid) for pid in ours)
            assert not any(ended(pid) for pid in theirs)
        assert not any(ended(pid) for pid in theirs)
        gates[0].touch()

    assert [each.reason for each in (*first, *second)] == [Reason.DONE, Reason.DONE]
    assert all(ended(pid) for pid in theirs)


def test_a_daemon_of_a_stopped_step_ends(at):
    with at.running(*A_STEP, "daemon", at.path / "pids") as verdicts:
        pids = started(at.path / "pids")
        at.stop.set()

    assert verdicts[0].reason is Reason.STOPPED
    assert all(ended(pid) for pid in pids)


def test_a_step_that_has_left_its_group_is_stopped(at):
    with at.running(*A_STEP, "elsewhere", at.path / "pids") as verdicts:
        pids = until(lambda: pids_in(at.path / "pids"), "the start of the step")
        at.stop.set()

    assert verdicts[0].reason is Reason.STOPPED
    assert all(ended(pid) for pid in pids)


def test_a_step_that_is_killed_takes_its_daemon_along(at):
    with at.running(*A_STEP, "daemon", at.path / "pids") as verdicts:
        pids = started(at.path / "pids")
        os.kill(pids[0], signal.SIGKILL)

    assert verdicts[0].signal == signal.SIGKILL
    assert all(ended(pid) for pid in pids)


@pytest.mark.parametrize("generations", [1, 2])
def test_whichever_ancestor_of_a_step_is_killed_the_daemon_ends(at, generations):
    with at.running(*A_STEP, "daemon", at.path / "pids") as verdicts:
        pids = started(at.path / "pids")
        above = pids[0]
        for _ in range(generations):
            above = parent(above)
        assert above != os.getpid()
        os.kill(above, signal.SIGKILL)
        until(lambda: all(ended(pid) for pid in pids), "the end of the step and its daemon")

    assert verdicts[0].exit_code is None
    assert at.a_step("exit", "65").exit_code == 65


@pytest.mark.parametrize("mode", ["cold", "warm", "forked"])
def test_a_driver_that_is_killed_leaves_no_daemon(mode, tmp_path):
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.support.driver", mode, str(tmp_path), "2", "daemon"],
        cwd=REPOSITORY,
        env=environment(str(tmp_path)),
    )
    try:
        pids = [pid for number in range(2) for pid in started(tmp_path / f"{number}.pids")]
        tasks = [pids_in(path)[0] for path in tmp_path.glob("*.task")]
        for pid in (driver.pid, *tasks):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not marked(str(tmp_path)), "the end", GRACE_SECONDS + SLACK_SECONDS)
        assert all(ended(pid) for pid in pids)
    finally:
        driver.kill()
        driver.wait()
        for pid in marked(str(tmp_path)):
            os.kill(pid, signal.SIGKILL)


def test_a_driver_that_is_killed_leaves_no_step_that_has_left_its_group(tmp_path):
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.support.driver", "warm", str(tmp_path), "1", "elsewhere"],
        cwd=REPOSITORY,
        env=environment(str(tmp_path)),
    )
    try:
        until(lambda: pids_in(tmp_path / "0.pids"), "the start of the step")
        driver.kill()
        until(lambda: not marked(str(tmp_path)), "the end", GRACE_SECONDS + SLACK_SECONDS)
    finally:
        driver.kill()
        driver.wait()
        for pid in marked(str(tmp_path)):
            os.kill(pid, signal.SIGKILL)


def test_a_step_that_leaves_nothing_has_no_zombies_either(at):
    script = "for n in 1 2 3; do (setsid sh -c 'exec true' &) ; done; sleep 0.2; exec true"
    assert at.run("sh", "-c", script).reason is Reason.DONE

    assert [children(server.pid) for server in at.runner._servers.values()] == [
        {} for _ in at.runner._servers
    ]
