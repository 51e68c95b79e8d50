"""The connection of a process to an S3 endpoint, and botocore's errors translated to tac's.

boto3 resolves the credentials; nothing here reads, keeps or prints one.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from shlex import quote
from typing import TYPE_CHECKING, Any

import boto3.session
import botocore.exceptions as botocore_errors
import botocore.session
from botocore.config import Config

import tac
from tac import settings
from tac.errors import (
    AccessDenied,
    BucketMissing,
    ConfigError,
    CredentialsRejected,
    InputMissing,
    StorageError,
    StorageFull,
    StorageUnavailable,
    TacError,
    cut,
)
from tac.store.s3_credentials import frozen_credentials, is_broken_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tac.store.listing_cache import ListingCache

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, and the names that
# older buckets and other servers allow besides.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}")


@dataclass(frozen=True)
class S3Location:
    """A bucket, and a key or a prefix in it."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def folder(self) -> str:
        """The key up to its last slash."""
        return self.key[: self.key.rfind("/") + 1]


def location_of(address: str, *, prefix: bool = False) -> S3Location:
    """Split `s3://bucket/key`; the key may be missing only of a prefix."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if "@" in bucket:
        raise ConfigError(
            f"{address}: credentials do not belong in an address",
            hint="boto3 finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if not _BUCKET.fullmatch(bucket):
        raise ConfigError(
            f"{address}: {bucket!r} cannot be a bucket's name", hint="write s3://bucket/key"
        )
    if not prefix and (not key or key.endswith("/")):
        raise ConfigError(f"{address}: names a folder, not an object", hint="write s3://bucket/key")
    return S3Location(bucket, key)


class S3Connection:
    """A client of one endpoint, and what this process has found out about its buckets."""

    def __init__(self, endpoint: str | None) -> None:
        self.endpoint = endpoint
        self.buckets: set[str] = set()
        self.conditional: set[object] = set()
        self.listing_caches: dict[tuple[str, str], ListingCache] = {}
        self.lock = threading.Lock()
        try:
            self.session: Any = _make_session()
            frozen_credentials(self.session)
            self.client = _make_client(self.session, endpoint)
        except (botocore_errors.BotoCoreError, ValueError) as error:
            raise ConfigError(
                f"S3: no client can be made: {cut(str(error))}",
                hint="check AWS_ENDPOINT_URL_S3, AWS_PROFILE and ~/.aws/config",
            ) from error
        # They may have to be renewed in the middle of many requests: that error is not S3's.
        self.client.meta.events.register_first(
            "before-sign.s3", lambda **_: frozen_credentials(self.session)
        )

    @contextlib.contextmanager
    def explaining(self, location: S3Location) -> Iterator[None]:
        """Translate every error of botocore inside the block."""
        try:
            yield
        except botocore_errors.ClientError as error:
            raise _answered(self._with_body(error, location), location) from error
        except botocore_errors.BotoCoreError as error:
            raise _unanswered(error, location, self.endpoint) from error

    def _with_body(
        self, error: botocore_errors.ClientError, location: S3Location
    ) -> botocore_errors.ClientError:
        """Return S3's answer to the same question with a body: that to a HEAD has none."""
        if error.operation_name not in {"HeadObject", "HeadBucket"} or not _is_refusal(error):
            return error
        try:
            if location.key and error.operation_name == "HeadObject":
                reply = self.client.get_object(
                    Bucket=location.bucket, Key=location.key, Range="bytes=0-0"
                )
                reply["Body"].close()
            else:
                self.client.list_objects_v2(Bucket=location.bucket, MaxKeys=1)
        except botocore_errors.ClientError as said:
            return said if _is_refusal(said) else error
        except botocore_errors.BotoCoreError:
            pass
        return error

    def require_bucket(self, location: S3Location) -> None:
        """Check that the bucket exists, once a process.

        HEAD of a key in a missing bucket is answered exactly like HEAD of a missing key.
        """
        if location.bucket in self.buckets:
            return
        try:
            self.client.head_bucket(Bucket=location.bucket)
        except botocore_errors.ClientError as error:
            if status_of(error) == HTTPStatus.NOT_FOUND:
                raise _bucket_missing(location) from error
            raise
        self.buckets.add(location.bucket)


