"""Reading one object of S3 to its end, within bounds.

Its size is checked before its body is read. After a broken connection the read continues where it
stopped. The client's own timeout bounds one wait: a server that sends a byte a second would never
reach it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import HTTPClientError, IncompleteReadError

from tac.backoff import Backoff
from tac.errors import StorageUnavailable, TacError
from tac.limits import check_input_bytes, too_slow
from tac.store.s3_client import not_s3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tac.store.s3_client import S3Connection, S3Location

_CHUNK_BYTES = 1024**2
_READS = 5
"""How often a body is requested, each time from where the last connection broke."""


def receive(
    s3: S3Connection,
    location: S3Location,
    file: IO[bytes],
    *,
    most_bytes: int | None = None,
    most_seconds: float | None = None,
) -> None:
    """Write an object into `file`.

    Raises:
        DataError: it is larger than `most_bytes`; nothing of it was read.
        StorageUnavailable: it did not arrive, or not in time.
    """
    seconds = float("inf") if most_seconds is None else most_seconds
    end = time.monotonic() + seconds
    reply = _get(s3, location, most_bytes)
    size, version = reply["ContentLength"], reply["ETag"]
    received, broken = 0, None
    backoff = Backoff(first_seconds=0.2)  # a server that is being restarted needs seconds
    for number in range(_READS):
        if number:
            time.sleep(backoff.next())  # between two of a counted number of tries
            reply = s3.client.get_object(
                **_target(location), Range=f"bytes={received}-", IfMatch=version
            )
        try:
            for chunk in _chunks(reply["Body"], end - time.monotonic()):
                received += file.write(chunk)
        except (HTTPClientError, IncompleteReadError) as error:
            broken = error
        if received == size:
            return
        # A body that was cut off looks like a connection that broke.
        if time.monotonic() >= end:
            raise too_slow(str(location), seconds) from broken
    raise StorageUnavailable(
        f"{location}: the connection broke {_READS} times, after {received} of {size} bytes",
        hint="try again",
    ) from broken


def _target(location: S3Location) -> dict[str, str]:
    return {"Bucket": location.bucket, "Key": location.key}


def _get(s3: S3Connection, location: S3Location, most_bytes: int | None) -> dict[str, Any]:
    """Return the answer to a GET whose size is allowed; its body is not yet read."""
    reply: dict[str, Any] = s3.client.get_object(**_target(location))
    try:
        if "ETag" not in reply or "ContentLength" not in reply:
            raise not_s3(location, s3.endpoint)
        check_input_bytes(str(location), reply["ContentLength"], most_bytes)
    except TacError:
        reply["Body"].close()  # the rest of it is not read
        raise
    return reply


def _chunks(body: Any, seconds: float) -> Iterator[bytes]:
    with contextlib.closing(body), _ended_after(body, seconds):
        while chunk := body.read(_CHUNK_BYTES):
            yield chunk


@contextlib.contextmanager
def _ended_after(body: Any, seconds: float) -> Iterator[None]:
    """End a read that still waits after so many seconds."""
    if seconds == float("inf"):
        yield
        return
    # botocore does not expose urllib3's shutdown().
    timer = threading.Timer(max(0.0, seconds), body._raw_stream.shutdown)  # noqa: SLF001
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
