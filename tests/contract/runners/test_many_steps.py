"""Many steps, much output: nothing is lost, repeated, mixed up or leaked."""

import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tac.request import RunRequest
from tac.verdict import Reason
from tests.support.processes import A_STEP, children, place, until


def descriptors(pid):
    return sorted(path.name for path in Path(f"/proc/{pid}/fd").iterdir())


def test_a_hundred_steps_at_once_keep_their_output_and_exit_codes(at):
    def run(number):
        followed: list[str] = []
        argv = (*A_STEP, "exit", str(number % 60), f"I am {number}")
        command = RunRequest(f"step-{number}", argv, at.variables, at.path / f"{number}.log")
        verdict = at.runner.run(command, follow=followed.append, stop=at.stop)
        return verdict.exit_code, followed

    with ThreadPoolExecutor(100) as pool:
        ended = list(pool.map(run, range(100)))

    assert ended == [(number % 60, [f"I am {number}"]) for number in range(100)]


def test_two_hundred_steps_leave_nothing_in_the_server_or_here(at):
    assert at.run("true").reason is Reason.DONE
    assert at.run(*A_STEP, "exit", "0").reason is Reason.DONE
    servers = [server.pid for server in at.runner._servers.values()]
    before = [descriptors(pid) for pid in (os.getpid(), *servers)]
    threads = threading.active_count()

    seconds = []
    for _ in range(200):
        began = time.perf_counter()
        assert at.run("python", "-m", "tests.support").reason is Reason.CANNOT_START
        seconds.append(time.perf_counter() - began)

    assert [descriptors(pid) for pid in (os.getpid(), *servers)] == before
    assert [children(pid) for pid in servers] == [{} for _ in servers]
    assert threading.active_count() == threads
    print(f"from the start to the verdict of a step: {statistics.median(seconds) * 1e3:.1f} ms")


def test_lines_are_followed_while_the_step_runs(at):
    followed: list[str] = []
    gate = at.path / "gate"
    script = f"printf 'half '; echo line; until test -e {gate}; do sleep 0.05; done; printf last"

    def follow(line):
        followed.append(line)
        gate.touch()

    assert at.run("sh", "-c", script, follow=follow).reason is Reason.DONE
    assert followed == ["half line", "last"]


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("w(b'x' * 60_000 + b'\\n'); w(b'y' * 60_000)", ["x" * 60_000, "y" * 60_000]),
        ("w(bytes(range(256)))", None),
        ("[w(b'%d\\n' % n) for n in range(50_000)]", [str(n) for n in range(50_000)]),
        ("[(w(b'a'), w(b'b\\n')) for n in range(1000)]", ["ab"] * 1000),
        ("w(b'\\n\\n'); sys.stderr.write('to stderr\\n'); w(b'end')", ["", "", "to stderr", "end"]),
    ],
)
def test_every_line_is_followed_once(at, code, lines):
    followed: list[str] = []

    at.run(
        "python",
        "-c",
        f"import os, sys; w = lambda b: os.write(1, b); {code}",
        follow=followed.append,
    )

    if lines is None:
        lines = bytes(range(256)).decode(errors="replace").split("\n")
    assert followed == lines


def test_a_second_attempt_follows_its_own_lines_only(at):
    for attempt, words in [(1, "one"), (2, "two")]:
        followed: list[str] = []
        argv = ("sh", "-c", f"printf {words}; exit 75")
        command = RunRequest("x", argv, at.variables, at.log, attempt)
        verdict = at.runner.run(command, follow=followed.append, stop=at.stop)

        assert (followed, verdict.detail.rpartition(": ")[2]) == ([words], words)

    assert at.log.read_text() == (
        "$ sh -c 'printf one; exit 75'\none\n$ sh -c 'printf two; exit 75'  # attempt 2\ntwo"
    )


def test_steps_begin_before_everything_is_preloaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gate = tmp_path / "gate"
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n"
    )
    (tmp_path / "first.py").write_text("import time; time.sleep(0.5)")
    with place(tmp_path, "warm") as at:
        at.runner._preload = ("first", "slow")
        at.runner.start()
        verdict = at.a_step("exit", "65")
        server = at.runner._servers[True]

        assert (verdict.exit_code, server.ready) == (65, None)
        gate.touch()
        until(lambda: server.ready, "the rest of the preload")
