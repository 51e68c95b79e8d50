"""Publishing on S3: conditional writes, so that the first writer wins and nothing is overwritten.

A body goes up in one PutObject with `If-None-Match: *`, a very large one in parts with the header
on the completion. An endpoint that ignores the header would overwrite in silence, so each process
tests it once a bucket, with a marker object, before it publishes anything.

A writer that is killed leaves the parts of a very large body behind, invisible but stored: let a
lifecycle rule of the bucket abort incomplete multipart uploads.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus
from shlex import quote
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

import tac
from tac import settings
from tac.backoff import Backoff
from tac.errors import AccessDenied, StorageError, StorageUnavailable
from tac.store.s3_client import S3Connection, S3Location, code_of, location_of, shown, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
LARGEST_PUT_BYTES = 5 * 1024**3
_MOST_PARTS = 10_000
_PART_BYTES = 64 * 1024**2

MARKER = "_tac/first-writer-wins"
"""The object that endpoints are tested with; it is kept, so the next process needs one request."""
_MARKER_BODY = b"tac tests with this object whether its S3 endpoint honours If-None-Match.\n"

VERSION_KEY = "tac-version"
_WRITER_KEY = "tac-writer"

_CONFLICTS = 6
"""Tries after 409, which S3 answers to one of two conditional writes of the same instant."""


@dataclass(frozen=True)
class Publisher:
    """Writes objects that do not exist, and never overwrites one."""

    s3: S3Connection
    largest_put_bytes: int = LARGEST_PUT_BYTES

    def publish(self, location: S3Location, file: BinaryIO, size: int) -> bool:
        """Publish a body; False when another one exists, which is not changed."""
        in_parts = size > self.largest_put_bytes
        self._require_conditional_writes(location, in_parts=in_parts)
        writer = secrets.token_hex(8)
        if not in_parts:
            return self._write(location, writer, lambda: self._put(location, file, writer))
        if self._writer_of(location) is not None:  # spares the upload; the completion decides
            return False
        return self._write(location, writer, lambda: self._put_parts(location, file, size, writer))

    def _write(self, location: S3Location, writer: str, attempt: Callable[[], None]) -> bool:
        try:
            _retry_conflicts(attempt)
        except ClientError as error:
            if (
                status_of(error) == HTTPStatus.PRECONDITION_FAILED
                or code_of(error) == "NoSuchUpload"
            ):
                # The object may be ours: botocore repeats a request whose answer was lost.
                return self._existing_writer(location, error) == writer
            if status_of(error) != HTTPStatus.CONFLICT:
                raise
            raise StorageUnavailable(
                f"{location}: S3 answered {_CONFLICTS} times that other writes are under way (409)",
                hint="try again later",
            ) from error
        return True

    def _existing_writer(self, location: S3Location, error: ClientError) -> str:
        writer = self._writer_of(location)
        if writer is None:
            raise StorageError(
                f"{location}: exists by one answer ({status_of(error)}), and not by another (404)",
                hint=f"on a server with folders it may be one: `aws s3 ls {quote(f'{location}/')}`",
            ) from error
        return writer

    def _writer_of(self, location: S3Location) -> str | None:
        try:
            head = self.s3.client.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            if status_of(error) == HTTPStatus.NOT_FOUND:
                return None
            raise
        return str(head.get("Metadata", {}).get(_WRITER_KEY, ""))

    def _put(self, location: S3Location, file: BinaryIO, writer: str) -> None:
        file.seek(0)
        self.s3.client.put_object(
            Bucket=location.bucket,
            Key=location.key,
            Body=file,
            IfNoneMatch="*",
            Metadata=_metadata(writer),
        )

    def _put_parts(self, location: S3Location, file: BinaryIO, size: int, writer: str) -> None:
        target = {"Bucket": location.bucket, "Key": location.key}
        upload = self.s3.client.create_multipart_upload(**target, Metadata=_metadata(writer))
        target["UploadId"] = upload["UploadId"]
        try:
            file.seek(0)
            part_bytes = max(_PART_BYTES, -(-size // _MOST_PARTS))
            self._complete(target, self._upload_parts(target, file, part_bytes))
        except BaseException:
            with contextlib.suppress(ClientError, BotoCoreError):  # the first error matters
                self.s3.client.abort_multipart_upload(**target)
            raise

    def _upload_parts(
        self, target: dict[str, str], file: BinaryIO, part_bytes: int
    ) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        while body := file.read(part_bytes):
            number = len(parts) + 1
            reply = self.s3.client.upload_part(**target, PartNumber=number, Body=body)
            parts.append({"ETag": reply["ETag"], "PartNumber": number})
        return parts

    def _complete(self, target: dict[str, str], parts: list[dict[str, Any]]) -> None:
        self.s3.client.complete_multipart_upload(
            **target, IfNoneMatch="*", MultipartUpload={"Parts": parts}
        )

    def _require_conditional_writes(self, location: S3Location, *, in_parts: bool) -> None:
        markers = _markers(location)
        if any((marker, in_parts) in self.s3.conditional for marker in markers):
            return
        for marker in markers:
            try:
                with self.s3.explaining(location):
                    honored = self._honors_if_none_match(marker, in_parts=in_parts)
            except AccessDenied:
                if marker is markers[-1]:
                    raise
                continue
            if not honored:
                raise StorageError(
                    f"{location}: S3 at {shown(self.s3.endpoint)} ignores If-None-Match: "
                    "it would overwrite existing objects",
                    hint="use a server with conditional writes: AWS, Ceph, MinIO, SeaweedFS 4",
                )
            self.s3.conditional.add((marker, in_parts))
            return

    def _honors_if_none_match(self, marker: S3Location, *, in_parts: bool) -> bool:
        """Write the marker, twice if need be; the server must refuse to overwrite it."""
        refused = not self._put_marker(marker) or not self._put_marker(marker)
        return refused and (not in_parts or not self._put_marker_in_parts(marker))

    def _put_marker(self, marker: S3Location) -> bool:
        return self._wrote_marker(
            lambda: self.s3.client.put_object(
                Bucket=marker.bucket, Key=marker.key, Body=_MARKER_BODY, IfNoneMatch="*"
            )
        )

    def _put_marker_in_parts(self, marker: S3Location) -> bool:
        target = {"Bucket": marker.bucket, "Key": marker.key}
        target["UploadId"] = self.s3.client.create_multipart_upload(**target)["UploadId"]
        part = self.s3.client.upload_part(**target, PartNumber=1, Body=_MARKER_BODY)
        parts = [{"ETag": part["ETag"], "PartNumber": 1}]
        try:
            return self._wrote_marker(lambda: self._complete(target, parts))
        finally:
            with contextlib.suppress(ClientError, BotoCoreError):  # completed: nothing to abort
                self.s3.client.abort_multipart_upload(**target)

    @staticmethod
    def _wrote_marker(write: Callable[[], object]) -> bool:
        try:
            _retry_conflicts(write)
        except ClientError as error:
            if status_of(error) == HTTPStatus.PRECONDITION_FAILED:
                return False
            raise
        return True


def _retry_conflicts(write: Callable[[], object]) -> None:
    """Write, again where another write came at the same moment; raise the last conflict."""
    backoff = Backoff()
    for number in range(1, _CONFLICTS + 1):
        try:
            write()
        except ClientError as error:
            if status_of(error) != HTTPStatus.CONFLICT or number == _CONFLICTS:
                raise
            time.sleep(backoff.next())  # between two of a counted number of tries
        else:
            return


def _metadata(writer: str) -> dict[str, str]:
    return {VERSION_KEY: tac.__version__, _WRITER_KEY: writer}


def _markers(location: S3Location) -> list[S3Location]:
    """Return where the marker may be: one for the store or bucket, else beside the object.

    A user may be allowed to write in one folder only.
    """
    root = root_of(location)
    return [
        S3Location(location.bucket, root + MARKER),
        S3Location(location.bucket, location.folder + MARKER),
    ]


def root_of(location: S3Location) -> str:
    """Return the prefix of the store that the settings name if `place` is in it, else none."""
    store = settings.current().store
    if not store.startswith("s3://"):
        return ""
    root = location_of(store, prefix=True)
    prefix = f"{root.key.rstrip('/')}/".lstrip("/")
    return prefix if root.bucket == location.bucket and location.key.startswith(prefix) else ""
