"""A pseudo terminal: a program writes to it, and a test reads what a person would see."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.runs import DEADLINE_SECONDS, environment

_PARTS = re.compile(r"\x1b\[(?P<numbers>[0-9;?]*)(?P<verb>[A-Za-z])|(?P<text>[^\x1b])", re.DOTALL)
COLUMNS = 120


class Screen:
    """The lines that stand on the terminal, and whether its cursor is seen.

    It knows what rich and click use, and fails of anything else.
    """

    def __init__(self) -> None:
        self.cursor_is_seen = True
        self._lines = [""]
        self._row = self._column = 0
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._lines if line.strip()]

    def list_watch(self, written: str) -> None:
        written = self._rest + written
        begun = written.rfind("\x1b")
        whole = begun < 0 or _PARTS.match(written, begun)
        self._rest = "" if whole else written[begun:]
        for part in _PARTS.finditer(written if whole else written[:begun]):
            if part["verb"]:
                self._obey(part["verb"], part["numbers"])
            else:
                self._write(part["text"])

    def _obey(self, verb: str, numbers: str) -> None:
        if (verb, numbers) in (("l", "?25"), ("h", "?25")):
            self.cursor_is_seen = verb == "h"
        elif verb == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif (verb, numbers) == ("K", "2"):
            self._lines[self._row] = ""
        elif verb != "m":  # colours
            raise AssertionError(f"the screen knows no ESC[{numbers}{verb}")

    def _write(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._row += 1
            if self._row == len(self._lines):
                self._lines.append("")
        else:
            line = self._lines[self._row].ljust(self._column)
            self._lines[self._row] = line[: self._column] + character + line[self._column + 1 :]
            self._column += 1


class Terminal:
    """The other side of a pseudo terminal: what was written to it, and the screen that it makes."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.screen = Screen()
        self.frames: list[list[str]] = []
        """The screen as it stood each time that something had been written."""
        self.written = ""
        self._master = master

    @property
    def text(self) -> str:
        """All that was ever `written`, without what moves the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.written)

    def read(self, seconds: float = 0.05) -> bool:
        """Read what is there, or comes within the time; False: nothing."""
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        with suppress(OSError):  # the other side is closed
            written = os.read(self._master, 65536).decode(errors="replace")
            self.written += written
            self.screen.list_watch(written)
            self.frames.append(self.screen.lines)
            return True
        return False

    def wait_until(self, true: Callable[[list[str]], object], what: str) -> list[str]:
        """Wait until the screen is as asked, and return it."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not true(self.screen.lines):
            assert time.monotonic() < deadline, f"{what}: not on the screen: {self.screen.lines}"
            self.read()
        return self.screen.lines

    def wait_for(self, words: str) -> list[str]:
        return self.wait_until(lambda lines: any(words in line for line in lines), repr(words))

    def type(self, words: str) -> None:
        os.write(self._master, words.encode())

    def end(self) -> int:
        """Wait for the end of the program and return its exit code."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it runs on: {self.screen.lines}"
            self.read()
        while self.read():
            pass
        return self.process.returncode


@contextmanager
def terminal(at: Path, argv: Sequence[str], **more: str) -> Iterator[Terminal]:
    """Start a program on a terminal of its own; it is killed in the end, if it still runs."""
    master, slave = pty.openpty()
    seen = {"TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": "40"}
    process = subprocess.Popen(
        argv,
        cwd=at,
        env=environment(at, **{**seen, **more}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
