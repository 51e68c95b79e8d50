"""Each way in which a Job can end, or not begin, with its remedy; and what is kept of each."""

import json
import socket
import threading
import time

import pytest

from tac.kubernetes.attempt.timeouts import Timeouts
from tac.kubernetes.diagnosis.stage import Stage
from tac.kubernetes.objects import time_of
from tac.kubernetes.watch.list_watch import REFUSAL_SECONDS
from tac.verdict import Phase, Reason, Verdict
from tests.support.cluster import create_quota
from tests.support.kubernetes_place import DEADLINE_SECONDS, WAITS, at, message, plain, step_image
from tests.support.processes import ignore, until

__all__ = ["at", "step_image"]

LOG = "log: LOG"
PERHAPS = (
    "step/x: killed by exit code 137 (SIGKILL) in job/x-1 after T s, under a memory limit of {} "
    "and for no reason that is given, perhaps out of memory{}\n"
    "Hint: if it ran out, give it more memory, in its task or by TAC_MEMORY (now {}); if not, "
    "its node or a person killed it: "
    f"`kubectl --context C --namespace NS events --for pod/x-1-POD`; {LOG}"
)


def told(at, verdict):
    """The whole message without the test's own folder."""
    return message(verdict).replace(str(at.log), "LOG")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            "echo so >&2; exit 1",
            "failed with exit code 1 in job/x-1 after T s: so\nHint: a bug of the step; log: LOG",
        ),
        (
            "echo 'Error: no'; echo 'Hint: yes'; exit 2",
            "cannot be done as asked, exit code 2 in job/x-1: no\nHint: yes",
        ),
        (
            "echo 'Error: bad'; exit 65",
            "cannot use its input data, exit code 65 in job/x-1: bad\n"
            f"Hint: fix the data it names, the same data fail again; {LOG}",
        ),
        (
            "echo 'Error: away'; exit 75",
            "failed temporarily, exit code 75 in job/x-1 after T s: away\n"
            f"Hint: run the same command again a little later; {LOG}",
        ),
        (
            "exit 143",
            "stopped by exit code 143 (SIGTERM) in job/x-1, which did not come from tac, "
            "after T s: no output\n"
            "Hint: run the same command again: what is finished is kept",
        ),
        (
            "exit 3",
            "ended with exit code 3 in job/x-1, which has no meaning here, "
            "after T s: no output\n"
            f"Hint: steps end with 0, 1, 2, 65, 75 or 143; {LOG}",
        ),
        (
            "exit 137",
            "killed by exit code 137 (SIGKILL) in job/x-1 after T s, sender unknown: "
            "no output\n"
            "Hint: its node or a person killed it: "
            f"`kubectl --context C --namespace NS events --for pod/x-1-POD`; {LOG}",
        ),
        (
            "no-such-program",
            "could not be started, exit code 127 in job/x-1: "
            "sh: 1: no-such-program: not found\n"
            "Hint: build the program or module into the image 'IMAGE', name another (`--image`), "
            "or fix the command at the top of LOG",
        ),
    ],
)
def test_a_step_is_judged_by_how_its_container_ended(at, step_image, script, expected):
    verdict = at.sh(script)

    assert told(at, verdict) == f"step/x: {expected}".replace("IMAGE", step_image)
    at.close()
    at.until_empty()
    assert [box["verdict"]["reason"] for box in at.boxes()] == [verdict.reason]


def test_a_failure_whose_black_box_was_not_taken_stays_where_it_is(at):
    (at.path / "store").write_text("in the way")

    verdict = at.sh("exit 1")
    at.close()

    assert verdict.reason is Reason.BUG
    assert len(at.jobs()) == 1
    at.kubectl("delete", "jobs", "--all")


def test_a_step_at_its_memory_limit_names_the_setting_that_raises_it(at):
    words = ("python", "-c", "print('begun', flush=True); bytearray(b'x') * (1 << 29)")

    verdict = at.run(*words, memory="48Mi")

    # A node may say that it ended before it knows why (containerd issues 8180, 12260): `Error`.
    reason, text = {
        "OOMKilled": (
            Reason.OUT_OF_MEMORY,
            "step/x: ran out of memory, exit code 137 (SIGKILL) in job/x-1 after T s: begun\n"
            f"Hint: give it more memory, in its task or by TAC_MEMORY (now 48Mi); {LOG}",
        ),
        "Error": (Reason.PERHAPS_OUT_OF_MEMORY, f"{PERHAPS.format('48Mi', ': begun', '48Mi')}"),
    }[why_it_ended(at)]
    assert (verdict.reason, told(at, verdict)) == (reason, text)


