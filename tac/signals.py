"""SIGTERM and Ctrl-C where nobody else takes care of them: under the stock `luigi` command.

Its processes end at once, whatever they have begun elsewhere. Here what runs elsewhere is ended, or
left, first; then the process ends as it would have.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_BY_DEFAULT = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}


@contextlib.contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Set `stop` at a signal that would end the process, and let it do so after the block.

    Another one ends it at once. In a thread, and where somebody handles a signal already, nothing
    changes.
    """
    came: list[int] = []
    before: dict[int, object] = {}

    def take(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        _restore(before)
        stop.set()

    if threading.current_thread() is threading.main_thread():
        for number, handler in _BY_DEFAULT.items():
            if signal.getsignal(number) == handler:
                before[number] = signal.signal(number, take)
    try:
        yield
    finally:
        _restore(before)
        if came:
            signal.raise_signal(came[0])


def _restore(before: dict[int, object]) -> None:
    while before:
        number, handler = before.popitem()
        signal.signal(number, handler)  # type: ignore[arg-type]  # signal() itself gave it


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
