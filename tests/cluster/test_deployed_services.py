"""luigid and S3 as k8s/ deploys them: they keep what they know, and let in whom they should."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.deployment import ROLLOUT_SECONDS


def ask(url: str, path: str) -> str:
    with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def call(url: str, method: str, **values: str) -> dict[str, Any]:
    """Call a method of luigid, as anybody who reaches it can."""
    data = urllib.parse.urlencode({"data": json.dumps(values)})
    response = json.loads(ask(url, f"/api/{method}?{data}"))["response"]
    return dict(response or {})


def test_luigid_keeps_its_tasks_when_its_pod_is_replaced(deployment):
    before = deployment.wait_ready("luigid-0")
    with deployment.forwarded("service/luigid", 8082) as url:
        call(url, "add_task", worker="w", task_id="Kept_1", family="Kept")
        tasks = call(url, "task_list", status="", upstream_status="")
    assert "Kept_1" in tasks

    deployment.kubectl("delete", "pod", "luigid-0")
    deployment.wait_ready("luigid-0", but_not=before)

    with deployment.forwarded("service/luigid", 8082) as url:
        known = call(url, "task_list", status="", upstream_status="")
    assert known.keys() == tasks.keys()


def test_luigid_is_configured(deployment):
    [pod] = deployment.pods("app.kubernetes.io/name=luigid")
    script = (
        "import luigi.scheduler as s; c = s.scheduler();"
        "print(c.state_path, c.retry_delay, c.worker_disconnect_delay,"
        " c.record_task_history, c.max_shown_tasks, c.max_graph_nodes,"
        " c.stable_done_cooldown_secs)"
    )
    said = deployment.kubectl("exec", pod, "--", "python3", "-c", script)
    assert said == "/state/luigid.pickle 10.0 60.0 False 1000 500 1\n"


def test_s3_keeps_its_objects_when_its_pod_is_replaced(deployment):
    before = deployment.wait_ready("s3-0")
    with deployment.s3() as client:
        client.put_object(Bucket="tac", Key="kept", Body=b"kept")

    deployment.kubectl("delete", "pod", "s3-0")
    deployment.wait_ready("s3-0", but_not=before)

    with deployment.s3() as client:
        assert client.get_object(Bucket="tac", Key="kept")["Body"].read() == b"kept"


def test_s3_takes_new_keys_and_keeps_its_objects(deployment):
    old = deployment.read("secret", "tac-s3")["data"]
    with deployment.s3() as client:
        client.put_object(Bucket="tac", Key="kept", Body=b"kept")
    deployment.kubectl("delete", "secret", "tac-s3")

    applied = deployment.do("apply", seconds=ROLLOUT_SECONDS)

    assert applied.code == 0, applied.err
    assert deployment.read("secret", "tac-s3")["data"].keys() == old.keys()
    assert deployment.read("secret", "tac-s3")["data"] != old
    with deployment.s3() as client:
        assert client.get_object(Bucket="tac", Key="kept")["Body"].read() == b"kept"


def test_s3_makes_no_bucket_by_itself(deployment):
    with deployment.s3() as client, pytest.raises(ClientError) as caught:
        client.put_object(Bucket="mistyped", Key="x", Body=b"")
    assert caught.value.response["Error"]["Code"] == "NoSuchBucket"


def test_s3_refuses_who_has_no_key(deployment):
    with (
        deployment.forwarded("service/s3", 8333) as url,
        pytest.raises(urllib.error.HTTPError) as caught,
    ):
        ask(url, "/tac/kept")
    assert caught.value.code == 403
    caught.value.close()
