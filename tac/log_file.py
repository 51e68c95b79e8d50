"""Log files, and following them: every line once, while they are written.

The file is read from where the attempt began, so no line of it is lost,
however fast it was written and whatever bytes it holds. It is opened once, as an ordinary file and
through no link (`tac.real_path`), so what a step puts in its place is not written to. It may have
more than one name: a backup may be made of hard links, and a container can make none.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, TypeVar

from tac.plain import plain_line
from tac.real_path import open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tac.progress import Location

_log = logging.getLogger(__name__)
T = TypeVar("T")

_READ_BYTES = 1 << 18
_LONGEST_LINE_BYTES = 1 << 16
"""Of a longer line only the beginning is passed on: a step may write gigabytes without a newline,
and memory is bounded. The file has it all."""

_LINE_END = re.compile(r"\r\n|\n|\r")  # and none of Unicode's others
_TAIL_BYTES = 1 << 14
"""How much of the end of a log a verdict is based on: some two hundred lines."""


class BoundedLine:
    """A line that is read in pieces: its beginning, and at its end how much was left out."""

    def __init__(self, most_bytes: int, whole_is: str) -> None:
        self._most_bytes, self._whole_is = most_bytes, whole_is
        self._kept = bytearray()
        self._left_out = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, piece: bytes) -> None:
        """Add a piece of it."""
        kept = piece[: self._most_bytes - len(self._kept)]
        self._kept += kept
        self._left_out += len(piece) - len(kept)

    def end(self) -> bytes:
        """Return it, and begin the next; a line that was cut ends in a note."""
        line = bytes(self._kept)
        if self._left_out:
            line += f"… (and {self._left_out} bytes more, {self._whole_is})".encode()
        self.clear()
        return line

    def clear(self) -> None:
        """Drop it."""
        self._kept.clear()
        self._left_out = 0


class Log:
    """One attempt's part of a log file, which is closed with it."""

    def __init__(self, path: Path, descriptor: int, begin: int) -> None:
        self.path = path
        self._file = descriptor
        self._begin = begin
        self._read = begin
        self._line = BoundedLine(_LONGEST_LINE_BYTES, "in the log file")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._file)

    def again(self) -> Log:
        """Return the same part of the file, to be read from its beginning."""
        return Log(self.path, os.dup(self._file), self._begin)

    def identity(self) -> tuple[int, int]:
        """Return the device and inode of the file."""
        found = os.fstat(self._file)
        return found.st_dev, found.st_ino

    def writer(self) -> BinaryIO:
        """Return another descriptor of the same file, to add to its end; the caller closes it."""
        return os.fdopen(os.dup(self._file), "ab", buffering=0)

    def follow(self, tell: Callable[[str], None]) -> bool:
        """Pass on the whole lines of one more piece of the log; False: there was none."""
        piece = os.pread(self._file, _READ_BYTES, self._read)
        self._read += len(piece)
        for line in self._lines(piece):
            tell(line)
        return bool(piece)

    def finish(self, tell: Callable[[str], None]) -> None:
        """Pass on the rest up to the file's size now, a last line without a newline too."""
        # Not to the end of the file: a process that left the process group may write for ever.
        size = os.fstat(self._file).st_size
        while self._read < size and self.follow(tell):
            pass
        if self._line:
            tell(_text(self._line.end()))

    def tail(self) -> list[str]:
        """Read the last lines of the attempt."""
        size = os.fstat(self._file).st_size
        begin = max(self._begin, size - _TAIL_BYTES)
        end = os.pread(self._file, _TAIL_BYTES, begin).removesuffix(b"\n")
        return _LINE_END.split(_text(end)) if end else []

    def _lines(self, piece: bytes) -> Iterator[str]:
        *whole, rest = piece.split(b"\n")
        for part in whole:
            self._line.add(part)
            yield _text(self._line.end())
        self._line.add(rest)


class LogWriter:
    """Copies a remote log to a command's log file, and passes its lines on to a listener."""

    def __init__(
        self,
        log: Log,
        tell: Callable[[str], None],
        located: Callable[[Location], None] | None = None,
    ) -> None:
        self._file = log.writer()
        self._log = log
        self._listener, self._located = tell, located
        self._ours: set[str] = set()
        self.raised: BaseException | None = None
        """What the listener has raised: it is not called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Add bytes; from any thread."""
        try:
            self._file.write(data)
        except OSError as error:  # a full disk here does not fail the work
            _log.warning("%s: not written: %s", self._log.path, error.strerror)

    def say(self, line: str) -> None:
        """Add a line of tac's own that looks like one of the followed log."""
        line = plain_line(line)
        self._ours.add(line)
        self.write(f"{line}\n".encode())

    def note(self, text: str) -> None:
        """Add a line of tac's own, marked with `#`."""
        self.say(f"# {text}")

    def locate(self, location: Location) -> None:
        """Report where it runs; the line that is added is for people, and never parsed."""
        self.note(location.text)
        if self._located is not None:
            self._pass_on(self._located, location)

    def follow(self) -> None:
        """Pass on the lines that were added."""
        while self._log.follow(self._tell):
            pass

    def finish(self) -> None:
        """Pass on the rest, a last line without a newline too."""
        self._log.finish(self._tell)

    def _tell(self, line: str) -> None:
        self._pass_on(self._listener, line)

    def _pass_on(self, listener: Callable[[T], None], heard: T) -> None:
        try:
            listener(heard)
        except BaseException as error:
            self.raised = error
            raise

    def tail(self) -> list[str]:
        """Read the last lines, without tac's own at the end."""
        return [line for line in self._log.tail() if line not in self._ours]


def open_to_append(path: Path) -> int:
    """Open a log file to append to and to read; it is created with its directories.

    Raises:
        ConfigError: a part of its path is a link, or it is not an ordinary file.
        OSError: it cannot be created.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - it removes `..`
    return open_file(absolute, os.O_RDWR | os.O_APPEND | os.O_CREAT)


def begin_log(path: Path, headline: str) -> Log:
    """Open a log for a command that is about to start, behind the logs of earlier attempts.

    Raises:
        ConfigError: a part of its path is a link, or it is not an ordinary file.
        OSError: it cannot be created.
    """
    descriptor = open_to_append(path)
    try:
        size = os.fstat(descriptor).st_size
        between = b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
        with os.fdopen(os.dup(descriptor), "ab") as file:
            file.write(between + f"{headline}\n".encode(errors="surrogateescape"))
            file.flush()
            return Log(path, descriptor, file.tell())
    except BaseException:
        os.close(descriptor)
        raise


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").removesuffix("\r")