def why_it_ended(at):
    """What the node said of the last attempt, as its driver saw it."""
    (pod,) = at.boxes()[-1]["pods"]
    (status,) = pod["status"]["containerStatuses"]
    return status["state"]["terminated"]["reason"]


def test_a_step_that_is_killed_under_a_limit_for_no_reason_perhaps_ran_out_of_memory(at):
    verdict = at.sh("echo so; exit 137", memory="48Mi")

    assert why_it_ended(at) == "Error"
    assert verdict.reason is Reason.PERHAPS_OUT_OF_MEMORY
    assert told(at, verdict) == PERHAPS.format("48Mi", ": so", "48Mi")


def test_a_step_whose_pod_is_deleted_by_force_was_not_killed_for_lack_of_memory(at):
    with at.running(f"trap '' TERM; {WAITS}", memory="48Mi") as verdicts:
        pod = at.pod()["metadata"]["name"]
        at.until_it_said("begun")
        at.kubectl("delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")

    assert verdicts[0].reason is Reason.LOST
    assert "was deleted, by whom is not known" in verdicts[0].detail


def test_a_program_that_the_image_has_not_is_named_with_the_image(at, step_image):
    verdict = at.run("no-python", "-m", "tac.fetch")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    first, hint = told(at, verdict).splitlines()
    assert first.startswith("step/x: could not be started in job/x-1: exec: ")
    assert '"no-python": executable file not found in $PATH' in first
    assert hint == (
        f"Hint: build the program into the image '{step_image}', name another (`--image`), "
        "or fix the command at the top of LOG"
    )
    assert at.boxes()[0]["verdict"]["reason"] == "cannot_start"


def test_an_image_that_no_node_may_pull_is_named_at_once(at):
    at.patch_pods({"spec": {"containers": [{"name": "step", "imagePullPolicy": "Never"}]}})
    at.set(TAC_IMAGE="nobody/tac:none")

    verdict = at.run("true")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.NO_IMAGE)
    assert told(at, verdict) == (
        "step/x: job/x-1 cannot have its image 'nobody/tac:none': "
        'Container image "nobody/tac:none" is not present with pull policy of Never\n'
        "Hint: load it on every node (`minikube image load nobody/tac:none`), "
        "or let the nodes pull it"
    )
    at.until_empty()


def test_an_image_that_cannot_be_pulled_is_waited_for_and_given_up(at):
    at.timeouts = Timeouts(stages={Stage.IMAGE: 7.0})
    at.set(TAC_IMAGE="127.0.0.1:1/nobody/tac:none")

    verdict = at.run("true")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.NO_IMAGE)
    first, hint = told(at, verdict).splitlines()
    assert first.startswith(
        "step/x: job/x-1 did not get its image '127.0.0.1:1/nobody/tac:none' for "
    )
    assert " (limit 7 s): " in first
    assert "connection refused" in first
    assert hint == (
        "Hint: push it to a registry that the nodes reach, load it on every node "
        "(`minikube image load 127.0.0.1:1/nobody/tac:none`), or name another (`--image`)"
    )
    at.until_empty()
    (box,) = at.boxes()
    assert {event["reason"] for event in box["events"]} >= {"Scheduled", "Pulling", "Failed"}
    assert box["logs"] == {}


def test_a_pod_that_no_node_can_run_is_given_up_with_what_it_lacks(at):
    at.set(TAC_SCHEDULING_SECONDS="3")
    began = time.monotonic()

    verdict = at.run("true", memory="900Gi")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.UNSCHEDULABLE)
    seconds = verdict.detail.partition(" for ")[2].partition(" s ")[0]
    assert 3 <= int(seconds) <= time.monotonic() - began + 1
    assert told(at, verdict) == (
        f"step/x: no node could run the pod of job/x-1 for {seconds} s (limit 3 s): "
        "Insufficient memory\n"
        "Hint: lower TAC_MEMORY (now 900Gi) or add a node: `kubectl --context C describe nodes`"
    )
    assert "[  0 %] pending: waiting for a node: Insufficient memory\n" in at.log.read_text()
    at.until_empty()
    (box,) = at.boxes()
    assert "FailedScheduling" in {event["reason"] for event in box["events"]}


