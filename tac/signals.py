"""SIGTERM and Ctrl-C where nobody else takes care of them: under the stock `luigi` command.

Its processes end at once, whatever they have begun elsewhere. Here what runs elsewhere is ended, or
left, first; then the process ends as it would have.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

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
