"""S3 as a store, by boto3.

Each process has a client of its own; credentials come from boto3's chain and are seen nowhere else.
A body is kept aside, in memory or in a temporary file, until it is whole: on its way in and on
its way out.
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
from tac.store.presence import Page, Presence
from tac.store.s3_client import Connection, S3Location, connection, location_of, not_s3, status_of
from tac.store.s3_delete import delete_keys, require_removable_place
from tac.store.s3_publish import LARGEST_PUT_BYTES, MARKER, VERSION_KEY, Publisher, root_of
from tac.store.s3_read import receive

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPOOL_BYTES = 16 * 1024**2
_CHUNK_BYTES = 1024**2
_READS = 5
"""Times a body is asked for, each time from where the last connection broke."""

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
_PAGE_KEYS = 1000
_FIRST_KEYS = 2
"""Keys that are looked at first of a folder: its marker, and most often something that is in it."""

_FOLDER_MARK = "_$folder$"
"""How names end that Hadoop gives to empty objects beside the folders they stand for."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class S3:
    """The store of s3:// addresses."""

    def __init__(self, *, largest_put_bytes: int = LARGEST_PUT_BYTES) -> None:
        self._largest_put_bytes = largest_put_bytes

    def stat(self, address: str) -> Stat | None:
        """Return size, time and maker of an object; None when there is none."""
        place = location_of(address)
        here = connection()
        with here.explaining(place):
            try:
                head = here.client.head_object(Bucket=place.bucket, Key=place.key)
            except ClientError as error:
                if status_of(error) != HTTPStatus.NOT_FOUND:
                    raise
                here.require_bucket(place)
                return None
        if "ETag" not in head:
            raise not_s3(place, here.endpoint)
        version = head.get("Metadata", {}).get(VERSION_KEY)
        return Stat(head["ContentLength"], head["LastModified"].astimezone(dt.UTC), version)

    def exists(self, address: str, *, fresh: bool = False) -> bool:
        """Tell whether an object is there; tac.store.presence says how old the answer may be."""
        place = location_of(address)
        return self._presence(connection(), place).exists(place.key, fresh=fresh)

    def open(
        self, address: str, *, most_bytes: int | None = None, most_seconds: float | None = None
    ) -> BinaryIO:
        """Read a whole object aside, and open that."""
        place = location_of(address)
        here = connection()
        file = _Spool(_SPOOL_BYTES)
        try:
            with here.explaining(place), _explaining_room(place):
                receive(here, place, file, most_bytes=most_bytes, most_seconds=most_seconds)
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
        """Write a body aside, and publish it when the block ends well."""
        place = location_of(address)
        here = connection()
        file = _Spool(_SPOOL_BYTES, stays_open=True)
        try:
            draft = Draft(cast("BinaryIO", file))
            with _explaining_room(place):
                yield draft
                size = file.seek(0, 2)
            publisher = Publisher(here, self._largest_put_bytes)
            with here.explaining(place):
                draft.published = publisher.publish(place, draft.file, size)
            self._presence(here, place).published(place.key)
        finally:
            file.release()

    def delete(self, address: str) -> bool:
        """Delete an object."""
        place = location_of(address)
        self.require_removable(address)
        if self.stat(address) is None:
            return False
        here = connection()
        with here.explaining(place):
            here.client.delete_object(Bucket=place.bucket, Key=place.key)
        self._presence(here, place).forget(place.key)
        return True

    def delete_folder(self, address: str) -> bool:
        """Delete every key below an address, whatever it is."""
        self.require_removable(address)
        place = _folder_of(address)
        here = connection()
        found = False
        for page in _pages(here, place):
            keys = [key for key, _ in page]
            found = found or bool(keys)
            try:
                delete_keys(here, place.bucket, keys)
            finally:
                for key in keys:
                    self._presence(here, S3Location(place.bucket, key)).forget(key)
        return found

    def require_removable(self, address: str) -> None:
        """Raise when an address is, or holds, the root of a bucket or of the store."""
        require_removable_place(address)

    def is_folder(self, address: str, *, or_empty: bool = False) -> bool:  # noqa: ARG002 - S3 has none
        """Tell whether any output lies below this address."""
        place = _folder_of(address)
        first = next(_pages(connection(), place, keys=_FIRST_KEYS))
        if len(first) < _FIRST_KEYS or _holds_output(place, first):
            return _holds_output(place, first)
        return any(_holds_output(place, page) for page in _pages(connection(), place))

    def list(self, prefix: str, *, most: int | None = None) -> Iterator[Entry]:
        """Yield the objects whose key starts with the prefix."""
        place = location_of(prefix, prefix=True)
        objects = (each for page in _pages(connection(), place) for each in page)
        found = [
            (key, size)
            for key, size in itertools.islice(objects, most)
            if _is_output(key[len(place.folder) :])
        ]
        # SeaweedFS lists in the order of the paths, which is another where a name goes on after a
        # folder's.
        for key, size in sorted(found):
            yield Entry(f"s3://{place.bucket}/{key}", size)

    def _presence(self, here: Connection, place: S3Location) -> Presence:
        collection = _collection_of(place)
        with here.lock:
            found = here.presence.get((place.bucket, collection))
            if found is None:
                found = self._make_presence(place.bucket, collection)
                here.presence[place.bucket, collection] = found
            return found

    def _make_presence(self, bucket: str, collection: str) -> Presence:
        def ask(key: str) -> bool:
            return self.stat(f"s3://{bucket}/{key}") is not None

        def read_page(after: str) -> Page:
            here = connection()
            with here.explaining(S3Location(bucket, collection)):
                reply = here.client.list_objects_v2(
                    Bucket=bucket, Prefix=collection, **({"StartAfter": after} if after else {})
                )
            keys = [each["Key"] for each in reply.get("Contents", [])]
            return Page(keys, last=not reply["IsTruncated"])

        return Presence(ask, read_page)


