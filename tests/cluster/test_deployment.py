"""k8s/deploy.sh, which is also what ./minikube.sh does, on the real Kubernetes."""

import json
import re
import socket
import sys
import urllib.request

from tests.support.deployment import Deployment, run
from tests.support.processes import until

A_DAY = ("FetchData", "--date", "2023-03-01", "--runner", "local")
LONGER = ("MakePredictions", "--date", "2023-04-01", "--runner", "local")

TOO_MUCH = json.dumps(
    [
        {
            "op": "replace",
            "path": "/spec/jobTemplate/spec/template/spec/containers/0/resources/requests/cpu",
            "value": "900",
        }
    ]
)
A_STEP = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "a-step", "labels": {"app.kubernetes.io/managed-by": "tac"}},
    "spec": {
        "suspend": True,
        "template": {
            "spec": {"restartPolicy": "Never", "containers": [{"name": "step", "image": "none"}]}
        },
    },
}


def job_of(said: str) -> str:
    found = re.search(r"^job\.batch/(\S+) created$|^job/(\S+): runs already", said, re.MULTILINE)
    assert found is not None, said
    return found[1] or found[2]


def keys(deployment: Deployment) -> list[str]:
    with deployment.s3() as client:
        reply = client.list_objects_v2(Bucket="tac", Prefix="flights/")
    return sorted(each["Key"] for each in reply.get("Contents", []))


def ask(url: str, path: str) -> str:
    with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_applying_it_again_changes_nothing(deployment):
    secret = deployment.read("secret", "tac-s3")

    again = deployment.do("apply")

    assert again.code == 0, again.err
    # Above is what it applied, below how the rollouts stand.
    applied = [line for line in again.out.splitlines() if re.match(r"\S+/\S+ ", line)]
    assert len(applied) > 15
    assert [line for line in applied if not line.endswith(" unchanged")] == []
    assert deployment.read("secret", "tac-s3") == secret
    place = f"kubectl --namespace {deployment.namespace}"
    assert again.err.splitlines() == [
        f"+ {place} apply -k {deployment.overlay} --selector app.kubernetes.io/component=namespace",
        f"+ {place} apply -k {deployment.overlay}",
        f"+ {place} rollout status statefulset.apps/luigid --timeout=300s",
        f"+ {place} rollout status statefulset.apps/s3 --timeout=300s",
        f"dashboard: {place} port-forward service/luigid 8082, then http://localhost:8082",
    ]


def test_a_run_ends_with_its_results_in_the_clusters_s3(deployment):
    first = deployment.do("run", *A_DAY)
    again = deployment.do("run", *A_DAY)

    assert (first.code, again.code) == (0, 0), first.out + again.out
    assert "s3://tac/flights/flights/2023-03-01.parquet" in first.out.splitlines()
    assert re.search(r"complete, nothing to do$", again.out, re.MULTILINE), again.out
    assert "flights/flights/2023-03-01.parquet" in keys(deployment)
    # The same words, the same Job: the first one was over, so it was made anew.
    assert job_of(first.out + first.err) == job_of(again.out + again.err)


def test_the_driver_of_a_run_has_the_rights_for_a_pod_a_step(deployment):
    """The only run here with the runner that the ConfigMap names: steps are Jobs of their own."""
    ended = deployment.do("run", "FetchSchedule", "--date", "2023-03-02")

    assert ended.code == 0, ended.out + ended.err
    place = f"kubernetes: context in-cluster, namespace {deployment.namespace}, https://"
    assert ended.out.startswith(place), ended.out
    assert "flights/schedule/2023-03-02.parquet" in keys(deployment)
    jobs = deployment.read("jobs", "--selector", "app.kubernetes.io/managed-by=tac")
    assert jobs["items"] == []


def test_a_run_that_fails_ends_with_the_exit_code_of_its_driver(deployment):
    ended = deployment.do("run", "FetchDta", "--date", "2023-03-01")

    job = job_of(ended.out + ended.err)
    assert ended.code == 2
    assert ended.out.splitlines()[0].startswith("Error: tac.task: there is no task 'FetchDta'; ")
    assert ended.words[-1] == f"job/{job}: ended with exit code 2"


def test_words_reach_the_driver_as_they_were_written(deployment):
    ended = deployment.do("run", "Fetch\"Da\\ta'", "--date", "$(date) & é")

    assert ended.code == 2
    job = deployment.read("job", job_of(ended.out + ended.err))
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["tac", "run", "--workers", "20"]
    assert container["args"] == ["Fetch\"Da\\ta'", "--date", "$(date) & é"]
    assert job["metadata"]["name"].startswith("run-")
    assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "driver"