_connections: dict[str | None, S3Connection] = {}
_lock = threading.Lock()


def connection() -> S3Connection:
    """Return this process' connection to the endpoint that the settings name."""
    endpoint = settings.current().s3_endpoint_url
    with _lock:
        found = _connections.get(endpoint)
        if found is None:
            found = _connections[endpoint] = S3Connection(endpoint)
        return found


def close_connections() -> None:
    """Close all clients, so that the next ones see other settings or credentials."""
    with _lock:
        for each in _connections.values():
            each.client.close()
        _connections.clear()


def _drop_after_fork() -> None:
    """Leave the parent its sockets: two processes on one would read each other's answers."""
    global _lock  # noqa: PLW0603 - a thread of the parent may hold it, and does not exist here
    _lock = threading.Lock()
    _connections.clear()


os.register_at_fork(after_in_child=_drop_after_fork)


def status_of(error: botocore_errors.ClientError) -> int:
    """Return the HTTP status of S3's answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_refusal(error: botocore_errors.ClientError) -> bool:
    """Tell whether S3 refuses the request as it is; 404 and 429 say enough without a body."""
    return status_of(error) in {400, 401, 403}


def code_of(error: botocore_errors.ClientError) -> str:
    """Return S3's error code; of an answer without a body it is the status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def not_s3(location: S3Location, endpoint: str | None) -> StorageError:
    """Return the error for an answer that no S3 gives."""
    return StorageError(
        f"{location}: the server at {shown(endpoint)} is not S3",
        hint="check AWS_ENDPOINT_URL_S3: it names the S3 API's port, not a web page's",
    )


def _make_session() -> Any:
    session = botocore.session.Session()
    # Of Amazon's libraries only boto3 ignores AWS_REGION. A role is assumed in a region too.
    region = settings.variable("AWS_REGION") or session.get_config_variable("region")
    session.set_config_variable("region", region or "us-east-1")
    return session


def _make_client(session: Any, endpoint: str | None) -> Any:
    return boto3.session.Session(botocore_session=session).client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=10,
            read_timeout=60,
            retries={"mode": "standard"},
            max_pool_connections=64,
            tcp_keepalive=True,
            user_agent_extra=f"tac/{tac.__version__}",
            # Older MinIO and SeaweedFS refuse the newer checksums; the signature covers the body
            # anyway.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@dataclass(frozen=True)
class _Cause:
    kind: type[TacError]
    text: str
    hint: str


_KEYS = "boto3 finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_SLOW = _Cause(StorageUnavailable, "S3 asks to slow down", "try again later, or with fewer workers")
_EXPIRED = _Cause(
    CredentialsRejected, "the credentials have expired", "`aws sso login`, or renew them"
)
_REGION = _Cause(
    ConfigError,
    "the bucket is in another region",
    "`aws s3api get-bucket-location`; set AWS_REGION",
)
_MISSING = _Cause(InputMissing, "no such object", "make it first; `aws s3 ls {folder}`")

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_BY_CODE = {
    "NoSuchBucket": _Cause(BucketMissing, "the bucket does not exist", "`aws s3 mb s3://{bucket}`"),
    "NoSuchKey": _MISSING,
    "InvalidAccessKeyId": _Cause(CredentialsRejected, "S3 does not know this access key", _KEYS),
    "SignatureDoesNotMatch": _Cause(
        CredentialsRejected, "the secret key does not fit the access key", _KEYS
    ),
    "ExpiredToken": _EXPIRED,
    "InvalidToken": _Cause(
        CredentialsRejected,
        "S3 does not know this session token",
        "renew the credentials; unset AWS_SESSION_TOKEN if they have none",
    ),
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": _Cause(
        ConfigError, "the clocks of S3 and of this machine differ", "set the clock: `timedatectl`"
    ),
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "InvalidBucketName": _Cause(
        ConfigError, "S3 does not allow this bucket's name", "write s3://bucket/key"
    ),
    "PreconditionFailed": _Cause(
        StorageUnavailable, "it was replaced while it was read", "try again"
    ),
    "QuotaExceeded": _Cause(StorageFull, "no space left", "free space, or raise the quota"),
    "XMinioStorageFull": _Cause(StorageFull, "no space left", "free space on the server"),
}
_BY_STATUS = {
    301: _REGION,
    404: _MISSING,
    429: _SLOW,
    501: _Cause(StorageError, "S3 does not implement the request", "use a server that does"),
    503: _SLOW,
    507: _Cause(StorageFull, "no space left", "free space on the server"),
}


