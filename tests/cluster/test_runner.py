"""The life of a step's Job: what is made, what is heard of it, how it is ended."""

import socket
import threading

import pytest

from tac import names
from tac.retry import BUDGETS
from tac.verdict import Phase, Reason
from tests.support.kubernetes_place import GRACE_SECONDS, WAITS, at, message, said, step_image
from tests.support.processes import until

__all__ = ["at", "step_image"]


def test_a_step_runs_in_a_pod_of_which_nothing_is_left(at):
    told: list[str] = []

    verdict = at.sh("echo so; echo well", follow=told.append)

    assert verdict.reason is Reason.DONE
    assert message(verdict) == "step/x: done after T s"
    assert said(told) == ["so", "well"]
    assert at.notes[0].startswith("# pod/x-1-POD on ")
    at.close()
    at.until_empty()
    assert at.boxes() == []


def test_a_first_line_says_where_steps_run(at):
    assert at.runner.preflight() == (
        f"kubernetes: context {at.cluster.context}, namespace {at.namespace}, {at.cluster.server}"
    )


def test_names_and_labels_tell_whose_job_it_is(at):
    with at.running("sleep 600"):
        at.pod()
        job = at.job()
        at.stop.set()

    labels = job["metadata"]["labels"]
    work = labels[names.WORK]
    assert job["metadata"]["name"] == f"x-{work}-1"
    assert {name: labels[name] for name in labels if name.startswith("tac/")} == {
        "tac/step": "x",
        "tac/work": work,
        "tac/attempt": "1",
    }


def test_what_the_follower_raises_ends_the_job(at):
    def follow(_: str) -> None:
        raise LookupError("of the test")

    with pytest.raises(LookupError, match="of the test"):
        at.sh("echo on; sleep 600", follow=follow)

    at.until_empty()


@pytest.mark.parametrize("address", ["here/x.csv", "file:///here/x.csv"])
def test_an_output_that_pods_do_not_see_is_refused(at, address):
    at.set(TAC_KUBERNETES_POD_PATCH="")

    verdict = at.sh("true", output=address)

    assert message(verdict) == (
        f"step/x: could not be started: {address}: is on this machine, "
        "which pods do not see\nHint: keep the store on S3 (`--store s3://bucket/prefix`)"
    )
    assert at.jobs() == []


STOPS = "trap 'echo told; sleep 1; exit 143' TERM; echo on; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; echo on; while :; do sleep 0.1; done"


@pytest.mark.parametrize(
    ("script", "grace_seconds", "how", "words"),
    [
        (STOPS, 15.0, "", "on\ntold\n"),
        (DEAF, GRACE_SECONDS, ", by SIGKILL because SIGTERM did not end it", "on\n"),
    ],
    ids=["hears", "deaf"],
)
def test_a_stopped_driver_stops_its_job_and_gives_it_its_grace(
    at, script, grace_seconds, how, words
):
    at.grace_seconds = grace_seconds
    with at.running(script) as verdicts:
        at.until_it_said("on")
        at.stop.set()

    assert (verdicts[0].phase, verdicts[0].reason) == (Phase.RUNNING, Reason.STOPPED)
    assert message(verdicts[0]) == (
        f"step/x: stopped on request after T s{how}\n"
        "Hint: run the same command again: what is finished is kept"
    )
    assert at.words == words
    at.until_empty()
    assert at.boxes() == []


def test_a_job_that_may_not_be_deleted_may_still_run(at):
    verbs = "create,get,list,watch,patch"
    at.kubectl("create", "serviceaccount", "starter")
    at.kubectl("create", "role", "starter", f"--verb={verbs}", "--resource=jobs,pods,pods/log")
    user = f"{at.namespace}:starter"
    at.kubectl("create", "rolebinding", "starter", "--role=starter", f"--serviceaccount={user}")
    token = at.kubectl("create", "token", "starter").strip()
    at.set(KUBECONFIG=str(at.cluster.write_config(at.path / "starter", user={"token": token})))

    with at.running("echo on; sleep 600") as verdicts:
        job = at.until_it_said("on")
        at.stop.set()

    assert verdicts[0].reason is Reason.STOPPED
    assert message(verdicts[0]) == (
        "step/x: stop requested after T s, and job/x-1 may still run: job/x-1 in namespace NS: "
        f'not deleted: jobs.batch "x-1" is forbidden: User "system:serviceaccount:{user}" cannot '
        f'delete resource "jobs" in API group "batch" in the namespace "{at.namespace}"\n'
        "Hint: ask for the right: `kubectl --context C --namespace NS auth can-i delete "
        "jobs.batch`; `kubectl --context C --namespace NS delete job x-1` ends it"
    )
    assert [pod["status"]["phase"] for pod in at.pods()] == ["Running"]
    at.set(KUBECONFIG=at.cluster.environment["KUBECONFIG"])
    at.kubectl("delete", "job", job)


