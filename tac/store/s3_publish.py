"""Publishing on S3: conditional writes, so that the first writer wins and nothing is overwritten.

A body goes up in one PutObject with `If-None-Match: *`, a very large one in parts with the header
on the completion. An endpoint that ignores the header would overwrite in silence, so each process
asks it once a bucket, with an object made for the question, before it publishes anything.

A writer that is killed leaves the parts of a very large body behind, invisible but stored: let a
lifecycle rule of the bucket abort incomplete uploads.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus
from shlex import quote
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

import tac
from tac import settings
from tac.errors import AccessDenied, StorageError, StorageUnavailable
from tac.store.s3_client import Connection, S3Location, code_of, location_of, shown, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
LARGEST_PUT_BYTES = 5 * 1024**3
_MOST_PARTS = 10_000
_PART_BYTES = 64 * 1024**2

MARKER = "_tac/first-writer-wins"
"""The object that endpoints are tried with; it stays, so the next process needs one request."""
_MARKER_BODY = b"tac asks with this object whether its S3 endpoint honours If-None-Match.\n"

VERSION_KEY = "tac-version"
_WRITER_KEY = "tac-writer"

_CONFLICTS = 6
"""Tries after 409, which S3 answers to one of two conditional writes of the same instant."""


@dataclass(frozen=True)
class Publisher:
    """Writes objects that are not there, and none that are."""

    here: Connection
    largest_put_bytes: int = LARGEST_PUT_BYTES

    def publish(self, place: S3Location, file: BinaryIO, size: int) -> bool:
        """Publish a body; False when another stands there, which is not changed."""
        in_parts = size > self.largest_put_bytes
        self._require_conditional_writes(place, in_parts=in_parts)
        writer = secrets.token_hex(8)
        if not in_parts:
            return self._write(place, writer, lambda: self._put(place, file, writer))
        if self._writer_of(place) is not None:  # spares the upload; the completion decides
            return False
        return self._write(place, writer, lambda: self._put_parts(place, file, size, writer))

    def _write(self, place: S3Location, writer: str, attempt: Callable[[], None]) -> bool:
        for number in range(_CONFLICTS):
            try:
                attempt()
            except ClientError as error:
                if (
                    status_of(error) == HTTPStatus.PRECONDITION_FAILED
                    or code_of(error) == "NoSuchUpload"
                ):
                    # It may be ours: when the reply is lost botocore sends the request again.
                    return self._who_stands(place, error) == writer
                if status_of(error) != HTTPStatus.CONFLICT:
                    raise
                # Who came at the same moment comes again at another one.
                time.sleep(random.uniform(0.5, 1) * 0.1 * 2**number)  # noqa: S311 - no secret
            else:
                return True
        raise StorageUnavailable(
            f"{place}: S3 answered {_CONFLICTS} times that other writes are under way (409)",
            hint="try again later",
        )

    def _who_stands(self, place: S3Location, error: ClientError) -> str:
        writer = self._writer_of(place)
        if writer is None:
            raise StorageError(
                f"{place}: S3 says that it exists ({status_of(error)}), and that it does not (404)",
                hint=f"on a server with folders it may be one: `aws s3 ls {quote(f'{place}/')}`",
            ) from error
        return writer

    def _writer_of(self, place: S3Location) -> str | None:
        try:
            head = self.here.client.head_object(Bucket=place.bucket, Key=place.key)
        except ClientError as error:
            if status_of(error) == HTTPStatus.NOT_FOUND:
                return None
            raise
        return str(head.get("Metadata", {}).get(_WRITER_KEY, ""))

    def _put(self, place: S3Location, file: BinaryIO, writer: str) -> None:
        file.seek(0)
        self.here.client.put_object(
            Bucket=place.bucket,
            Key=place.key,
            Body=file,
            IfNoneMatch="*",
            Metadata=_metadata(writer),
        )

    def _put_parts(self, place: S3Location, file: BinaryIO, size: int, writer: str) -> None:
        target = {"Bucket": place.bucket, "Key": place.key}
        upload = self.here.client.create_multipart_upload(**target, Metadata=_metadata(writer))
        target["UploadId"] = upload["UploadId"]
        try:
            file.seek(0)
            part_bytes = max(_PART_BYTES, -(-size // _MOST_PARTS))
            self._complete(target, self._upload_parts(target, file, part_bytes))
        except BaseException:
            with contextlib.suppress(ClientError, BotoCoreError):  # the first error tells more
                self.here.client.abort_multipart_upload(**target)
            raise

    def _upload_parts(
        self, target: dict[str, str], file: BinaryIO, part_bytes: int
    ) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        while body := file.read(part_bytes):
            number = len(parts) + 1
            reply = self.here.client.upload_part(**target, PartNumber=number, Body=body)
            parts.append({"ETag": reply["ETag"], "PartNumber": number})
        return parts

    def _complete(self, target: dict[str, str], parts: list[dict[str, Any]]) -> None:
        self.here.client.complete_multipart_upload(
            **target, IfNoneMatch="*", MultipartUpload={"Parts": parts}
        )

    def _require_conditional_writes(self, place: S3Location, *, in_parts: bool) -> None:
        markers = _markers(place)
        if any((marker, in_parts) in self.here.conditional for marker in markers):
            return
        for marker in markers:
            try:
                with self.here.explaining(place):
                    honest = self._is_honest(marker, in_parts=in_parts)
            except AccessDenied:
                if marker is markers[-1]:
                    raise
                continue
            if not honest:
                raise StorageError(
                    f"{place}: S3 at {shown(self.here.endpoint)} ignores If-None-Match: "
                    "it would overwrite what stands there",
                    hint="use a server with conditional writes: AWS, Ceph, MinIO, SeaweedFS 4",
                )
            self.here.conditional.add((marker, in_parts))
            return

    def _is_honest(self, marker: S3Location, *, in_parts: bool) -> bool:
        """Write the marker, twice if need be; the server must refuse to write it over itself."""
        refused = not self._put_marker(marker) or not self._put_marker(marker)
        return refused and (not in_parts or not self._put_marker_in_parts(marker))

    def _put_marker(self, marker: S3Location) -> bool:
        return self._marks(
            lambda: self.here.client.put_object(
                Bucket=marker.bucket, Key=marker.key, Body=_MARKER_BODY, IfNoneMatch="*"
            )
        )

    def _put_marker_in_parts(self, marker: S3Location) -> bool:
        target = {"Bucket": marker.bucket, "Key": marker.key}
        target["UploadId"] = self.here.client.create_multipart_upload(**target)["UploadId"]
        part = self.here.client.upload_part(**target, PartNumber=1, Body=_MARKER_BODY)
        parts = [{"ETag": part["ETag"], "PartNumber": 1}]
        try:
            return self._marks(lambda: self._complete(target, parts))
        finally:
            with contextlib.suppress(ClientError, BotoCoreError):  # completed: nothing to abort
                self.here.client.abort_multipart_upload(**target)

    @staticmethod
    def _marks(write: Callable[[], object]) -> bool:
        for number in range(_CONFLICTS):
            try:
                write()
            except ClientError as error:
                if status_of(error) == HTTPStatus.PRECONDITION_FAILED:
                    return False
                if status_of(error) != HTTPStatus.CONFLICT or number == _CONFLICTS - 1:
                    raise
                # Who came at the same moment comes again at another one.
                time.sleep(random.uniform(0.5, 1) * 0.1 * 2**number)  # noqa: S311 - no secret
            else:
                return True
        return False


def _metadata(writer: str) -> dict[str, str]:
    return {VERSION_KEY: tac.__version__, _WRITER_KEY: writer}


def _markers(place: S3Location) -> list[S3Location]:
    """Return where the marker may be: one for the store or bucket, else beside the object.

    The rights of a user may end at a folder.
    """
    root = root_of(place)
    return [
        S3Location(place.bucket, root + MARKER),
        S3Location(place.bucket, place.folder + MARKER),
    ]


def root_of(place: S3Location) -> str:
    """Return the prefix of the store that the settings name if `place` is in it, else none."""
    store = settings.current().store
    if not store.startswith("s3://"):
        return ""
    root = location_of(store, prefix=True)
    prefix = f"{root.key.rstrip('/')}/".lstrip("/")
    return prefix if root.bucket == place.bucket and place.key.startswith(prefix) else ""
