"""How tasks that describe their own pods fail: what is tried again, and the whole message."""

import logging
import re

import pytest

from tac.errors import StepFailed
from tests.support.job_place import at
from tests.support.kubernetes_place import step_image

__all__ = ["at", "step_image"]

LOG = "log: HOME/store/_tac/logs/x.log"
PERHAPS = (
    "task/x: killed by exit code 137 (SIGKILL) in job/x-1 after T s, under a memory limit of {} "
    "and for no reason that is given, perhaps out of memory"
)
REMEDY = (
    "Hint: if it ran out, give it more memory, in spec_schema (now {}); if not, its node or "
    f"a person killed it: `kubectl --context C --namespace NS events --for pod/x-N-POD`; {LOG}"
)
DESCRIBE = f"Hint: `kubectl --context C --namespace NS describe job/x-1` tells more; {LOG}"


@pytest.mark.parametrize("code", [1, 2, 65, 75, 127, 143])
def test_an_exit_code_means_failure_and_no_more(at, code):
    task = at.task(f"echo so; exit {code}")
    meaning = {143: " (SIGTERM)"}.get(code, "")

    assert at.failure(task) == (
        f"task/x: failed with exit code {code}{meaning} in job/x-1 after T s: so\n{DESCRIBE}"
    )

    assert len(at.jobs()) == 1
    assert list((at.path / "store").glob(f"_tac/attempts/{task.uu_name}-1/*.json"))


def test_a_failure_stays_to_be_looked_at_and_the_next_run_begins_anew(at):
    at.failure(at.task("echo 1 >> /at/runs; [ -e /at/mended ]"))
    at.close()
    [job] = at.jobs()
    (at.shared / "mended").touch()

    at.task("echo 1 >> /at/runs; [ -e /at/mended ]", delete_on_success=False).run()

    assert (at.shared / "runs").read_text() == "1\n1\n"
    assert len(at.jobs()) == 2
    assert job["metadata"]["uid"] in [each["metadata"]["uid"] for each in at.jobs()]


@pytest.mark.parametrize(
    ("properties", "pods"),
    [
        ({"backoff_limit": 2}, 3),
        ({"backoff_limit": 6, "max_retrials": 1}, 2),
        ({"backoff_limit": 1, "max_retrials": 9}, 2),
    ],
    ids=["backoff_limit", "max_retrials", "the-lower"],
)
def test_the_job_makes_as_many_pods_as_it_may(at, properties, pods):
    task = at.task("echo I am $HOSTNAME; exit 3", **properties)

    assert at.failure(task) == (
        f"task/x: failed with exit code 3 in job/x-1 after T s: I am x-N-POD\n{DESCRIBE}"
    )

    assert len(at.pods()) == pods
    assert sorted(at.words(task)) == sorted(f"I am {pod['metadata']['name']}" for pod in at.pods())


def test_a_container_that_is_restarted_too_often_fails(at):
    pod = at.spec("echo again; exit 3", restartPolicy="OnFailure")
    task = at.task("", spec_schema=pod, backoff_limit=2)

    assert_restarted_too_often(at.failure(task), "exit code 3 in job/x-1")

    # The Job's controller deletes the pod then, perhaps before its last words were read.
    assert at.words(task) in (["again"] * 3, ["again"] * 2)


def test_an_init_container_that_is_restarted_too_often_fails(at):
    init = at.container("echo no; exit 4", name="init")
    pod = at.spec("true", initContainers=[init], restartPolicy="OnFailure")
    task = at.task("", spec_schema=pod, backoff_limit=2)

    assert_restarted_too_often(at.failure(task), "exit code 4 in container/init of job/x-1")


def assert_restarted_too_often(message, how):
    """The pod is deleted then, perhaps before anybody could see how it had ended."""
    if message.startswith("task/x: failed with"):
        assert message.startswith(f"task/x: failed with {how} after T s: ")
        assert message.endswith(DESCRIBE)
    else:
        assert message == (
            "task/x: failed as often as it may after T s: job/x-1: its backoffLimit is 2\n"
            f"Hint: `kubectl --context C --namespace NS describe job/x-1`; {LOG}"
        )


def test_a_job_that_takes_longer_than_it_may_is_stopped(at):
    task = at.task("trap 'exit 0' TERM; while :; do sleep 0.1; done", active_deadline_seconds=2)

    assert at.failure(task) == (
        "task/x: took longer than it may, stopped after T s: job/x-1: "
        "its activeDeadlineSeconds is 2\n"
        f"Hint: raise the limit, or give it less to do at once; {LOG}"
    )


