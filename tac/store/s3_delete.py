"""Deleting on S3: many keys a request, and what is never removed there (tac.store.removal)."""

from __future__ import annotations

import itertools
import posixpath
from shlex import quote
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tac import settings
from tac.store.removal import Kept, require_removable
from tac.store.s3_client import Connection, S3Location, location_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_MOST_KEYS = 1000
# An answer names a code for each key it did not delete; a request of its own has a status with it.
_STATUSES = {"AccessDenied": 403, "InternalError": 500, "ServiceUnavailable": 503, "SlowDown": 503}
_ANY_STATUS = 400


def require_removable_place(address: str) -> None:
    """Let no bucket be emptied by the name of its root, nor the store by the name of its.

    Raises:
        ConfigError: `address` is such a root, or holds one.
    """
    place = location_of(address, prefix=True)
    listing = f"aws s3 ls {quote(str(place).rstrip('/') + '/')}"
    require_removable(address, parts_of(place), list(_kept(place)), listing=listing)


def delete_keys(here: Connection, bucket: str, keys: Iterable[str]) -> None:
    """Delete keys, whether they are there or not.

    Raises:
        TacError: one of them could not be deleted; others may have been.
    """
    # XML cannot write control characters, so such a key is not among those of a list.
    alone = {key for key in keys if min(key) < " "}
    listed = iter([key for key in keys if key not in alone])
    while batch := list(itertools.islice(listed, _MOST_KEYS)):
        _delete_listed(here, bucket, batch)
    for key in alone:
        with here.explaining(S3Location(bucket, key)):
            here.client.delete_object(Bucket=bucket, Key=key)


def _delete_listed(here: Connection, bucket: str, keys: list[str]) -> None:
    with here.explaining(S3Location(bucket, keys[0])):
        reply = here.client.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
    for failure in reply.get("Errors", []):
        status = _STATUSES.get(failure.get("Code", ""), _ANY_STATUS)
        with here.explaining(S3Location(bucket, failure.get("Key", keys[0]))):
            raise ClientError(
                {"Error": failure, "ResponseMetadata": {"HTTPStatusCode": status}}, "DeleteObjects"
            )


def _kept(place: S3Location) -> Iterator[Kept]:
    yield Kept((place.bucket,), f"s3://{place.bucket}/", "the root of a bucket")
    store = settings.current().store
    if store.startswith("s3://"):
        yield Kept(parts_of(location_of(store, prefix=True)), store, "the root of the store")


def parts_of(place: S3Location) -> tuple[str, ...]:
    """Take a place apart as a server with folders understands it: without empty parts and dots."""
    key = posixpath.normpath(f"/{place.key}").strip("/")
    return (place.bucket, *filter(None, key.split("/")))
