"""`tac run` as a real process, with the tasks of tests.support.tasks and outputs in a directory."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
MODULE = "tests.support.tasks"
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """What came of a process."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Its output, without what differs from one run to the next."""
        return [re.sub(r"\b\d+\.\d s$", "T s", line) for line in self.err.splitlines()]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "tac", *map(str, words)]


def environment(at: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "TAC_STORE": str(at / "store"), "PYTHONPATH": str(REPOSITORY), **more}  # noqa: TID251 # a test's own child


def tac(at: Path, *words: object, seconds: float = DEADLINE_SECONDS, **more: str) -> Ended:
    """Run `tac WORDS…` in the directory `at` to its end."""
    ended = subprocess.run(
        command(*words),
        cwd=at,
        env=environment(at, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def tac_run(at: Path, task: str, *words: object, **more: str) -> Ended:
    """Run one of the tests' own tasks, with its outputs in the directory `at`."""
    words = ("run", "--module", MODULE, task, "--at", at, *words)
    return tac(at, *words, seconds=DEADLINE_SECONDS, **more)


@contextmanager
def started(at: Path, task: str, *words: object, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Start one of the tests' own tasks; it is killed in the end, if it still runs."""
    words = ("run", "--module", MODULE, task, "--at", at, *words)
    with started_program(at, *words, **more) as process:
        yield process


@contextmanager
def started_program(at: Path, *words: object, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Start `tac WORDS…`; it is killed in the end, if it still runs."""
    with started_process(at, command(*words), **more) as process:
        yield process


@contextmanager
def started_process(at: Path, argv: Sequence[str], **more: str) -> Iterator[subprocess.Popen[str]]:
    """Start any program; it is killed in the end, if it still runs."""
    process = subprocess.Popen(
        argv,
        cwd=at,
        env=environment(at, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    """Wait for the next line of its output."""
    assert process.stderr is not None
    return process.stderr.readline()


def end_of(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return Ended(process.returncode, out, err)


def wait_until(true: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that is only waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