def test_a_pod_waits_longer_than_it_may_while_another_of_ours_makes_room(at):
    labels = {"app.kubernetes.io/managed-by": "tac"}
    apart = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
    node = {"kubernetes.io/hostname": a_free_node(at.cluster)}
    at.patch_pods({"spec": {"nodeSelector": node, "affinity": {"podAntiAffinity": rule}}})
    # The scheduler looks at most ten seconds later at a pod that it has refused.
    at.set(TAC_SCHEDULING_SECONDS="15")
    verdicts: list[Verdict] = []
    second = at.command("echo", "so", log=at.path / "second.log")
    waits = "[  0 %] pending: waiting for a node: "
    follower = threading.Thread(
        target=lambda: verdicts.append(at.runner.run(second, follow=ignore, stop=at.stop))
    )

    with at.running(f"{WAITS} echo end") as first:
        pod = at.pod()["metadata"]["name"]
        follower.start()
        until(lambda: second.log.exists() and waits in second.log.read_text(), "the wait")
        until_older(at, seconds=20)
        at.go(pod)
    follower.join(DEADLINE_SECONDS)

    assert [first[0].reason, verdicts[0].reason] == [Reason.DONE, Reason.DONE]


def a_free_node(cluster):
    """One that anybody's pod may run on."""
    nodes = cluster.get("nodes")["items"]
    free = next(node for node in nodes if not node["spec"].get("taints"))
    return free["metadata"]["labels"]["kubernetes.io/hostname"]


def until_older(at, *, seconds):
    """Wait until the pod that waits is so old, by the API server's clock."""

    def age():
        [made] = [pod["metadata"] for pod in at.pods() if "nodeName" not in pod["spec"]]
        return (at.client.now() - time_of(made["creationTimestamp"])).total_seconds()

    until(lambda: age() > seconds, "the waiting pod's age", DEADLINE_SECONDS)


def test_a_secret_that_is_not_there_is_named(at):
    at.set(TAC_KUBERNETES_SECRET="keys-of-nobody")

    verdict = at.run("true")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    assert told(at, verdict) == (
        'step/x: job/x-1 cannot be started: secret "keys-of-nobody" not found\n'
        "Hint: create it, or name another by TAC_KUBERNETES_SECRET: "
        "`kubectl --context C --namespace NS get secrets`"
    )
    at.until_empty()


def test_a_missing_right_is_named(at):
    at.kubectl("create", "serviceaccount", "nobody")
    token = at.kubectl("create", "token", "nobody").strip()
    config = at.cluster.write_config(at.path / "nobody", user={"token": token})
    at.set(KUBECONFIG=str(config))

    verdict = at.run("true")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    assert told(at, verdict) == (
        "step/x: could not be started: jobs.batch in namespace NS: not listed: jobs.batch is "
        f'forbidden: User "system:serviceaccount:{at.namespace}:nobody" cannot list resource '
        f'"jobs" in API group "batch" in the namespace "{at.namespace}"\n'
        "Hint: ask for the right: `kubectl --context C --namespace NS auth can-i list jobs.batch`"
    )
    assert token not in at.log.read_text()
    at.set(KUBECONFIG=at.cluster.environment["KUBECONFIG"])


def test_a_missing_right_to_watch_is_raised_at_once(at):
    at.kubectl("create", "serviceaccount", "reader")
    at.kubectl("create", "role", "reader", "--verb=create,get,list", "--resource=jobs,pods")
    user = f"{at.namespace}:reader"
    at.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={user}")
    token = at.kubectl("create", "token", "reader").strip()
    at.set(KUBECONFIG=str(at.cluster.write_config(at.path / "reader", user={"token": token})))
    began = time.monotonic()

    verdict = at.run("sleep", "600")

    # It is known before the Job is made, or a moment later.
    assert verdict.reason in {Reason.CANNOT_START, Reason.LOST}
    assert 'cannot watch resource "' in verdict.detail
    assert "auth can-i watch " in str(verdict.remedy)
    assert time.monotonic() - began < REFUSAL_SECONDS
    at.set(KUBECONFIG=at.cluster.environment["KUBECONFIG"])
    at.kubectl("delete", "jobs", "--all")


def test_an_api_server_that_does_not_answer_is_a_verdict_that_says_how_to_get_one(at):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    server = f"https://127.0.0.1:{port}"
    config = at.cluster.write_config(at.path / "none", server=server)
    at.timeouts = Timeouts(first_answer_timeout_seconds=5.0)
    at.set(KUBECONFIG=str(config))

    verdict = at.run("true")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.NO_CLUSTER)
    assert told(at, verdict) == (
        f"step/x: could not be started: jobs.batch in namespace NS: not listed: the API server "
        f"{server} of context 't' does not answer: Connection refused\n"
        "Hint: `kubectl --context C cluster-info` tells whether it runs; `minikube start`, "
        "or name another by the setting `kubernetes_context` or by KUBECONFIG"
    )
    at.set(KUBECONFIG=at.cluster.environment["KUBECONFIG"])


