"""What detached runners answer before their first request."""

import threading

import pytest

from tac.request import RunRequest
from tac.runners.docker import DockerRunner
from tac.runners.kubernetes import KubernetesRunner
from tac.verdict import Reason
from tests.support.processes import no_descriptor_left


@pytest.fixture(params=[DockerRunner, KubernetesRunner])
def runner(request):
    made = request.param()
    yield made
    made.close()


def run(runner, log, *, stopped=False):
    stop = threading.Event()
    if stopped:
        stop.set()
    return runner.run(RunRequest("x", ("true",), {}, log), follow=print, stop=stop)


def test_a_log_that_cannot_be_made_is_why_a_step_did_not_start(runner, tmp_path):
    (tmp_path / "file").write_text("in the way")

    verdict = run(runner, tmp_path / "file" / "x.log")

    assert verdict.message("x") == (
        f"step/x: could not be started: {tmp_path}/file: is a file, not a directory\n"
        f"Hint: `ls -ld {tmp_path}/file`, then remove it or move it"
    )


def test_a_process_without_a_descriptor_left_starts_its_step_later(runner, tmp_path):
    with no_descriptor_left():
        verdict = run(runner, tmp_path / "x.log")

    assert verdict.reason is Reason.TRY_AGAIN
    assert verdict.detail == (
        f"could not be started just now: [Errno 24] Too many open files: '{tmp_path}/x.log'"
    )


def test_a_closed_runner_starts_nothing(runner, tmp_path):
    runner.close()
    runner.close()

    verdict = run(runner, tmp_path / "x.log")

    assert verdict.detail == "stopped on request before it began"
    assert not (tmp_path / "x.log").exists()


def test_a_command_stopped_before_it_began_is_not_started(runner, tmp_path):
    verdict = run(runner, tmp_path / "x.log", stopped=True)

    assert verdict.detail == "stopped on request before it began"
    assert not (tmp_path / "x.log").exists()
