"""The functions that print to a terminal: each makes its text plain first.

Nothing else in tac writes to standard output or standard error, but for what is data (`Output` of
tac.step) and what draws a bar or a table (tac.live): tests/unit/test_terminal_doors.py reads the
code for it. So an escape sequence in a step's output, a server's answer, a file's name or an
exception's text cannot reach a terminal because a caller forgot it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from tac.plain import plain, plain_line

if TYPE_CHECKING:
    from types import TracebackType

_LINE_LIMIT = 20_000
"""Characters of one printed line: the names of a thousand tasks, and no more than a screen."""


def is_terminal(stream: IO[Any] | None) -> bool:
    """Return whether a stream is a terminal; a standard stream that was closed is None."""
    return stream is not None and stream.isatty()


def say(text: str, *, err: bool = True, file: IO[Any] | None = None) -> None:
    """Print one line, on stderr, because stdout is for data."""
    _echo(plain_line(text, limit=_LINE_LIMIT), err=err and file is None, file=file)


def show(text: str) -> None:
    """Print what a user asked for, such as a help text or a table, on stdout."""
    _echo(plain(text, limit=None, lines=True))


def hand_over(address: str) -> None:
    """Print the address of a result on stdout: byte for byte for a program, plain on a terminal."""
    if is_terminal(sys.stdout):
        show(address)
    else:
        _echo(address.encode("utf-8", errors="surrogateescape"))


def _echo(content: str | bytes, *, err: bool = False, file: IO[Any] | None = None) -> None:
    """Print it; where stderr cannot be written, the work goes on without its messages."""
    try:
        click.echo(content, err=err, file=file)
    except OSError:
        if not err:
            raise
        # What it still holds would fail again when Python ends, and change the exit code.
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end


def show_error(message: str, hint: str | None, file: IO[Any] | None = None) -> None:
    """Print what went wrong, and on a line of its own what to do about it."""
    say(f"Error: {message}", file=file)
    if hint:
        say(f"Hint: {hint}", file=file)


def show_traceback(error: BaseException) -> None:
    """Print where an exception came from, as Python does."""
    show_exception(type(error), error, error.__traceback__)


def show_exception(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Print an exception as `sys.excepthook` does."""
    for line in "".join(traceback.format_exception(kind, error, trace)).splitlines():
        say(line)


class Handler(logging.Handler):
    """Prints log records on stderr, wherever that leads at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it, the lines of a traceback too."""
        try:
            for line in self.format(record).splitlines():
                say(line)
        except Exception:  # noqa: BLE001 - as every handler: an error in logging must not end the program
            self.handleError(record)


def guard() -> None:
    """Make plain what Python itself prints in this process: exceptions, warnings, log records.

    Hooks that were set before stay.
    """
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = show_exception
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _show_thread
    warnings.showwarning = _show_warning
    logging.lastResort = Handler(logging.WARNING)


def _show_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is SystemExit:
        return
    say(f"Exception in thread {ended.thread.name if ended.thread else '?'}:")
    show_exception(ended.exc_type, ended.exc_value, ended.exc_traceback)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: IO[str] | None = None,
    line: str | None = None,
) -> None:
    text = warnings.formatwarning(plain(str(message)), category, filename, lineno, line)
    for each in text.splitlines():
        say(each, file=file)
