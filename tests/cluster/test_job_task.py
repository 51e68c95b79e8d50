"""KubernetesJobTask on a real Kubernetes, as a drop-in for Luigi's class of that name.

The nodes have to see this machine's directories, as those of hack/kubernetes do.
"""

import logging
from pathlib import Path

import luigi
import pytest

from tac.names import READ
from tests.support.job_place import OURS, THEIRS, at, labels_of
from tests.support.kubernetes_place import step_image
from tests.support.processes import until

__all__ = ["at", "step_image"]

MADE = {"one": "1\n", "sum": "1+2+3", "sum.done": "1+2+3\n", "three": "3\n", "two": "2\n"}
MANIFESTS = Path(__file__).parents[1] / "unit/kubernetes/manifests/pod_spec_job"
UNTIL_GO = "until [ -e /at/go ]; do sleep 0.1; done"


@pytest.mark.parametrize("import_line", [OURS, THEIRS], ids=["ours", "theirs"])
@pytest.mark.parametrize("command", ["stock", "tac"])
def test_a_pipeline_for_luigis_class_makes_the_same_with_one_import_changed(
    at, command, import_line
):
    at.write_pipeline(import_line)

    ended = at.run(getattr(at, command)("Sum", "--workers", "3"))

    assert ended.code == 0, ended.err
    assert at.outputs() == MADE
    at.until_empty()


def test_a_job_is_what_the_properties_say(at):
    labels = {"team": "flights", "run": 7}
    task = at.task(UNTIL_GO, labels=labels, backoff_limit=3, active_deadline_seconds=500)

    with at.running(task) as failures:
        [pod] = until(at.running_pods, "a running pod")
        [job] = at.jobs()
        (at.shared / "go").touch()

    assert failures == []
    assert job["metadata"]["name"] == f"{task.uu_name}-1"
    assert job["metadata"]["labels"]["luigi_task_id"] == task.job_uuid
    assert labels_of(job) == {
        "app.kubernetes.io/name": "tac",
        "app.kubernetes.io/component": "job",
        "app.kubernetes.io/managed-by": "tac",
        "spawned_by": "luigi",
        "tac/step": "x",
        "tac/attempt": "1",
        "team": "flights",
        "run": "7",
    }
    assert labels_of(job).items() <= pod["metadata"]["labels"].items()
    assert job["spec"]["backoffLimit"] == 3
    assert job["spec"]["activeDeadlineSeconds"] == 500
    assert pod["spec"]["restartPolicy"] == "Never"
    at.close()
    at.until_empty()


def test_a_job_that_is_to_stay_stays_and_is_no_success_of_another_run(at):
    first = at.task("echo 1 >> /at/runs", delete_on_success=False)
    first.run()
    at.close()

    [job] = at.jobs()
    assert READ in job["metadata"]["annotations"]
    until(lambda: [pod["status"]["phase"] for pod in at.pods()] == ["Succeeded"], "its pod's end")

    at.task("echo 1 >> /at/runs", delete_on_success=False).run()

    assert (at.shared / "runs").read_text() == "1\n1\n"
    assert sorted(job["metadata"]["name"] for job in at.jobs()) == [
        f"{first.uu_name}-1",
        f"{first.uu_name}-2",
    ]


@pytest.mark.parametrize("same_driver", [True, False])
def test_a_success_that_no_driver_has_signalled_is_not_computed_again(at, same_driver):
    done = luigi.LocalTarget(at.shared / "done")

    def fails(_self):
        raise OSError("no room")

    task = at.task("echo 1 >> /at/runs", signal_complete=fails, output=lambda _: done)
    with pytest.raises(OSError, match="no room"):
        task.run()
    if not same_driver:
        at.close()
    assert len(at.jobs()) == 1

    again = at.task(
        "echo 1 >> /at/runs",
        signal_complete=lambda _: done.open("w").close(),
        output=lambda _: done,
    )
    again.run()

    assert (at.shared / "runs").read_text() == "1\n"
    assert again.complete()
    at.close()
    at.until_empty()


def test_an_output_that_was_deleted_is_made_again(at):
    done = luigi.LocalTarget(at.shared / "done")
    for _ in range(2):
        at.task("echo 1 >> /at/runs; touch /at/done", output=lambda _: done).run()
        (at.shared / "done").unlink()

    assert (at.shared / "runs").read_text() == "1\n1\n"


