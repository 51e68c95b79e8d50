"""S3 as a store, by boto3.

Each process has a client of its own; credentials come from boto3's chain, and no code here sees
them. A body is buffered, in memory or in a temporary file, until it is whole: on its way in and
on its way out.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import itertools
import tempfile
from http import HTTPStatus
from shlex import quote
from typing import TYPE_CHECKING, BinaryIO, cast

from botocore.exceptions import ClientError

from tac.errors import StorageFull
from tac.store import Draft, Entry, Stat, is_partial
from tac.store.listing_cache import ListingCache, Page
from tac.store.s3_client import S3Connection, S3Location, connection, location_of, not_s3, status_of
from tac.store.s3_delete import delete_keys, require_removable_location
from tac.store.s3_publish import LARGEST_PUT_BYTES, MARKER, VERSION_KEY, Publisher, root_of
from tac.store.s3_read import receive

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPOOL_BYTES = 16 * 1024**2
_CHUNK_BYTES = 1024**2

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
_PAGE_KEYS = 1000
_FIRST_KEYS = 2
"""Keys that are listed first of a folder: its marker, and most often an output in it."""

_FOLDER_MARK = "_$folder$"
"""The suffix of the empty objects by which Hadoop marks folders."""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class S3:
    """The store of s3:// addresses."""

    def __init__(self, *, largest_put_bytes: int = LARGEST_PUT_BYTES) -> None:
        self._largest_put_bytes = largest_put_bytes

    def stat(self, address: str) -> Stat | None:
        """Return size, time and tac's version of an object; None when it does not exist."""
        location = location_of(address)
        s3 = connection()
        with s3.explaining(location):
            try:
                head = s3.client.head_object(Bucket=location.bucket, Key=location.key)
            except ClientError as error:
                if status_of(error) != HTTPStatus.NOT_FOUND:
                    raise
                s3.require_bucket(location)
                return None
        if "ETag" not in head:
            raise not_s3(location, s3.endpoint)
        version = head.get("Metadata", {}).get(VERSION_KEY)
        return Stat(head["ContentLength"], head["LastModified"].astimezone(dt.UTC), version)

    def exists(self, address: str, *, fresh: bool = False) -> bool:
        """Tell whether an object exists; tac.store.listing_cache says how old the answer may be."""
        location = location_of(address)
        return self._listing_cache(connection(), location).exists(location.key, fresh=fresh)

    def open(
        self, address: str, *, most_bytes: int | None = None, most_seconds: float | None = None
    ) -> BinaryIO:
        """Read a whole object into a buffer, and open that."""
        location = location_of(address)
        s3 = connection()
        file = _Spool(_SPOOL_BYTES)
        try:
            with s3.explaining(location), _explaining_full_disk(location):
                receive(s3, location, file, most_bytes=most_bytes, most_seconds=most_seconds)
        except BaseException:
            file.release()
            raise
        file.seek(0)
        return cast("BinaryIO", file)

    @contextlib.contextmanager
    def create(
        self,
        address: str,
        *,
        private: bool = False,  # noqa: ARG002 - its bucket's policy decides
    ) -> Iterator[Draft]:
        """Buffer a body, and publish it when the block ends well."""
        location = location_of(address)
        s3 = connection()
        file = _Spool(_SPOOL_BYTES, stays_open=True)
        try:
            draft = Draft(cast("BinaryIO", file))
            with _explaining_full_disk(location):
                yield draft
                size = file.seek(0, 2)
            publisher = Publisher(s3, self._largest_put_bytes)
            with s3.explaining(location):
                draft.published = publisher.publish(location, draft.file, size)
            self._listing_cache(s3, location).record_published(location.key)
        finally:
            file.release()

    def delete(self, address: str) -> bool:
        """Delete an object."""
        location = location_of(address)
        self.require_removable(address)
        if self.stat(address) is None:
            return False
        s3 = connection()
        with s3.explaining(location):
            s3.client.delete_object(Bucket=location.bucket, Key=location.key)
        self._listing_cache(s3, location).record_deleted(location.key)
        return True

    def delete_folder(self, address: str) -> bool:
        """Delete every key below an address, whatever it is."""
        self.require_removable(address)
        location = _folder_of(address)
        s3 = connection()
        found = False
        for page in _pages(s3, location):
            keys = [key for key, _ in page]
            found = found or bool(keys)
            if keys:
                keys.append(location.key.rstrip("/") + _FOLDER_MARK)
            try:
                delete_keys(s3, location.bucket, keys)
            finally:
                for key in keys:
                    self._listing_cache(s3, S3Location(location.bucket, key)).record_deleted(key)
        return found

    def require_removable(self, address: str) -> None:
        """Raise if an address is, or holds, the root of a bucket or of the store."""
        require_removable_location(address)

    def is_folder(
        self,
        address: str,
        *,
        or_empty: bool = False,  # noqa: ARG002 - S3 has none
        fresh: bool = True,
    ) -> bool:
        """Tell whether any output lies below this address."""
        location = _folder_of(address)
        if not fresh:
            place = S3Location(location.bucket, location.key.rstrip("/"))
            if not self._listing_cache(connection(), place).may_be_folder(place.key):
                return False
        first = next(_pages(connection(), location, keys=_FIRST_KEYS))
        if len(first) < _FIRST_KEYS or _holds_output(location, first):
            return _holds_output(location, first)
        return any(_holds_output(location, page) for page in _pages(connection(), location))

    def list(self, prefix: str, *, most: int | None = None) -> Iterator[Entry]:
        """Yield the objects whose key starts with the prefix."""
        location = location_of(prefix, prefix=True)
        objects = (each for page in _pages(connection(), location) for each in page)
        found = [
            (key, size)
            for key, size in itertools.islice(objects, most)
            if _is_output(key[len(location.folder) :])
        ]
        # SeaweedFS lists by path (`a/b` before `a-b`), not by bytes.
        for key, size in sorted(found):
            yield Entry(f"s3://{location.bucket}/{key}", size)

    def _listing_cache(self, s3: S3Connection, location: S3Location) -> ListingCache:
        collection = _collection_of(location)
        with s3.lock:
            found = s3.listing_caches.get((location.bucket, collection))
            if found is None:
                found = self._make_listing_cache(location.bucket, collection)
                s3.listing_caches[location.bucket, collection] = found
            return found

    def _make_listing_cache(self, bucket: str, collection: str) -> ListingCache:
        def ask(key: str) -> bool:
            return self.stat(f"s3://{bucket}/{key}") is not None

        def read_page(after: str) -> Page:
            s3 = connection()
            with s3.explaining(S3Location(bucket, collection)):
                reply = s3.client.list_objects_v2(
                    Bucket=bucket, Prefix=collection, **({"StartAfter": after} if after else {})
                )
            keys = [each["Key"] for each in reply.get("Contents", [])]
            return Page(keys, last=not reply["IsTruncated"])

        return ListingCache(ask, read_page)


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """The buffer of a body; with `stays_open` its writer's close() keeps it for the upload."""

    def __init__(self, limit_bytes: int, *, stays_open: bool = False) -> None:
        super().__init__(limit_bytes)
        self._stays_open = stays_open

    def close(self) -> None:
        if not self._stays_open:
            super().close()

    def __exit__(self, *failure: object) -> None:
        self.close()

    def release(self) -> None:
        """Free the bytes."""
        super().close()


