"""Ctrl-C and SIGTERM while a step runs on Kubernetes: it goes on or is stopped, as one likes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.journal import journal
from tests.support.laptop import Laptop
from tests.support.processes import until
from tests.support.runs import end_of, line_of, started_process, started_program, tac

DAY = "2023-03-01"
TASK = f"FetchSchedule(date={DAY})"
WORDS = ("run", "FetchSchedule", "--date", DAY)
SECONDS = 120
WAITS_SECONDS = 15
ASKED = (
    "Ctrl-C: 1 task keeps running; the same command adopts it. Ctrl-C again within 5 s stops it\n"
)


@pytest.fixture
def variables(laptop: Laptop, tmp_path: Path) -> dict[str, str]:
    """A driver whose step waits a while in its pod before it begins."""
    template = {
        "spec": {
            "initContainers": [
                {
                    "name": "wait",
                    "image": laptop.variables["TAC_IMAGE"],
                    "command": ["sleep", str(WAITS_SECONDS)],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ]
        }
    }
    patch = tmp_path / "patch.json"
    patch.write_text(json.dumps(template))
    store = tmp_path.name.replace("_", "-")
    return {**laptop.of(tmp_path, store), "TAC_KUBERNETES_POD_PATCH": str(patch)}


def until_it_waits(laptop: Laptop, process: subprocess.Popen[str]) -> None:
    """Read the first line, and wait until the pod is at work."""
    assert line_of(process).startswith("kubernetes: context ")
    until(lambda: laptop.pods("Pending"), "a pod", SECONDS)


def until_no_pod_is_left(laptop: Laptop) -> None:
    """Wait for the end of the pod, which the next test would take for its own."""
    until(lambda: not laptop.pods(), "the end of the pod", SECONDS)


def test_ctrl_c_once_leaves_the_step_to_the_next_driver(laptop, variables, tmp_path):
    with journal(laptop.namespace) as kept:
        with started_program(tmp_path, *WORDS, **variables) as process:
            until_it_waits(laptop, process)
            process.send_signal(signal.SIGINT)
            first = end_of(process)
        second = tac(tmp_path, *WORDS, seconds=SECONDS, **variables)

    assert first.code == 130
    assert first.err.splitlines(keepends=True)[0] == ASKED
    assert f"SIGINT: stopped; {TASK} keeps running\n" in first.err
    assert second.code == 0, second.err
    assert second.err.splitlines()[-1].startswith("1 ran, 0 were complete")
    assert [len(kept.jobs), len(kept.pods), sum(kept.succeeded.values())] == [1, 1, 1]
    assert laptop.jobs() == []
    until_no_pod_is_left(laptop)


def test_ctrl_c_twice_stops_the_step(laptop, variables, tmp_path):
    with started_program(tmp_path, *WORDS, **variables) as process:
        until_it_waits(laptop, process)
        process.send_signal(signal.SIGINT)
        assert line_of(process) == ASKED
        process.send_signal(signal.SIGINT)
        ended = end_of(process)

    assert ended.code == 130
    assert ended.err.splitlines()[:2] == [
        "Ctrl-C: stopping what runs (1)",
        f"SIGINT: stopped {TASK}",
    ]
    assert laptop.jobs() == []
    until_no_pod_is_left(laptop)


@pytest.mark.parametrize(
    ("policy", "left", "said"),
    [("stop", 0, "stopping what runs"), ("leave", 1, "leaving what runs")],
)
def test_sigterm_stops_or_leaves_as_configured(laptop, variables, tmp_path, policy, left, said):
    with started_program(tmp_path, *WORDS, **variables, TAC_ON_STOP=policy) as process:
        until_it_waits(laptop, process)
        process.terminate()
        ended = end_of(process)

    assert ended.code == 143
    assert ended.err.splitlines()[0] == f"SIGTERM: {said} (1)"
    jobs = laptop.jobs()
    assert len(jobs) == left
    laptop.delete(*jobs)
    until_no_pod_is_left(laptop)


@pytest.mark.parametrize(("policy", "left"), [("stop", 0), ("leave", 1)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_stock_command_stops_or_leaves_what_runs_as_configured(
    laptop, variables, tmp_path, policy, left, number
):
    more = ("--local-scheduler", "--lock-pid-dir", str(tmp_path / "luigi"))
    stock = (sys.executable, "-m", "luigi", "--module", "tac.task", *WORDS[1:], *more)
    with started_process(tmp_path, stock, **variables, TAC_ON_STOP=policy) as process:
        until(lambda: laptop.pods("Pending"), "a pod", SECONDS)
        process.send_signal(number)
        ended = end_of(process)

    assert ended.code == -number, ended.err
    jobs = laptop.jobs()
    assert len(jobs) == left
    laptop.delete(*jobs)
    until_no_pod_is_left(laptop)
