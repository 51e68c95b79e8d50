"""Reading one object of S3 to its end, within bounds.

Its size is looked at before its body. A connection that breaks is gone on with from there. The
client's own time-out bounds one wait: a server that sends a byte a second would never reach it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import HTTPClientError, IncompleteReadError

from tac.errors import StorageUnavailable, TacError
from tac.limits import check_input_bytes, too_slow
from tac.store.s3_client import not_s3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tac.store.s3_client import Connection, S3Location

_CHUNK_BYTES = 1024**2
_READS = 5
"""Times a body is asked for, each time from where the last connection broke."""


def receive(
    here: Connection,
    place: S3Location,
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
    reply = _ask(here, place, most_bytes)
    size, version = reply["ContentLength"], reply["ETag"]
    received, broken = 0, None
    for number in range(_READS):
        if number:
            time.sleep(0.1 * 2**number)  # a server that is being restarted needs seconds
            reply = here.client.get_object(
                **_target(place), Range=f"bytes={received}-", IfMatch=version
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
            raise too_slow(str(place), seconds) from broken
    raise StorageUnavailable(
        f"{place}: the connection broke {_READS} times, after {received} of {size} bytes",
        hint="try again",
    ) from broken


def _target(place: S3Location) -> dict[str, str]:
    return {"Bucket": place.bucket, "Key": place.key}


def _ask(here: Connection, place: S3Location, most_bytes: int | None) -> dict[str, Any]:
    """Return the beginning of an answer, whose size was looked at."""
    reply: dict[str, Any] = here.client.get_object(**_target(place))
    try:
        if "ETag" not in reply or "ContentLength" not in reply:
            raise not_s3(place, here.endpoint)
        check_input_bytes(str(place), reply["ContentLength"], most_bytes)
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
    """End a read that waits, when its time is over."""
    if seconds == float("inf"):
        yield
        return
    # botocore has no door to what urllib3 can do.
    timer = threading.Timer(max(0.0, seconds), body._raw_stream.shutdown)  # noqa: SLF001
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
