"""SIGTERM and Ctrl-C as what ends a run in order, with its tasks stopped and named."""

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM came. A KeyboardInterrupt, because Luigi lets only that through."""


@contextlib.contextmanager
def orderly() -> Iterator[None]:
    """Raise Terminated for SIGTERM, KeyboardInterrupt for Ctrl-C; a second one ends us at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - as signal calls it
        for known in before:
            signal.signal(known, signal.SIG_DFL)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupted_again(seconds: float) -> bool:
    """Wait so long for another Ctrl-C; SIGTERM ends us at once."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        time.sleep(seconds)  # what is waited for ends it as an exception
    except KeyboardInterrupt:
        return True
    finally:
        signal.signal(signal.SIGINT, before)
    return False
