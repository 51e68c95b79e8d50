"""Publishing on S3 when the server, or the way to it, does not do what it should."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tac.errors import StorageError, StorageUnavailable
from tac.store import store_of
from tac.store.s3 import S3
from tac.store.s3_client import close_connections
from tests.support.faults import Answer, Cut, LoseReply, Proxy, Request, running_proxy
from tests.support.homes import S3Home, publish, read, start_python
from tests.support.s3 import Bucket, point_tac_at, without_condition

CONFLICT = b"<Error><Code>ConditionalRequestConflict</Code><Message>Try again.</Message></Error>"
LARGE = bytes(range(256)) * 20_000


@pytest.fixture
def proxy(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with running_proxy(bucket.server.endpoint) as proxy:
        point_tac_at(proxy.endpoint, monkeypatch)
        yield proxy


def publish_in_parts(address: str, body: bytes) -> bool:
    with S3(largest_put_bytes=1000).create(address) as draft:
        draft.file.write(body)
    return draft.published


def writes(proxy: Proxy, key: str) -> list[Request]:
    return [
        each
        for each in proxy.requests
        if each.path.partition("?")[0].endswith(key) and each.method in {"PUT", "POST"}
    ]


def test_one_request_publishes_once_the_server_is_known(proxy: Proxy, bucket: Bucket):
    publish(bucket.address("a"), b"1")
    before = len(proxy.requests)

    publish(bucket.address("b"), b"2")

    assert len(proxy.requests) == before + 1
    assert proxy.requests[-1].headers["if-none-match"] == "*"


def test_a_new_process_asks_the_server_once(proxy: Proxy, bucket: Bucket):
    publish(bucket.address("a"), b"1")
    close_connections()
    before = len(proxy.requests)

    publish(bucket.address("b"), b"2")

    asked = [each.path for each in proxy.requests[before:]]
    assert asked == [f"/{bucket.name}/_tac/first-writer-wins", f"/{bucket.name}/b"]


@pytest.mark.parametrize("way", [publish, publish_in_parts])
def test_a_server_that_ignores_the_condition_is_refused_before_anything_is_overwritten(
    proxy: Proxy, bucket: Bucket, way
):
    bucket.client.put_object(Bucket=bucket.name, Key="a", Body=b"stands")
    proxy.rewrite = without_condition(bucket.server.endpoint)

    for key in ("a", "b"):
        with pytest.raises(StorageError) as raised:
            way(bucket.address(key), LARGE)
        assert raised.value.message == (
            f"s3://{bucket.name}/{key}: S3 at {proxy.endpoint} ignores If-None-Match: "
            "it would overwrite existing objects"
        )
    assert read(bucket.address("a")) == b"stands"
    assert S3Home(bucket).contents() == {"a": b"stands"}


def test_a_server_that_ignores_it_only_for_parts_is_refused_for_large_bodies(
    bucket: Bucket, proxy: Proxy
):
    ignorant = without_condition(bucket.server.endpoint)
    proxy.rewrite = lambda request, body: (
        ignorant(request, body) if request.method == "POST" else request.headers
    )

    with pytest.raises(StorageError) as raised:
        publish_in_parts(bucket.address("a"), LARGE)
    assert "ignores If-None-Match" in raised.value.message
    assert publish(bucket.address("small"), b"1")
    assert S3Home(bucket).contents() == {"small": b"1"}


def test_a_user_with_rights_in_one_folder_can_publish_there(proxy: Proxy, bucket: Bucket):
    denied = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    proxy.fault = lambda request: (
        None if request.path.startswith(f"/{bucket.name}/mine/") else Answer(403, denied)
    )

    assert publish(bucket.address("mine/a"), b"1")


def test_a_conflict_is_tried_again(proxy: Proxy, bucket: Bucket):
    answers = iter([Answer(409, CONFLICT), Answer(409, CONFLICT)])
    proxy.fault = lambda request: next(answers, None) if request.path.endswith("/a") else None

    assert publish(bucket.address("a"), b"1")
    assert read(bucket.address("a")) == b"1"
    assert len(writes(proxy, "/a")) == 3


def test_conflicts_without_end_are_a_reason_to_try_later(proxy: Proxy, bucket: Bucket):
    proxy.fault = lambda request: Answer(409, CONFLICT) if request.path.endswith("/a") else None

    with pytest.raises(StorageUnavailable) as raised:
        publish(bucket.address("a"), b"1")
    assert raised.value.message == (
        f"s3://{bucket.name}/a: S3 answered 6 times that other writes are under way (409)"
    )


@pytest.mark.parametrize("way", [publish, publish_in_parts])
def test_our_own_output_is_ours_although_the_reply_was_lost(proxy: Proxy, bucket: Bucket, way):
    # botocore sends the request again, and the answer is that the object exists.
    def lose_the_first(request: Request) -> LoseReply | None:
        if lost or (request.method, request.path.partition("=")[0]) not in last_requests:
            return None
        lost.append(request)
        return LoseReply()

    path = f"/{bucket.name}/a"
    last_requests = [("PUT", path)] if way is publish else [("POST", f"{path}?uploadId")]
    lost: list[Request] = []
    proxy.fault = lose_the_first

    assert way(bucket.address("a"), LARGE)
    assert len(lost) == 1
    assert read(bucket.address("a")) == LARGE


def test_a_large_body_goes_up_in_parts(proxy: Proxy, bucket: Bucket):
    assert publish_in_parts(bucket.address("a"), LARGE)

    assert read(bucket.address("a")) == LARGE
    stat = store_of("s3://").stat(bucket.address("a"))
    assert stat is not None
    assert (stat.size, stat.version is not None) == (len(LARGE), True)
    completion = writes(proxy, "/a")[-1]
    assert (completion.method, completion.headers["if-none-match"]) == ("POST", "*")


def test_a_large_body_is_not_sent_where_one_stands(proxy: Proxy, bucket: Bucket):
    publish_in_parts(bucket.address("a"), LARGE)
    before = len(writes(proxy, "/a"))

    assert not publish_in_parts(bucket.address("a"), b"other" * 1000)

    assert len(writes(proxy, "/a")) == before
    assert read(bucket.address("a")) == LARGE


def test_a_large_body_that_loses_at_its_completion_is_aborted(proxy: Proxy, bucket: Bucket):
    def overtake(request: Request) -> None:
        if request.path.startswith(f"/{bucket.name}/a?") and "partNumber" in request.path:
            bucket.client.put_object(Bucket=bucket.name, Key="a", Body=b"first")

    proxy.fault = overtake

    assert not publish_in_parts(bucket.address("a"), LARGE)
    assert S3Home(bucket).contents() == {"a": b"first"}


def test_a_large_body_that_fails_is_aborted(
    proxy: Proxy, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    point_tac_at(proxy.endpoint, monkeypatch)
    proxy.fault = lambda request: (
        Cut() if "/a?" in request.path and "partNumber" in request.path else None
    )

    with pytest.raises(StorageUnavailable):
        publish_in_parts(bucket.address("a"), LARGE)
    assert S3Home(bucket).contents() == {}


def test_a_body_of_many_megabytes_has_many_parts(bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tac.store.s3_publish._PART_BYTES", 5 * 1024**2)
    body = bytes(range(256)) * 50_000  # 12.8 MB: three parts

    assert publish_in_parts(bucket.address("a"), body)
    with store_of("s3://").open(bucket.address("a")) as file:
        assert file.seek(0, io.SEEK_END) == len(body)
    assert read(bucket.address("a")) == body


TOO_LARGE_TO_KEEP_ASIDE = """
import resource, sys
from tac.errors import StorageFull
from tac.store import store_of
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    with store_of(sys.argv[1]).create(sys.argv[1]) as draft:
        for _ in range(20):
            draft.file.write(bytes(1_000_000))
except StorageFull as error:
    print(error.message)
"""


def test_a_body_that_cannot_be_kept_aside_is_a_lack_of_room(bucket: Bucket, tmp_path: Path):
    address = bucket.address("a")
    environment = {**bucket.environment(), "TMPDIR": str(tmp_path)}

    told = start_python(TOO_LARGE_TO_KEEP_ASIDE, address, environment=environment)

    assert told.communicate(timeout=120) == (
        f"{address}: could not be buffered in {tmp_path}: File too large\n",
        "",
    )
    assert S3Home(bucket).contents() == {}
    assert list(tmp_path.iterdir()) == []