def _collection_of(location: S3Location) -> str:
    """Return the prefix of the keys that are listed together: one folder below the store's root."""
    root = root_of(location)
    first, slash, _ = location.key[len(root) :].partition("/")
    return root + first + slash if slash else root


def _folder_of(address: str) -> S3Location:
    return location_of(f"{address.rstrip('/')}/", prefix=True)


def _pages(
    s3: S3Connection, location: S3Location, *, keys: int = _PAGE_KEYS
) -> Iterator[list[tuple[str, int]]]:
    """Yield all keys with the location's prefix, and their sizes, as they are listed."""
    with s3.explaining(location):
        for page in s3.client.get_paginator("list_objects_v2").paginate(
            Bucket=location.bucket, Prefix=location.key, PaginationConfig={"PageSize": keys}
        ):
            yield [(each["Key"], each["Size"]) for each in page.get("Contents", [])]


def _holds_output(folder: S3Location, page: list[tuple[str, int]]) -> bool:
    return any(_is_output(key[len(folder.key) :]) for key, _ in page)


def _is_output(key: str) -> bool:
    """Tell whether a key, relative to a folder, is an output: see tac.store."""
    names = key.split("/")
    unfinished = any(is_partial(name) for name in names)
    marks = not names[-1] or key.endswith(_FOLDER_MARK) or f"/{key}".endswith(f"/{MARKER}")
    return not unfinished and not marks


@contextlib.contextmanager
def _explaining_full_disk(location: S3Location) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        folder = tempfile.gettempdir()
        raise StorageFull(
            f"{location}: could not be buffered in {folder}: {error.strerror}",
            hint=f"free disk space (`df -h {quote(folder)}`), or set TMPDIR",
        ) from error
