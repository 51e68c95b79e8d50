"""The live view under a real terminal: what a person sees while a run goes on, and what remains."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.runs import DEADLINE_SECONDS, MODULE, command, environment, tac_run, wait_until

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """The other side of a pseudo terminal: what was written to it, as text."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._written = ""

    def text(self, seconds: float = 0.0) -> str:
        if select.select([self._master], [], [], seconds)[0]:
            with suppress(OSError):  # the other side is closed
                self._written += os.read(self._master, 65536).decode(errors="replace")
        return _CONTROL.sub("", self._written)

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
            before = self._written
            self.text(0.1)
            if self._written == before:
                return int(self.process.returncode)


@contextmanager
def terminal(at: Path, *words: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command("run", "--module", MODULE, *words, "--at", at),
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


def test_what_runs_what_waits_and_how_far_it_is_are_shown_while_it_runs(tmp_path):
    with terminal(tmp_path, "NeedsTells") as screen:
        screen.wait_for("half way")
        screen.wait_for("0 of 2 done, ")
        seen = screen.text()
        (tmp_path / "TellsAndWaits.go").touch()
        code = screen.end()
        whole = screen.text()

    assert code == 0
    assert f"TellsAndWaits(at={tmp_path})" in seen
    assert "time left unknown yet" in seen
    assert "waiting: 1 NeedsTells" in seen
    assert re.search(r"2 ran, 0 were there already, \d+\.\d s\n", whole)
    assert whole.rstrip().endswith(f"{tmp_path}/NeedsTells.txt")


def test_force_asks_before_it_deletes(tmp_path):
    tac_run(tmp_path, "InThread")
    output = tmp_path / "InThread-0.txt"
    before = output.read_text()

    with terminal(tmp_path, "InThread", "--force") as screen:
        screen.wait_for("Delete the outputs of ")
        screen.type("n\n")
        refused = screen.end()
    kept = output.read_text()
    with terminal(tmp_path, "InThread", "--force") as screen:
        screen.wait_for("Delete the outputs of ")
        screen.type("y\n")
        agreed = screen.end()

    assert (refused, kept) == (0, before)
    assert (agreed, output.read_text() != before) == (0, True)


def test_ctrl_c_on_the_keyboard_stops_everything(tmp_path):
    with terminal(tmp_path, "AllWait", "--workers", "3") as screen:
        wait_until((tmp_path / "WaitsInProcess-1.began").exists, "tasks run")
        wait_until((tmp_path / "Waits.began").exists, "tasks run")
        os.killpg(screen.process.pid, 2)
        code = screen.end()

    assert code == 130
    assert (tmp_path / "Waits.stopped").exists()
