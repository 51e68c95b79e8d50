"""What a step says when the store fails it: its message, its exit code, nothing written."""

import resource
import subprocess

import pytest

from tests.support.faults import Answer, Cut, running_proxy
from tests.support.flights import command_of, run_step
from tests.support.runs import environment
from tests.support.s3 import Bucket

FETCH = ("fetch", "--date", "2023-02-28")
KEY = "flights/2023-02-28.parquet"


def test_a_wrong_secret_is_named(tmp_path, bucket: Bucket):
    wrong = bucket.environment() | {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}

    ended = run_step("fetch", bucket.address(KEY), *FETCH[1:], environment=wrong)

    assert ended.returncode == 2
    assert ended.stderr == (
        f"Error: {bucket.address(KEY)}: the secret key does not fit the access key\n"
        "Hint: boto3 finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE\n"
    )
    assert "not-the-secret" not in ended.stderr
    assert bucket.list_keys() == []


def test_a_bucket_that_does_not_exist_is_named_with_the_way_to_make_it(tmp_path, bucket: Bucket):
    ended = run_step(
        "fetch",
        "s3://no-such-bucket-here/a.parquet",
        *FETCH[1:],
        environment=bucket.environment(),
    )

    assert (ended.returncode, ended.stderr) == (
        2,
        "Error: s3://no-such-bucket-here/a.parquet: the bucket does not exist\n"
        "Hint: `aws s3 mb s3://no-such-bucket-here`\n",
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            Cut(),
            "S3 at {endpoint} did not answer: ConnectionClosedError\n"
            "Hint: try again; its address is AWS_ENDPOINT_URL_S3\n",
        ),
        (
            Answer(503),
            "S3 asks to slow down (503)\nHint: try again later, or with fewer workers\n",
        ),
    ],
    ids=["gone in the middle", "throttling"],
)
def test_a_store_that_fails_while_a_step_publishes_is_a_temporary_error(
    tmp_path, bucket: Bucket, fault, message
):
    with running_proxy(bucket.server.endpoint) as proxy:
        proxy.fault = lambda request: fault if request.method == "PUT" else None
        through = bucket.environment() | {"AWS_ENDPOINT_URL_S3": proxy.endpoint}
        ended = run_step("fetch", bucket.address(KEY), *FETCH[1:], environment=through)

    told = message.format(endpoint=proxy.endpoint)
    assert (ended.returncode, ended.stderr) == (75, f"Error: {bucket.address(KEY)}: {told}")
    assert [key for key in bucket.list_keys() if not key.startswith("_tac/")] == []


def test_a_store_that_fails_while_a_step_reads_is_a_temporary_error(tmp_path, bucket: Bucket):
    bucket.client.put_object(Bucket=bucket.name, Key="p.parquet", Body=b"PAR1" * 1000)
    with running_proxy(bucket.server.endpoint) as proxy:
        proxy.fault = lambda request: Cut(after=10) if request.method == "GET" else None
        through = bucket.environment() | {"AWS_ENDPOINT_URL_S3": proxy.endpoint}
        ended = run_step(
            "average",
            "out.parquet",
            bucket.address("p.parquet"),
            environment=through,
        )

    assert (ended.returncode, ended.stderr) == (
        75,
        f"Error: {bucket.address('p.parquet')}: the connection broke 5 times,"
        " after 50 of 4000 bytes\nHint: try again\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_to_be_tried_again_and_nothing_is_left(tmp_path):
    command = command_of(*FETCH[:1], "out.parquet", *FETCH[1:])

    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(tmp_path) | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # The kernel refuses the bytes beyond, as a full disk does; Python ignores SIGXFSZ.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000)),
    )

    assert (ended.returncode, ended.stderr) == (
        75,
        "Error: out.parquet: could not be written: File too large\n"
        "Hint: `ulimit -f` shows the limit\n",
    )
    assert list(tmp_path.iterdir()) == []
