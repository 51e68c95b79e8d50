"""Deleting on S3: many keys a request; roots are never removed (tac.store.removal)."""

from __future__ import annotations

import itertools
import posixpath
from shlex import quote
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tac import settings
from tac.store.removal import Protected, require_removable
from tac.store.s3_client import S3Connection, S3Location, location_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_MOST_KEYS = 1000
# DeleteObjects answers an error code for each key it did not delete; here is the status of each.
_STATUSES = {"AccessDenied": 403, "InternalError": 500, "ServiceUnavailable": 503, "SlowDown": 503}
_ANY_STATUS = 400


def require_removable_location(address: str) -> None:
    """Refuse to empty a bucket or the store by the address of its root.

    Raises:
        ConfigError: `address` is such a root, or holds one.
    """
    location = location_of(address, prefix=True)
    listing = f"aws s3 ls {quote(str(location).rstrip('/') + '/')}"
    require_removable(address, parts_of(location), list(_protected(location)), listing=listing)


def delete_keys(s3: S3Connection, bucket: str, keys: Iterable[str]) -> None:
    """Delete keys, whether they exist or not.

    Raises:
        TacError: one of them could not be deleted; others may have been.
    """
    # XML cannot contain control characters, so such a key gets a request of its own.
    alone = {key for key in keys if min(key) < " "}
    listed = iter([key for key in keys if key not in alone])
    while batch := list(itertools.islice(listed, _MOST_KEYS)):
        _delete_listed(s3, bucket, batch)
    for key in alone:
        with s3.explaining(S3Location(bucket, key)):
            s3.client.delete_object(Bucket=bucket, Key=key)


def _delete_listed(s3: S3Connection, bucket: str, keys: list[str]) -> None:
    with s3.explaining(S3Location(bucket, keys[0])):
        reply = s3.client.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
    for failure in reply.get("Errors", []):
        status = _STATUSES.get(failure.get("Code", ""), _ANY_STATUS)
        with s3.explaining(S3Location(bucket, failure.get("Key", keys[0]))):
            raise ClientError(
                {"Error": failure, "ResponseMetadata": {"HTTPStatusCode": status}}, "DeleteObjects"
            )


def _protected(location: S3Location) -> Iterator[Protected]:
    yield Protected((location.bucket,), f"s3://{location.bucket}/", "the root of a bucket")
    store = settings.current().store
    if store.startswith("s3://"):
        yield Protected(parts_of(location_of(store, prefix=True)), store, "the root of the store")


def parts_of(location: S3Location) -> tuple[str, ...]:
    """Split a location as a server with folders understands it: without empty parts and dots."""
    key = posixpath.normpath(f"/{location.key}").strip("/")
    return (location.bucket, *filter(None, key.split("/")))