def test_a_run_without_a_task_is_of_the_report(deployment):
    ended = deployment.do("run", "--date", "2023-03-01", "--dry-run", "--runner", "local")

    assert ended.code == 0, ended.out
    assert re.search(r"^\d+ would run, \d+ (is|are) complete$", ended.out, re.MULTILINE)
    job = deployment.read("job", job_of(ended.out + ended.err))
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][:3] == ["Report", "--date", "2023-03-01"]
    assert "ownerReferences" not in job["metadata"]
    assert job["spec"]["backoffLimit"] == 0


def test_the_same_command_attaches_to_the_driver_that_runs(deployment):
    with deployment.doing("run", *LONGER) as first:
        job = wait_for_driver(deployment, first)
        second = deployment.do("run", *LONGER)
        out, _ = first.communicate(timeout=100)

    assert (first.returncode, second.code) == (0, 0), out
    assert f"job/{job}: runs already, coming back to it" in second.words
    assert "s3://tac/flights/predictions/2023-04-01.parquet" in out
    assert "s3://tac/flights/predictions/2023-04-01.parquet" in second.out
    pods = deployment.pods(f"batch.kubernetes.io/job-name={job}")
    assert len(pods) == 1


def test_a_driver_whose_pod_is_deleted_says_how_to_go_on(deployment):
    words = ("MakePredictions", "--date", "2023-05-01", "--runner", "local")
    with deployment.doing("run", *words) as process:
        job = wait_for_driver(deployment, process)
        [pod] = deployment.pods(f"batch.kubernetes.io/job-name={job}")
        deployment.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        out, _ = process.communicate(timeout=100)

    # The Job's finalizer kept the pod until its end could be read: it heard SIGTERM, or could not.
    if process.returncode in (137, 143):
        assert out.splitlines()[-1] == f"job/{job}: ended with exit code {process.returncode}"
    else:
        assert process.returncode == 75, out
        assert out.splitlines()[-2:] == [
            f"k8s/deploy.sh: job/{job}: its pod is gone, deleted or with its node",
            "Hint: the same command again comes back to what it has started",
        ]


def wait_for_driver(deployment, process) -> str:
    """Wait until the driver has said something, and return its Job."""
    said = ""
    for line in process.stdout:
        said += line
        if "] Fetch" in line:
            return job_of(said)
    raise AssertionError(said)


def test_the_dashboard_is_one_command_away(deployment):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with deployment.doing("dashboard", port) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().rstrip() for _ in range(3)]
        page = until(lambda: answer(port), "the dashboard")

    assert said == [
        f"http://localhost:{port}",
        f"+ kubectl --namespace {deployment.namespace} port-forward --address 127.0.0.1 "
        f"service/luigid {port}:8082",
        f"Forwarding from 127.0.0.1:{port} -> 8082",
    ]
    assert "<title>Luigi Task Visualiser</title>" in page


def test_a_port_that_another_program_has_is_not_shared_with_it(deployment):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = deployment.do("dashboard", port)

    assert ended.code == 1
    assert f"127.0.0.1:{port}: bind: address already in use" in ended.err


def test_the_clusters_s3_is_reached_with_the_lines_that_are_printed(deployment):
    script = "import boto3; print(boto3.client('s3').list_buckets()['Buckets'][0]['Name'])"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with deployment.doing("s3", port) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().rstrip() for _ in range(7)]
        # What a shell may have of another place.
        lines = "; ".join(["export AWS_SESSION_TOKEN=old AWS_PROFILE=none", *said[1:5]])
        found = run("bash", "-c", f'{lines}; "$0" -c "$1"', sys.executable, script)

    assert (found.code, found.out) == (0, "tac\n"), found.err
    place = f"kubectl --namespace {deployment.namespace}"
    key = f"$({place} get secret tac-s3 --output 'jsonpath={{.data.%s}}' | base64 --decode)"
    assert said == [
        "In another terminal:",
        "unset AWS_SESSION_TOKEN AWS_PROFILE",
        f"export AWS_ENDPOINT_URL_S3=http://localhost:{port} AWS_REGION=us-east-1",
        f"export AWS_ACCESS_KEY_ID={key % 'AWS_ACCESS_KEY_ID'}",
        f"export AWS_SECRET_ACCESS_KEY={key % 'AWS_SECRET_ACCESS_KEY'}",
        f"+ {place} port-forward --address 127.0.0.1 service/s3 {port}:8333",
        f"Forwarding from 127.0.0.1:{port} -> 8333",
    ]


def answer(port: int) -> str:
    try:
        return ask(f"http://127.0.0.1:{port}", "/")
    except OSError:
        return ""


def test_the_status_lists_what_is_there(deployment):
    ended = deployment.do("status")

    assert ended.code == 0, ended.err
    listed = set(re.findall(r"^(?:\w+\.)?[\w.]+/\S+", ended.out, re.MULTILINE))
    assert {
        "statefulset.apps/luigid",
        "statefulset.apps/s3",
        "persistentvolumeclaim/luigid",
        "persistentvolumeclaim/s3",
        "cronjob.batch/daily",
        "pod/luigid-0",
        "pod/s3-0",
    } <= listed
    assert ended.err.splitlines()[-1] == "the last warnings:"


