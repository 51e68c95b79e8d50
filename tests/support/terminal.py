"""A pseudo terminal with `tac run` on it."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.runs import DEADLINE_SECONDS, command, environment, wait_until

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """The other side of a pseudo terminal: what was written to it, as text."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self.written = ""

    def text(self, seconds: float = 0.0) -> str:
        if select.select([self._master], [], [], seconds)[0]:
            with suppress(OSError):  # the other side is closed
                self.written += os.read(self._master, 65536).decode(errors="replace")
        return _CONTROL.sub("", self.written)

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.text(0.05), repr(words))

    def type(self, words: str) -> None:
        os.write(self._master, words.encode())

    def end(self) -> int:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            self.text(0.05)
        while True:
            before = self.written
            self.text(0.1)
            if self.written == before:
                return int(self.process.returncode)


@contextmanager
def terminal(at: Path, module: str, *words: str) -> Iterator[Terminal]:
    """Run a task of a module on a terminal of 120 columns; it is killed in the end."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command("run", "--module", module, *words),
        cwd=at,
        env=environment(at, TERM="xterm", COLUMNS="120", LINES="40"),
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