def test_a_missing_output_is_a_failure_that_the_next_run_retries(at):
    done = luigi.LocalTarget(at.shared / "done")

    assert at.failure(at.task("true", output=lambda _: done)) == (
        "task/x: ended with exit code 0 after T s, but there is no output at HOME/at/done\n"
        "Hint: its containers, or signal_complete(), have to make what output() names; "
        "log: HOME/store/_tac/logs/x.log"
    )
    at.close()
    at.task("touch /at/done", output=lambda _: done).run()


def test_what_pods_say_is_printed_once_if_that_is_wanted(at, caplog):
    caplog.set_level(logging.INFO, "luigi-interface")

    at.task("echo quietly").run()
    at.task("echo one; echo two >&2", print_pod_logs_on_exit=True).run()

    said = [at.plain(record.message) for record in caplog.records]
    # In any order: containerd reads the two streams of a container side by side.
    assert sorted(line for line in said if line in {"one", "two", "quietly"}) == ["one", "two"]


def test_two_tasks_whose_pods_differ_do_not_share_a_job(at):
    at.task("echo 1 >> /at/runs", delete_on_success=False).run()
    at.task("echo 2 >> /at/runs", delete_on_success=False).run()

    assert (at.shared / "runs").read_text() == "1\n2\n"


def test_a_name_of_any_length_and_letters_is_one_that_kubernetes_takes(at):
    task = at.task("true", name="Ä_" + "Very Long" * 20, delete_on_success=False)

    task.run()

    [job] = at.jobs()
    assert job["metadata"]["name"] == f"{task.uu_name}-1"


def test_init_containers_and_sidecars_are_no_reason_to_fail(at):
    sidecar = at.container("sleep 600", name="sidecar", restartPolicy="Always")
    init = at.container("sleep 1; echo ready > /at/ready", name="init")
    task = at.task("", spec_schema=at.spec("cat /at/ready", initContainers=[sidecar, init]))

    task.run()

    assert at.words(task) == ["ready"]


def test_a_container_that_is_never_ready_may_succeed(at):
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    slow = at.container("sleep 3", name="slow", readinessProbe=probe)

    at.task("", spec_schema={**at.spec(), "containers": [slow]}).run()


def test_a_pod_that_no_node_can_run_waits_until_one_can(at, cluster):
    key = f"{at.namespace}/waits"
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    task = at.task("", spec_schema=at.spec("true", nodeSelector={key: "yes"}))
    told: list[str] = []
    task.set_status_message = told.append

    try:
        with at.running(task) as failures:
            until(
                lambda: any("pending: waiting for a node: " in text for text in told),
                "its patience",
            )
            cluster.kubectl("label", "node", node, f"{key}=yes")
    finally:
        cluster.kubectl("label", "node", node, f"{key}-")

    assert failures == []


def test_a_deleted_pod_is_made_again_by_its_job(at):
    script = "echo 1 >> /at/runs; [ $(wc -l < /at/runs) = 2 ] || exec sleep 600"
    task = at.task(script, backoff_limit=2, delete_on_success=False)

    with at.running(task) as failures:
        [pod] = until(at.running_pods, "a running pod")
        until((at.shared / "runs").exists, "its first word")
        at.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")

    assert failures == []
    assert len(at.jobs()) == 1


def test_a_container_that_is_restarted_in_its_place_may_succeed(at):
    script = "echo again >> /at/runs; [ $(wc -l < /at/runs) = 3 ]"
    pod = at.spec(script, restartPolicy="OnFailure")
    task = at.task("", spec_schema=pod, backoff_limit=4, delete_on_success=False)

    task.run()

    assert len(at.jobs()) == len(at.pods()) == 1


@pytest.mark.parametrize("words", [[], ["--runner", "kubernetes", "--store", "here"]])
def test_without_an_output_luigis_own_example_runs_under_tac_too(at, words):
    (at.path / "pipeline.py").write_text(
        f"{OURS}\n"
        "class Pi(KubernetesJobTask):\n"
        "    name = 'pi'\n"
        f"    kubernetes_namespace = {at.namespace!r}\n"
        "    max_retrials = 3\n"
        f"    spec_schema = {at.spec('echo 3.14')!r}\n"
    )

    ended = at.run(at.tac("Pi", *words))  # no pod sees the store, and none has to

    assert ended.code == 0, ended.err
    assert ended.err.splitlines()[-1].startswith("1 ran, 0 were complete")


@pytest.mark.parametrize("path", sorted(MANIFESTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_api_server_takes_every_manifest_as_it_is(path, at):
    at.kubectl("create", "--dry-run=server", "--validate=strict", f"--filename={path}")