def _answered(error: botocore_errors.ClientError, location: S3Location) -> TacError:
    status, code = status_of(error), code_of(error)
    cause = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if cause is not None:
        hint = cause.hint.format(
            bucket=location.bucket, folder=quote(f"s3://{location.bucket}/{location.folder}")
        )
        return cause.kind(f"{location}: {cause.text}{_fact(cause, status, code)}", hint=hint)
    said = cut(str(error.response.get("Error", {}).get("Message", "")))
    fact = f"{status}" if code == str(status) else f"{status} {code}"
    if status == HTTPStatus.UNAUTHORIZED:
        return CredentialsRejected(
            f"{location}: S3 rejected the credentials ({fact}): {said}", hint=_KEYS
        )
    if status == HTTPStatus.FORBIDDEN:
        return AccessDenied(
            f"{location}: access denied ({fact}): {said}",
            hint="the user needs s3:ListBucket on the bucket, without a condition on a prefix, "
            "s3:GetObject and s3:PutObject on its objects, and s3:DeleteObject for `--force`",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StorageUnavailable(
            f"{location}: S3 failed ({fact}): {said}", hint="try again; see the server's log"
        )
    return StorageError(f"{location}: S3 refused the request ({fact}): {said}")


def _fact(cause: _Cause, status: int, code: str) -> str:
    if cause is not _SLOW:
        return ""
    return f" ({status})" if code == str(status) else f" ({status} {code})"


def _bucket_missing(location: S3Location) -> TacError:
    cause = _BY_CODE["NoSuchBucket"]
    return cause.kind(f"{location}: {cause.text}", hint=cause.hint.format(bucket=location.bucket))


_UNANSWERED = (
    *(botocore_errors.HTTPClientError, botocore_errors.ConnectionError),
    *(botocore_errors.IncompleteReadError, botocore_errors.CapacityNotAvailableError),
    *(botocore_errors.ChecksumError, botocore_errors.FlexibleChecksumError),
)
_MALFORMED = (botocore_errors.ParamValidationError, botocore_errors.UnsupportedS3ArnError)


def _unanswered(
    error: botocore_errors.BotoCoreError, location: S3Location, endpoint: str | None
) -> TacError:
    said = cut(str(error))
    if isinstance(error, botocore_errors.NoCredentialsError):
        return ConfigError(f"{location}: no credentials for S3 were found", hint=_KEYS)
    if isinstance(error, _MALFORMED):
        return ConfigError(
            f"{location}: not a usable address: {said}", hint="write s3://bucket/key"
        )
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return ConfigError(
            f"{location}: the certificate of S3 at {shown(endpoint)} is not trusted",
            hint="set AWS_CA_BUNDLE to the certificates to trust",
        )
    if is_broken_tls(error):
        return ConfigError(
            f"{location}: no TLS with S3 at {shown(endpoint)}: {cut(str(error.kwargs['error']))}",
            hint="check AWS_CA_BUNDLE, and whether AWS_ENDPOINT_URL_S3 is to begin with http://",
        )
    if not isinstance(error, _UNANSWERED):
        return ConfigError(
            f"{location}: S3 cannot be asked: {said}",
            hint="check AWS_ENDPOINT_URL_S3, AWS_PROFILE and ~/.aws/config",
        )
    return StorageUnavailable(
        f"{location}: S3 at {shown(endpoint)} did not answer: {type(error).__name__}",
        hint="try again; its address is AWS_ENDPOINT_URL_S3",
    )


def shown(endpoint: str | None) -> str:
    """Return an endpoint as messages show it."""
    return endpoint or "AWS"
