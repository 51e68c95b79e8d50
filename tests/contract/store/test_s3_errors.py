"""The errors of S3, and the messages for them; none of them is ever taken for absence."""

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tac.errors import (
    AccessDenied,
    BucketMissing,
    ConfigError,
    CredentialsRejected,
    InputMissing,
    StorageError,
    StorageUnavailable,
    TacError,
)
from tac.store import store_of
from tests.support.faults import Answer, Cut, Proxy, Request, running_proxy, server_context
from tests.support.homes import publish, read
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket, free_ports, point_tac_at

SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
KEYS = "boto3 finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
EXPIRED = "`aws sso login`, or renew them"
TOKEN = "renew the credentials; unset AWS_SESSION_TOKEN if they have none"
REGION = "`aws s3api get-bucket-location`; set AWS_REGION"
TLS = "check AWS_CA_BUNDLE, and whether AWS_ENDPOINT_URL_S3 is to begin with http://"
RIGHTS = (
    "the user needs s3:ListBucket on the bucket, without a condition on a prefix, "
    "s3:GetObject and s3:PutObject on its objects, and s3:DeleteObject for `--force`"
)


def create(address: str) -> None:
    publish(address, b"1")


def list_all(address: str) -> None:
    list(store_of(address).list(address))


def exists(address: str) -> bool:
    return store_of(address).exists(address)


def stat(address: str) -> object:
    return store_of(address).stat(address)


def delete(address: str) -> bool:
    return store_of(address).delete(address)


ALL: list[Callable[[str], object]] = [stat, exists, read, create, delete, list_all]
READING = [stat, exists, read, delete]