class _Spool(tempfile.SpooledTemporaryFile[bytes]):
    """A body aside; with `stays_open` a close only says that its writer is done."""

    def __init__(self, limit_bytes: int, *, stays_open: bool = False) -> None:
        super().__init__(limit_bytes)
        self._stays_open = stays_open

    def close(self) -> None:
        if not self._stays_open:
            super().close()

    def __exit__(self, *failure: object) -> None:
        self.close()

    def release(self) -> None:
        """Let go of the bytes."""
        super().close()


def _collection_of(place: S3Location) -> str:
    """Return the prefix of the keys that are listed together: one folder below the store's root."""
    root = root_of(place)
    first, slash, _ = place.key[len(root) :].partition("/")
    return root + first + slash if slash else root


def _folder_of(address: str) -> S3Location:
    return location_of(f"{address.rstrip('/')}/", prefix=True)


def _pages(
    here: Connection, place: S3Location, *, keys: int = _PAGE_KEYS
) -> Iterator[list[tuple[str, int]]]:
    """Yield all keys that begin with the place's, and their sizes, as they are listed."""
    with here.explaining(place):
        for page in here.client.get_paginator("list_objects_v2").paginate(
            Bucket=place.bucket, Prefix=place.key, PaginationConfig={"PageSize": keys}
        ):
            yield [(each["Key"], each["Size"]) for each in page.get("Contents", [])]


def _holds_output(folder: S3Location, page: list[tuple[str, int]]) -> bool:
    return any(_is_output(key[len(folder.key) :]) for key, _ in page)


def _is_output(key: str) -> bool:
    """Tell whether a key, written from a folder on, is an output: tac.store says what is none."""
    names = key.split("/")
    unfinished = any(is_partial(name) for name in names)
    marks = not names[-1] or key.endswith(_FOLDER_MARK) or f"/{key}".endswith(f"/{MARKER}")
    return not unfinished and not marks


@contextlib.contextmanager
def _explaining_room(place: S3Location) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        folder = tempfile.gettempdir()
        raise StorageFull(
            f"{place}: no room to keep it aside in {folder}: {error.strerror}",
            hint=f"make room (`df -h {quote(folder)}`), or set TMPDIR",
        ) from error