def test_of_several_containers_the_one_that_failed_has_the_last_word(at):
    task = at.task("echo of the first; sleep 1", "sleep 0.5; echo of the second; exit 7")

    assert at.failure(task) == (
        "task/x: failed with exit code 7 in container/c1 of job/x-1 after T s: of the second\n"
        f"{DESCRIBE}"
    )


def test_an_init_container_that_fails_says_so(at):
    init = at.container("echo nothing to prepare; exit 9", name="init")
    task = at.task("", spec_schema=at.spec("true", initContainers=[init]))

    assert at.failure(task) == (
        "task/x: failed with exit code 9 in container/init of job/x-1 after T s: "
        f"nothing to prepare\n{DESCRIBE}"
    )


def test_a_container_that_exceeds_its_memory_limit_is_recognised(at):
    resources = {"limits": {"memory": "32Mi"}}
    script = "exec python -c \"print('eating', flush=True); b'x' * (1 << 28)\""
    eater = at.container(script, name="eater", resources=resources)

    message = at.failure(at.task("", spec_schema={**at.spec(), "containers": [eater]}))

    # A node may say that it ended before it knows why (containerd issues 8180, 12260): `Error`.
    assert (
        message
        == {
            "OOMKilled": (
                "task/x: ran out of memory, exit code 137 (SIGKILL) in job/x-1 after T s: eating\n"
                f"Hint: give it more memory, in spec_schema (now 32Mi); {LOG}"
            ),
            "Error": f"{PERHAPS.format('32Mi')}: eating\n{REMEDY.format('32Mi')}",
        }[at.why_it_ended()]
    )


def test_a_container_that_is_killed_under_a_limit_for_no_reason_perhaps_took_too_much(at):
    resources = {"limits": {"memory": "64Mi"}}
    killed = at.container("echo so; exit 137", name="killed", resources=resources)

    message = at.failure(at.task("", spec_schema={**at.spec(), "containers": [killed]}))

    assert message == f"{PERHAPS.format('64Mi')}: so\n{REMEDY.format('64Mi')}"
    assert at.why_it_ended() == "Error"


def test_an_image_that_cannot_be_is_not_waited_for_and_nothing_is_said_of_its_job(at, caplog):
    caplog.set_level(logging.INFO)
    wrong = at.container("true", name="wrong", image="No/Such:a:name")

    message = at.failure(at.task("", spec_schema={**at.spec(), "containers": [wrong]}))

    assert message.startswith("task/x: job/x-1 cannot have its image 'No/Such:a:name': ")
    assert message.endswith("must be lowercase\nHint: spec_schema names another")
    assert at.jobs() == []
    # It is deleted at once, so there is nothing to mark as read.
    said = [at.plain(record.message) for record in caplog.records]
    assert [text for text in said if text.startswith("job/x-1") and "deleted" in text] == [
        "job/x-1: deleted"
    ]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []


def test_an_unschedulable_pod_fails_after_the_timeout_of_the_settings(at):
    at.set(TAC_SCHEDULING_SECONDS="1")
    resources = {"requests": {"memory": "4Ti"}}
    big = at.container("true", name="big", resources=resources)

    message = at.failure(at.task("", spec_schema={**at.spec(), "containers": [big]}))

    assert re.match(
        r"task/x: no node could run the pod of job/x-1 for \d+ s \(limit 1 s\): ", message
    )
    assert message.endswith(
        "Insufficient memory\nHint: lower the memory in spec_schema (now 4Ti) or add a node: "
        "`kubectl --context C describe nodes`"
    )


def test_a_pod_that_the_api_server_refuses_is_refused_in_its_words(at):
    wrong = {"containers": [{"name": "A", "image": at.image}]}

    message = at.failure(at.task("", spec_schema=wrong))

    assert message.startswith("task/x: could not be started: ")
    assert 'spec.template.spec.containers[0].name: Invalid value: "A"' in message


def test_a_task_whose_namespace_is_not_there_says_so(at):
    task = at.task("true", kubernetes_namespace="tac-nowhere")

    with pytest.raises(StepFailed) as caught:
        task.run()

    assert "tac-nowhere" in str(caught.value)