@pytest.fixture
def proxy(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy between tac and S3."""
    with running_proxy(bucket.server.endpoint) as proxy:
        point_tac_at(proxy.endpoint, monkeypatch)
        yield proxy


def error_of(ask: Callable[[str], object], address: str) -> TacError:
    with pytest.raises(TacError) as raised:
        ask(address)
    assert raised.value.__cause__ is not None
    return raised.value


@pytest.mark.parametrize("ask", ALL)
def test_a_missing_bucket_is_not_a_missing_object(bucket: Bucket, ask):
    error = error_of(ask, "s3://no-such-bucket/d/a")

    assert type(error) is BucketMissing
    assert error.message == "s3://no-such-bucket/d/a: the bucket does not exist"
    assert error.hint == "`aws s3 mb s3://no-such-bucket`"


def test_a_missing_object_says_where_to_look(bucket: Bucket):
    error = error_of(read, bucket.address("d/a"))

    assert type(error) is InputMissing
    assert error.message == f"s3://{bucket.name}/d/a: no such object"
    assert error.hint == f"make it first; `aws s3 ls s3://{bucket.name}/d/`"


@pytest.mark.parametrize("ask", ALL)
def test_a_wrong_secret_is_named_and_is_not_absence(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, ask
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    error = error_of(ask, bucket.address("d/a"))

    assert type(error) is CredentialsRejected
    assert error.message.endswith(": the secret key does not fit the access key")
    assert error.hint == KEYS


REFUSALS = [
    (400, "ExpiredToken", CredentialsRejected, "the credentials have expired", EXPIRED),
    (400, "TokenRefreshRequired", CredentialsRejected, "the credentials have expired", EXPIRED),
    (400, "InvalidToken", CredentialsRejected, "S3 does not know this session token", TOKEN),
    (403, "InvalidAccessKeyId", CredentialsRejected, "S3 does not know this access key", KEYS),
    (
        403,
        "RequestTimeTooSkewed",
        ConfigError,
        "the clocks of S3 and of this machine differ",
        "set the clock: `timedatectl`",
    ),
    (400, "AuthorizationHeaderMalformed", ConfigError, "the bucket is in another region", REGION),
    (401, "401", CredentialsRejected, "S3 rejected the credentials (401): Words", KEYS),
    (403, "AccessDenied", AccessDenied, "access denied (403 AccessDenied): Words", RIGHTS),
    (
        400,
        "KMS.DisabledException",
        StorageError,
        "S3 refused the request (400 KMS.DisabledException): Words",
        None,
    ),
]


@pytest.mark.parametrize("ask", READING)
@pytest.mark.parametrize("refusal", REFUSALS, ids=[row[1] for row in REFUSALS])
def test_a_refusal_is_named_though_the_answer_to_a_head_has_no_body(
    proxy: Proxy, bucket: Bucket, ask, refusal
):
    status, code, kind, text, hint = refusal
    body = f"<Error><Code>{code}</Code><Message>Words</Message></Error>".encode()
    proxy.fault = lambda request: Answer(status, b"" if request.method == "HEAD" else body)

    error = error_of(ask, bucket.address("d/a"))

    assert (type(error), error.exit_code) == (kind, 2)
    assert (error.message, error.hint) == (f"s3://{bucket.name}/d/a: {text}", hint)


def test_the_reason_of_a_refused_bucket_is_requested_too(proxy: Proxy, bucket: Bucket):
    expired = b"<Error><Code>ExpiredToken</Code><Message>Words</Message></Error>"

    def fault(request: Request) -> Answer | None:
        if request.path.split("?")[0].strip("/") != bucket.name:
            return Answer(404)  # the object is not there, so the bucket is looked for
        return Answer(400, b"" if request.method == "HEAD" else expired)

    proxy.fault = fault

    error = error_of(stat, bucket.address("d/a"))

    assert (error.message, error.hint) == (
        f"s3://{bucket.name}/d/a: the credentials have expired",
        EXPIRED,
    )


@pytest.mark.parametrize("other", [Cut(), Answer(500)])
def test_a_refusal_stays_one_when_its_reason_cannot_be_read(
    proxy: Proxy, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, other
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    proxy.fault = lambda request: Answer(403) if request.method == "HEAD" else other

    error = error_of(stat, bucket.address("d/a"))

    assert type(error) is AccessDenied
    assert error.message == f"s3://{bucket.name}/d/a: access denied (403): Forbidden"
    assert error.hint == RIGHTS


def test_an_unknown_key_is_named(bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")

    error = error_of(read, bucket.address("d/a"))

    assert type(error) is CredentialsRejected
    assert error.message == f"s3://{bucket.name}/d/a: S3 does not know this access key"
    assert error.hint == KEYS


@pytest.mark.parametrize("ask", ALL)
def test_without_credentials_nothing_is_asked(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, ask):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    error = error_of(ask, bucket.address("d/a"))

    assert type(error) is ConfigError
    assert error.message.endswith(": no credentials for S3 were found")
    assert error.hint == KEYS


@pytest.mark.parametrize("ask", [stat, exists, read, create])
def test_unreachable_s3_is_a_temporary_error(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, ask):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    point_tac_at(nobody, monkeypatch)

    error = error_of(ask, bucket.address("a"))

    assert (type(error), error.exit_code) == (StorageUnavailable, 75)
    assert error.message.endswith(f": S3 at {nobody} did not answer: EndpointConnectionError")
    assert error.hint == "try again; its address is AWS_ENDPOINT_URL_S3"


def test_a_ca_bundle_that_is_none_is_no_reason_to_try_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    endpoint = bucket.server.endpoint.replace("http:", "https:")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such.pem")
    point_tac_at(endpoint, monkeypatch)

    error = error_of(stat, bucket.address("a"))

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        f"s3://{bucket.name}/a: no TLS with S3 at {endpoint}: [Errno 2] No such file or directory",
        TLS,
    )


def test_https_in_the_address_of_a_server_of_http_is_named(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    endpoint = bucket.server.endpoint.replace("http:", "https:")
    point_tac_at(endpoint, monkeypatch)

    error = error_of(stat, bucket.address("a"))

    assert type(error) is ConfigError
    assert error.message.startswith(
        f"s3://{bucket.name}/a: no TLS with S3 at {endpoint}: [SSL: WRONG_VERSION_NUMBER]"
    )
    assert error.hint == TLS


def test_a_certificate_that_is_not_trusted_is_named(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    with running_proxy(bucket.server.endpoint, server_context(tmp_path / "own.pem")) as proxy:
        point_tac_at(proxy.endpoint, monkeypatch)

        error = error_of(stat, bucket.address("a"))

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        f"s3://{bucket.name}/a: the certificate of S3 at {proxy.endpoint} is not trusted",
        "set AWS_CA_BUNDLE to the certificates to trust",
    )


@pytest.mark.parametrize("ask", [stat, exists, read, create])
def test_s3_that_asks_to_slow_down_is_a_reason_to_try_again(
    proxy: Proxy, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, ask
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    proxy.fault = lambda request: Answer(503, b"" if request.method == "HEAD" else SLOW_DOWN)

    error = error_of(ask, bucket.address("a"))

    assert (type(error), error.exit_code) == (StorageUnavailable, 75)
    fact = "(503)" if ask in {stat, exists} else "(503 SlowDown)"
    assert error.message.endswith(f": S3 asks to slow down {fact}")
    assert error.hint == "try again later, or with fewer workers"


def test_a_short_slowness_is_allowed(proxy: Proxy, bucket: Bucket):
    proxy.fault = lambda request: Answer(503, SLOW_DOWN) if request.number == 1 else None

    assert publish(bucket.address("a"), b"1")
    assert read(bucket.address("a")) == b"1"


def test_s3_that_is_full_is_a_store_without_room(proxy: Proxy, bucket: Bucket):
    proxy.fault = lambda request: Answer(507)

    error = error_of(create, bucket.address("a"))

    assert error.exit_code == 75
    assert error.message.endswith(": no space left")


def test_a_broken_download_continues_where_it_broke(proxy: Proxy, bucket: Bucket):
    body = bytes(range(256)) * 20_000
    publish(bucket.address("a"), body)
    cuts = iter([Cut(after=1_000_000), Cut(after=0), Cut(after=3_000_000)])
    proxy.fault = lambda request: next(cuts, None) if request.method == "GET" else None

    assert read(bucket.address("a")) == body
    ranges = [each.headers.get("range") for each in proxy.requests if each.method == "GET"]
    assert ranges == [None, "bytes=1000000-", "bytes=1000000-", "bytes=4000000-"]


def test_a_connection_that_always_breaks_is_a_reason_to_try_again(proxy: Proxy, bucket: Bucket):
    publish(bucket.address("a"), bytes(100))
    proxy.fault = lambda request: Cut(after=10) if request.method == "GET" else None

    error = error_of(read, bucket.address("a"))

    assert (type(error), error.exit_code) == (StorageUnavailable, 75)
    assert error.message == (
        f"s3://{bucket.name}/a: the connection broke 5 times, after 50 of 100 bytes"
    )


def test_a_web_page_in_place_of_s3_is_named(proxy: Proxy, bucket: Bucket):
    proxy.fault = lambda request: Answer(200, b"<!doctype html><p>Welcome")

    for ask in (stat, exists, read):
        with pytest.raises(StorageError) as raised:
            ask(bucket.address("a"))
        assert raised.value.message == (
            f"s3://{bucket.name}/a: the server at {proxy.endpoint} is not S3"
        )


def test_credentials_in_s3s_address_are_refused_and_not_shown(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    point_tac_at(f"http://user:{SECRET_KEY}@127.0.0.1:1", monkeypatch)

    with pytest.raises(ConfigError) as raised:
        stat(bucket.address("a"))
    assert (
        raised.value.message == "http://***@127.0.0.1:1: credentials do not belong in S3's address"
    )


@pytest.mark.parametrize("ask", ALL)
def test_credentials_appear_nowhere(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ask
):
    caplog.set_level(logging.DEBUG, logger="tac")
    publish(bucket.address("a"), b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"not-{SECRET_KEY}")
    point_tac_at(bucket.server.endpoint, monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"not-{SECRET_KEY}")

    error = error_of(ask, bucket.address("a"))

    told = "".join(traceback.format_exception(error)) + caplog.text + repr(error) + str(error.hint)
    told += repr(store_of("s3://a/b"))
    assert SECRET_KEY not in told
    assert ACCESS_KEY not in told
