"""Python's warnings during a run: each is shown once for a family of tasks.

Luigi warns once a task: of a thousand without an output a thousand times.
"""

import contextlib
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import luigi

from tac.plain import plain

_NOT_THE_TASKS = (str(Path(luigi.__file__).parent), str(Path(__file__).parents[1]))
"""Where Luigi and tac are: their line numbers do not help to fix a task."""

_PARTICULARS = (
    re.compile(r"\(.*\)"),  # the parameters of a task
    re.compile(r'(?<=with value )".*?"'),  # how Luigi names the value of a parameter
    re.compile(r"\d+"),
)


def gist(text: str) -> str:
    """Return the part of a warning that is the same for every task of a family."""
    for particular in _PARTICULARS:
        text = particular.sub("…", text)
    return text


@contextlib.contextmanager
def warnings_once(say: Callable[[str], object]) -> Iterator[None]:
    """Pass each warning to `say` once a family inside the block, from any thread or process."""
    said: set[str] = set()
    lock = threading.Lock()

    def show(message: Warning | str, _: object, filename: str, lineno: int, *__: object) -> None:
        where = "" if filename.startswith(_NOT_THE_TASKS) else f"{filename}:{lineno}: "
        key = f"{where}{gist(str(message))}"
        with lock:
            if key in said:
                return
            said.add(key)
        say(f"Warning: {where}{plain(str(message))}")

    before = warnings.showwarning
    warnings.showwarning = show  # type: ignore[assignment]  # its arguments are never named
    try:
        yield
    finally:
        warnings.showwarning = before