def test_a_limit_that_is_no_amount_is_a_wrong_setting(at):
    verdict = at.run("true", memory="much")

    assert message(verdict) == (
        "step/x: could not be started: memory: 'much' is not an amount\n"
        "Hint: write it like 512Mi or 2Gi"
    )


def test_a_step_waits_until_another_makes_room_in_the_quota_of_jobs(at):
    create_quota(at.cluster, at.namespace, "jobs", "count/jobs.batch=1")
    at.timeouts = Timeouts(stages={Stage.NO_POD: 1.0})
    other = at.command("true", log=at.path / "other.log")
    verdicts: list[Verdict] = []
    follower = threading.Thread(
        target=lambda: verdicts.append(at.runner.run(other, follow=ignore, stop=at.stop))
    )
    waits = "[  0 %] pending: waiting for quota: job/x-1 in namespace NS: not created: "

    with at.running(f"{WAITS} echo end") as first:
        pod = at.pod()["metadata"]["name"]
        follower.start()
        until(lambda: other.log.exists() and waits in plain(other.log.read_text()), "the wait")
        at.go(pod)
    follower.join(DEADLINE_SECONDS)

    assert [first[0].reason, verdicts[0].reason] == [Reason.DONE, Reason.DONE]


def test_a_quota_that_others_use_up_is_waited_for_as_long_as_for_a_pod(at):
    at.kubectl("create", "job", "of-others", "--image=none")
    create_quota(at.cluster, at.namespace, "jobs", "count/jobs.batch=1")
    at.timeouts = Timeouts(stages={Stage.NO_POD: 2.0})
    began = time.monotonic()

    verdict = at.run("true")

    assert time.monotonic() - began > 2
    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    first, hint = told(at, verdict).splitlines()
    assert first.startswith("step/x: could not be started: job/x-1 in namespace NS: not created: ")
    assert first.endswith(
        "exceeded quota: jobs, requested: count/jobs.batch=1, used: count/jobs.batch=1, "
        "limited: count/jobs.batch=1"
    )
    assert hint == "Hint: `kubectl --context C --namespace NS describe quota`"


def test_an_exhausted_quota_is_named_with_the_command_that_shows_it(at):
    create_quota(at.cluster, at.namespace, "jobs", "count/jobs.batch=0")

    verdict = at.run("true")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    first, hint = told(at, verdict).splitlines()
    assert first.startswith("step/x: could not be started: job/x-1 in namespace NS: not created: ")
    assert "exceeded quota: jobs" in first
    assert hint == "Hint: `kubectl --context C --namespace NS describe quota`"


def test_the_black_box_of_a_failure_holds_all_that_is_known_and_no_secret(at):
    secret = "value-that-nobody-may-see"
    at.kubectl(
        "create", "secret", "generic", "keys", f"--from-literal=AWS_SECRET_ACCESS_KEY={secret}"
    )
    at.set(TAC_KUBERNETES_SECRET="keys")
    told: list[str] = []
    script = 'echo so; echo well >&2; test -n "$AWS_SECRET_ACCESS_KEY"; exit 1'
    verdict = at.sh(script, follow=told.append)

    (path,) = (at.path / "store").glob("_tac/attempts/*/*.json")
    box = json.loads(path.read_text())
    job, (pod,) = box["job"]["metadata"], box["pods"]
    name = pod["metadata"]["name"]
    assert path.relative_to(at.path / "store").parts == (
        "_tac",
        "attempts",
        job["name"],
        f"{job['uid']}.json",
    )
    assert box["verdict"] == {
        "phase": "finished",
        "reason": "bug",
        "detail": verdict.detail,
        "remedy": verdict.remedy,
        "exit_code": 1,
        "seconds": verdict.seconds,
    }
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert sorted(box["logs"][f"{name}/step"].splitlines()) == ["so", "well"]
    assert {event["reason"] for event in box["events"]} >= {
        "SuccessfulCreate",
        "Scheduled",
        "Started",
    }
    assert secret not in path.read_text()
    assert secret not in at.log.read_text()
    assert told[-1] == f"# all that is known of it: {path}"