def test_the_log_of_the_last_driver_and_of_luigid_can_be_read(deployment):
    deployment.do("run", *A_DAY)

    driver = deployment.do("logs")
    luigid = deployment.do("logs", "luigid", "--tail", "1")
    named = deployment.do("logs", newest_job(deployment), "--tail", "1")

    assert (driver.code, luigid.code, named.code) == (0, 0, 0), driver.err
    assert "s3://tac/flights/flights/2023-03-01.parquet\n" in driver.out
    assert luigid.out.count("\n") == 1
    assert named.out == driver.out.splitlines(keepends=True)[-1]


def newest_job(deployment: Deployment) -> str:
    words = ("jobs", "--sort-by=.metadata.creationTimestamp")
    return str(deployment.read(*words)["items"][-1]["metadata"]["name"])


def test_the_daily_driver_sleeps_until_a_source_is_configured(deployment):
    spec = deployment.read("cronjob", "daily")["spec"]
    assert (spec["suspend"], spec["timeZone"], spec["schedule"], spec["concurrencyPolicy"]) == (
        True,
        "America/New_York",
        "0 5 * * *",
        "Forbid",
    )


def test_a_daily_driver_that_is_killed_is_started_again(deployment):
    """As the CronJob makes it, only that steps run in the driver's own pod."""
    template = deployment.read("cronjob", "daily")["spec"]["jobTemplate"]
    [container] = template["spec"]["template"]["spec"]["containers"]
    container["args"] = ["MakePredictions", "--date", "2023-06-01", "--runner", "local"]
    job = {"apiVersion": "batch/v1", "kind": "Job", **template}
    job["metadata"]["name"] = "by-the-clock"
    deployment.kubectl("create", "-f", "-", stdin=json.dumps(job))
    [first] = until(lambda: running(deployment, "by-the-clock"), "the first driver", 60)

    deployment.kubectl("delete", "pod", first, "--grace-period=0", "--force")

    deployment.kubectl("wait", "job/by-the-clock", "--for=condition=Complete", "--timeout=100s")
    [second] = deployment.pods("batch.kubernetes.io/job-name=by-the-clock")
    assert second != first  # and there is no third: it did not wait for luigid to forget the first
    said = deployment.do("logs", "job/by-the-clock").out
    assert "s3://tac/flights/predictions/2023-06-01.parquet" in said.splitlines()
    # Its pods are drivers, and other tests ask who is.
    deployment.kubectl("delete", "job", "by-the-clock", "--cascade=foreground")


def running(deployment: Deployment, job: str) -> list[str]:
    selector = ("--selector", f"batch.kubernetes.io/job-name={job}")
    found = deployment.read("pods", *selector, "--field-selector", "status.phase=Running")
    return [pod["metadata"]["name"] for pod in found["items"]]


def test_what_failed_can_be_run_again_at_once(deployment):
    """A luigid with a retry_count of its own would not have it run for a day."""
    words = ("run", "FetchData", "--date", "1999-01-01", "--runner", "local")
    first, again = deployment.do(*words), deployment.do(*words)

    assert (first.code, again.code) == (30, 30), first.out + again.out
    assert first.out.count("FetchData(date=1999-01-01): failed") > 0
    assert re.sub(r"\d+\.\d s", "T s", first.out) == re.sub(r"\d+\.\d s", "T s", again.out)


def test_today_has_no_flights_in_the_bundled_year(deployment):
    """Run as the CronJob would, only that steps run in the driver's own pod."""
    ended = deployment.do("run", "FetchData", "--date", "today", "--runner", "local")

    assert ended.code not in (0, 2, 75), ended.out
    assert "2023-12-31" in ended.out


def test_the_reason_of_a_pending_driver_is_shown_and_cancel_deletes_it_with_its_steps(deployment):
    deployment.kubectl("create", "-f", "-", stdin=json.dumps(A_STEP))
    deployment.kubectl("patch", "cronjob", "daily", "--type=json", "--patch", TOO_MUCH)
    with deployment.doing("run", "FetchData", "--date", "2023-07-01") as process:
        said = ""
        while "its pod waits" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        cancelled = deployment.do("cancel", job_of(said))
    deployment.do("apply")

    assert f"\njob/{job_of(said)}: its pod waits: 0/" in said
    assert "Insufficient cpu" in said
    assert cancelled.code == 0, cancelled.err
    left = {job["metadata"]["name"] for job in deployment.read("jobs")["items"]}
    assert left.isdisjoint({job_of(said), "a-step"})
    daily = deployment.read("cronjob", "daily")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert daily["containers"][0]["resources"]["requests"]["cpu"] == "100m"
