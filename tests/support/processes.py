"""Real processes for tests: steps that end in every way, and waiting with a deadline.

Everything started here carries a mark in its environment, so a test can see what is left of it.
"""

import contextlib
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tac.request import RunRequest
from tac.runners.local import LocalRunner
from tac.verdict import Verdict

REPOSITORY = Path(__file__).parents[2]
A_STEP = ("python", "-m", "tests.support.a_step")
T = TypeVar("T")
MARK = "TAC_TEST_MARK"
GRACE_SECONDS = 0.5
DEADLINE_SECONDS = 90.0  # a driver and then a pod may have to start
PRELOAD = ("json",)


def until(condition: Callable[[], T], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """Wait for a true value and return it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)
    return value


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open nothing more inside the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path(f"/proc/{os.getpid()}/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    held: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def environment(mark: str, **more: str) -> dict[str, str]:
    """What steps and drivers of tests are started with."""
    return {
        **os.environ,  # noqa: TID251 # a test's own children
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        MARK: mark,
        **more,
    }


def marked(mark: str) -> list[int]:
    """The living processes that were started with this mark, or forked from one that was."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def children(pid: int) -> dict[int, str]:
    """The children of a process and their states; Z is a zombie."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid:
            found[int(path.parent.name)] = state
    return found


def parent(pid: int) -> int:
    """The parent of a process that lives."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def ended(pid: int) -> bool:
    """Whether a process has ended; a zombie has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def pids_in(path: Path) -> list[int]:
    """The process ids that a step wrote down, once they are all there."""
    text = path.read_text() if path.exists() else ""
    return [int(word) for word in text.split()] if text.endswith("\n") else []


def ignore(_line: str) -> None:
    """Follow a log without interest."""


class Place:
    """A directory and a runner in it."""

    def __init__(self, path: Path, runner: LocalRunner, variables: Mapping[str, str]) -> None:
        self.path = path
        self.runner = runner
        self.variables = variables
        self.log = path / "x.log"
        self.stop = threading.Event()

    def command(self, *argv: object, **more: str) -> RunRequest:
        return RunRequest("x", tuple(map(str, argv)), {**self.variables, **more}, self.log)

    def run(self, *argv: object, follow: Callable[[str], None] = ignore, **more: str) -> Verdict:
        return self.runner.run(self.command(*argv, **more), follow=follow, stop=self.stop)

    def a_step(self, *words: object, **more: str) -> Verdict:
        return self.run(*A_STEP, *words, follow=ignore, **more)

    @property
    def words(self) -> str:
        """What the last command said."""
        return self.log.read_text(errors="replace").partition("\n")[2]

    @contextmanager
    def running(self, *argv: object) -> Iterator[list[Verdict]]:
        """Run a command in a thread; the list holds its verdict after the block."""
        verdicts: list[Verdict] = []
        thread = threading.Thread(target=lambda: verdicts.append(self.run(*argv)), daemon=True)
        thread.start()
        yield verdicts
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive(), "the command still runs"


@contextmanager
def place(path: Path, mode: str) -> Iterator[Place]:
    """A runner, `warm` or `cold`, of which nothing may be left."""
    variables = environment(str(path))
    preload = PRELOAD if mode == "warm" else ()
    runner = LocalRunner(preload=preload, environment=variables, stop_grace_seconds=GRACE_SECONDS)
    try:
        yield Place(path, runner, variables)
    finally:
        runner.close()
        until(lambda: not marked(str(path)), f"the end of everything started for {path}")
