"""Jobs that end before anybody looks (luigi issue 2570): all are read, and none runs twice."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tac.kubernetes.diagnosis.stage import Stage
from tests.support.kubernetes_place import at, proxy, step_image
from tests.support.processes import ignore, until

__all__ = ["at", "proxy", "step_image"]

JOBS, FEWER = 200, 60
SECONDS = 240.0
pytestmark = pytest.mark.timeout(600)


def ended(at, runs=()):
    """What has been printed: by pods that have succeeded, asked past the proxy.

    Or by those that were read, and are cleaned up: of runs whose patience ended, and who asked.
    """
    succeeded = {
        pod["spec"]["containers"][0]["command"][-1]
        for pod in at.pods()
        if pod["status"].get("phase") == "Succeeded"
    }
    return succeeded | {f"print={number}" for number, run in enumerate(runs) if run.done()}


def blind(proxy):
    """Let the watches tell nothing before the event that is returned."""
    look = threading.Event()

    def fault(asked):
        if asked.is_watch:
            look.wait(SECONDS)

    proxy.fault = fault
    return look


def commands(at, count):
    return [
        at.command("/actor", f"print={number}", log=at.path / f"{number}.log")
        for number in range(count)
    ]


def test_two_hundred_jobs_that_end_while_the_watches_tell_nothing(at, proxy, actor):
    at.set(TAC_IMAGE=actor)
    look = blind(proxy)
    runner = at.runner
    began = time.monotonic()
    with ThreadPoolExecutor(JOBS) as threads:
        runs = [
            threads.submit(runner.run, command, follow=ignore, stop=at.stop)
            for command in commands(at, JOBS)
        ]
        until(lambda: len(ended(at, runs)) == JOBS, "the end of all pods", SECONDS)
        unseen = time.monotonic() - began
        look.set()
        verdicts = [run.result(SECONDS) for run in runs]
    took = time.monotonic() - began

    assert Counter(verdict.reason for verdict in verdicts) == {"done": JOBS}
    made = [asked for asked in proxy.asked if asked.method == "POST"]
    assert len(made) == JOBS
    for number in range(JOBS):
        assert (at.path / f"{number}.log").read_text().endswith(f"\n{number}\n")
    print(
        f"{JOBS} Jobs: {unseen:.1f} s until they had ended unseen, {took:.1f} s until all were read"
    )
    at.close()
    at.until_empty()


def test_sixty_jobs_that_ended_without_a_driver_are_read_by_the_next(at, proxy, actor):
    # Nobody reads a Job, and deletes it, before the last one is made.
    at.timeouts = replace(at.timeouts, stages=dict.fromkeys(Stage, SECONDS))
    at.set(TAC_IMAGE=actor, TAC_ON_STOP="leave")
    look = blind(proxy)
    runner = at.runner
    with ThreadPoolExecutor(FEWER) as threads:
        runs = [
            threads.submit(runner.run, command, follow=ignore, stop=at.stop)
            for command in commands(at, FEWER)
        ]
        until(lambda: len(at.jobs()) == FEWER, "all Jobs", SECONDS)
        at.stop.set()
        [run.result(SECONDS) for run in runs]
    at.close()
    until(lambda: len(ended(at)) == FEWER, "the end of all pods", SECONDS)
    look.set()
    at.stop.clear()
    proxy.asked.clear()
    began = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        runs = [
            threads.submit(at.runner.run, command, follow=ignore, stop=at.stop)
            for command in commands(at, FEWER)
        ]
        verdicts = [run.result(SECONDS) for run in runs]
    took = time.monotonic() - began

    assert Counter(verdict.reason for verdict in verdicts) == {"done": FEWER}
    made = [asked for asked in proxy.asked if asked.method == "POST"]
    assert made == []
    print(f"{FEWER} ended Jobs read by the next driver in {took:.1f} s")
    at.close()
    at.until_empty()
