"""One session for both kinds of task: what it asks the API server, and when it is closed."""

import threading
from collections import Counter
from urllib.parse import urlsplit

import pytest

from tac.errors import StepFailed
from tac.kubernetes import KubernetesJobTask
from tac.kubernetes.attempt import session_pool
from tac.verdict import Reason
from tests.support.kubernetes_place import DEADLINE_SECONDS, WAITS, at, plain, proxy, step_image
from tests.support.processes import until

__all__ = ["at", "proxy", "step_image"]


@pytest.fixture(autouse=True)
def _closed_sessions():
    yield
    session_pool.close_all()


def job_task(at, image, script):
    """A task that describes its own pod; its namespace is spelled, the runner's is a setting."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
    }
    values = {
        "name": "y",
        "spec_schema": {"containers": [container], "terminationGracePeriodSeconds": 1},
        "kubernetes_namespace": at.namespace,
        "backoff_limit": 0,
    }
    return type("Y", (KubernetesJobTask,), values)()


def started(task):
    """Run a task in a thread, as tac's worker does."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            task.run()
        except Exception as error:  # noqa: BLE001 # whatever it is: the test asks
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, failures


def running_pod(at):
    """The task's pod, once it runs; the runner's may still be there."""

    def found():
        return [
            name
            for pod in at.pods()
            if (name := pod["metadata"]["name"]).startswith("y-")
            and pod["status"].get("phase") == "Running"
        ]

    return until(found, "the task's pod", DEADLINE_SECONDS)[0]


def joined(thread):
    thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive(), "the task still runs"


def test_both_kinds_of_task_share_one_list_and_one_watch_of_each_kind(at, proxy, step_image):
    assert at.sh("echo one").reason is Reason.DONE
    job_task(at, step_image, "echo other").run()
    at.close()

    lists = Counter(
        urlsplit(asked.path).path.rpartition("/")[2]
        for asked in proxy.asked
        if asked.method == "GET" and "limit=" in asked.path
    )
    watches = Counter(
        urlsplit(asked.path).path.rpartition("/")[2] for asked in proxy.asked if asked.is_watch
    )
    assert (lists, watches) == ({"jobs": 1, "pods": 1}, {"jobs": 1, "pods": 1})


def test_a_runner_that_is_closed_does_not_close_the_session_under_a_task(at, step_image):
    assert at.sh("echo one").reason is Reason.DONE
    thread, failures = started(job_task(at, step_image, f"{WAITS} echo other"))
    pod = running_pod(at)

    at.close()
    at.go(pod)
    joined(thread)

    assert failures == []
    session_pool.close_all()
    at.until_empty()


def test_a_task_beside_a_runner_that_leaves_its_jobs_leaves_its_own(at, step_image):
    assert at.sh("echo one").reason is Reason.DONE
    task = job_task(at, step_image, f"{WAITS} echo other")
    thread, failures = started(task)
    pod = running_pod(at)

    at.runner.detach()  # Ctrl-C, once
    task.on_kill()
    joined(thread)

    job = at.job()["metadata"]["name"]
    assert [type(failure) for failure in failures] == [StepFailed]
    assert plain(str(failures[0])) == f"task/{job[:-2]}: left running after T s, in job/{job}"
    assert pod in [each["metadata"]["name"] for each in at.pods()]
    at.kubectl("delete", "jobs", "--all")
