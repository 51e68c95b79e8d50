"""What the first SIGTERM or Ctrl-C does while tasks run, so that they are stopped first.

Under `tac run` it is an exception; under the stock `luigi` command it sets the task's stop event.
The second one ends the process at once in both, but for the seconds after Ctrl-C in which
`tac run` waits for another: that one stops the Jobs (`interrupted_again`).
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

_PYTHONS_OWN: Mapping[int, Any] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
_AT_ONCE: Mapping[int, Any] = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.SIG_DFL}


class Terminated(KeyboardInterrupt):
    """SIGTERM came. A KeyboardInterrupt, because Luigi lets only that through."""


@contextlib.contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Set `stop` at the first signal, and let it end the process after the block.

    In a thread, and for a signal that has a handler already, nothing changes.
    """
    came: list[int] = []

    def set_stop(number: int) -> None:
        came.append(number)
        stop.set()

    main = threading.current_thread() is threading.main_thread()
    unhandled = {
        number: handler
        for number, handler in _PYTHONS_OWN.items()
        if main and signal.getsignal(number) == handler
    }
    try:
        with _handled_once(set_stop, unhandled):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextlib.contextmanager
def raised_signals() -> Iterator[None]:
    """Raise Terminated at SIGTERM and KeyboardInterrupt at Ctrl-C, whichever comes first."""
    with _handled_once(_raise, _AT_ONCE):
        yield


def interrupted_again(seconds: float) -> bool:
    """Wait so long for another Ctrl-C; SIGTERM ends the process at once."""
    try:
        with _handled_once(_raise, {signal.SIGINT: signal.SIG_DFL}):
            time.sleep(seconds)  # what is waited for ends it as an exception
    except KeyboardInterrupt:
        return True
    return False


def _raise(number: int) -> NoReturn:
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def _handled_once(handle: Callable[[int], None], afterwards: Mapping[int, Any]) -> Iterator[None]:
    """Handle the first signal of those in `afterwards`, which are the handlers of the second."""

    def first(number: int, _frame: FrameType | None) -> None:
        for known, handler in afterwards.items():
            signal.signal(known, handler)
        handle(number)

    before = {number: signal.signal(number, first) for number in afterwards}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