def test_a_pod_that_does_not_end_in_its_grace_may_still_run(at):
    at.patch_pods({"spec": {"terminationGracePeriodSeconds": 45}})

    with at.running(DEAF) as verdicts:
        at.until_it_said("on")
        [pod] = at.pods()
        at.stop.set()

    assert verdicts[0].reason is Reason.STOPPED
    assert message(verdicts[0]).replace(pod["spec"]["nodeName"], "NODE") == (
        "step/x: stop requested after T s, and pod/x-1-POD may still run: job/x-1 was deleted, and "
        "node/NODE does not say that its container ended\n"
        "Hint: `kubectl --context C --namespace NS get pod x-1-POD` shows whether it does"
    )
    assert [each["metadata"]["name"] for each in at.pods()] == [pod["metadata"]["name"]]
    at.until_empty()


def test_a_bug_of_ours_costs_no_job(at, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of the test")

    with monkeypatch.context() as broken:
        broken.setattr("tac.kubernetes.attempt.attempt.diagnose", fail)
        with pytest.raises(ZeroDivisionError):
            at.sh(f"{WAITS} echo end")

    pod = at.pod()["metadata"]["name"]
    with at.running(f"{WAITS} echo end") as verdicts:
        at.go(pod)

    assert verdicts[0].reason is Reason.DONE
    assert at.made_pods() == [pod]


def test_a_success_without_its_output_leaves_a_black_box(at):
    verdict = at.sh("echo so", output=str(at.path / "store" / "x.csv"))
    at.close()

    assert verdict.reason is Reason.DONE
    [box] = at.boxes()
    assert list(box["logs"].values()) == ["so\n"]


def test_a_success_is_one_although_the_store_is_unreachable(at):
    with socket.create_server(("127.0.0.1", 0)) as door:
        nobody = f"http://127.0.0.1:{door.getsockname()[1]}"
    at.set(AWS_ENDPOINT_URL_S3=nobody, AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x")

    verdict = at.sh("echo so", output="s3://nobody/x.csv")

    assert message(verdict) == "step/x: done after T s"
    assert len(at.boxes()) == 1


def test_a_closed_runner_stops_what_it_runs(at):
    with at.running("echo on; sleep 600") as verdicts:
        at.pod()
        at.close()

    assert verdicts[0].reason is Reason.STOPPED
    at.until_empty()


def test_a_job_that_has_no_pod_yet_is_stopped_too(at):
    at.patch_pods({"spec": {"nodeSelector": {"nobody": "has-this"}}})
    with at.running("true") as verdicts:
        until(at.pods, "a pod")
        at.stop.set()

    assert message(verdicts[0]) == (
        "step/x: stopped on request after T s\n"
        "Hint: run the same command again: what is finished is kept"
    )
    at.until_empty()


def test_a_job_that_is_to_be_left_is_left_with_the_command_that_ends_it(at):
    at.set(TAC_ON_STOP="leave")
    with at.running("echo on; sleep 600") as verdicts:
        at.pod()
        at.stop.set()

    job = at.job()["metadata"]["name"]
    command = f"kubectl --context {at.cluster.context} --namespace {at.namespace} delete job {job}"
    assert verdicts[0].message("x").partition(" s, ")[2] == (
        f"in job/{job}\n"
        f"Hint: run the same command again: it goes on from there (`{command}` ends it)"
    )
    assert [pod["status"]["phase"] for pod in at.pods()] == ["Running"]
    at.kubectl("delete", "job", job)
    at.until_empty()


def test_another_driver_says_who_cancelled_a_job(at):
    other = at.new_runner()
    verdicts = []
    command = at.command("sh", "-c", "echo on; sleep 600", log=at.path / "other.log")
    watcher = threading.Thread(
        target=lambda: verdicts.append(
            other.run(command, follow=lambda _: None, stop=threading.Event())
        )
    )
    with at.running("echo on; sleep 600"):
        at.pod()
        watcher.start()
        until(lambda: command.log.exists() and "pod/" in command.log.read_text(), "both")
        host = at.session.host
        at.stop.set()
    watcher.join(60)
    other.close()

    assert message(verdicts[0]) == (
        f"step/x: cancelled by {host} after T s: job/x-1 was deleted\n"
        "Hint: run the same command again: what is finished is kept"
    )
    assert verdicts[0].reason not in BUDGETS
    assert [box["verdict"]["reason"] for box in at.boxes()] == ["cancelled"]
