"""What a step says is heard while it says it: every line once, whatever happens to connections."""

import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tac.verdict import Reason
from tests.support.api_proxy import Answer, Asked
from tests.support.kubernetes_place import ADDED, WAITS, at, proxy, said, step_image
from tests.support.processes import until

__all__ = ["at", "proxy", "step_image"]

TIMES = 30


@contextmanager
def cutting(proxy, told, pause):
    """Cut every connection again and again, from when it is listened to a pod.

    Not for ever: where a request takes longer than the pause, nothing would get through.
    """
    over = threading.Event()

    def cut() -> None:
        while not any(line.startswith("# pod/") for line in told):
            if over.wait(0.01):
                return
        for _ in range(TIMES):
            if over.wait(pause):
                return
            proxy.cut_connections()

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        yield
    finally:
        over.set()
        cutter.join()


def test_the_output_of_a_step_is_followed_while_it_runs_on_either_stream(at):
    told: list[str] = []
    first = {"[ 40 %] reading", "begun"}  # two streams have no order between them
    with at.running(f"echo '[ 40 %] reading' >&2; {WAITS} echo end", follow=told.append):
        until(lambda: first <= set(told), "the first words")
        at.go()

    heard = said(told)
    assert (set(heard[:2]), heard[2:]) == (first, ["end"])
    assert at.words.splitlines() == heard


PRINTS = (
    "import time; [(print('line', n, flush=True), time.sleep({pause})) for n in range({count})]"
)


def numbered(count):
    return [f"line {number}" for number in range(count)]


def test_a_connection_that_is_cut_again_and_again_loses_and_repeats_nothing(at, proxy):
    told: list[str] = []
    script = PRINTS.format(count=2000, pause=0.004)

    with cutting(proxy, told, 0.3):
        verdict = at.run("python", "-c", script, follow=told.append)

    assert verdict.reason is Reason.DONE
    assert said(told) == numbered(2000)
    assert at.words.splitlines() == numbered(2000)
    assert sum(asked.is_log for asked in proxy.asked) > 3


def test_two_streams_at_once_lose_nothing(at, proxy):
    told: list[str] = []
    script = (
        "import sys, threading\n"
        "def say(stream, name):\n"
        "    for n in range(3000): print(name, n, file=stream, flush=True)\n"
        "threads = [threading.Thread(target=say, args=each)\n"
        "           for each in ((sys.stdout, 'out'), (sys.stderr, 'err'))]\n"
        "[each.start() for each in threads]; [each.join() for each in threads]\n"
        "import time; time.sleep(1)\n"  # the pod stays for a moment after its last line
    )

    with cutting(proxy, told, 0.1):
        verdict = at.run("python", "-c", script, follow=told.append)

    assert verdict.reason is Reason.DONE
    for name in ("out", "err"):
        heard = [line for line in told if line.startswith(name)]
        assert heard == [f"{name} {number}" for number in range(3000)]


def test_many_lines_at_once_at_the_end_are_all_passed_on(at):
    told: list[str] = []

    at.run("python", "-c", PRINTS.format(count=20000, pause=0), follow=told.append)

    assert said(told) == numbered(20000)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("printf 'a\\nb'", b"a\nb\n"),
        ("printf '\\377\\376\\n\\303\\244'", b"\xff\xfe\n\xc3\xa4\n"),
        # containerd ends lines at \r\n too, and leaves both out.
        ("printf 'a\\rb\\r\\nc\\n'", b"a\rb\nc\n"),
        ("printf '\\n\\n a \\n'", b"\n\n a \n"),
        ("head -c 1000000 /dev/zero | tr '\\0' x", b"x" * 1_000_000 + b"\n"),
    ],
    ids=["no end", "no text", "returns", "blanks", "long"],
)
@pytest.mark.parametrize("pause", ["", "sleep 1; "], ids=["quick", "slow"])
def test_bytes_come_as_they_are(at, script, expected, pause):
    verdict = at.sh(f"{pause}{script}{'; sleep 1' if pause else ''}")

    assert verdict.reason is Reason.DONE
    lines = at.log.read_bytes().split(b"\n", 1)[1].splitlines(keepends=True)
    added = tuple(begin.encode() for begin in ADDED)
    assert b"".join(each for each in lines if not each.startswith(added)) == expected


def test_a_log_whose_end_cannot_be_read_at_first_is_read_again(at, proxy):
    refused: list[Asked] = []

    def fault(asked):
        if asked.is_log and "follow" not in asked.path and len(refused) < 3:
            refused.append(asked)
            proxy.cut_connections()

    proxy.fault = fault

    verdict = at.sh("echo so")

    assert verdict.reason is Reason.DONE
    assert at.words == "so\n"
    assert len(refused) == 3


def test_a_log_that_cannot_be_read_does_not_hide_how_the_step_ended(at, proxy):
    proxy.fault = lambda asked: Answer(502, b"no") if asked.is_log else None
    at.timeouts = replace(at.timeouts, log_end_timeout_seconds=1.0)
    began = time.monotonic()

    verdict = at.sh("echo so; exit 65")

    assert verdict.reason is Reason.BAD_DATA
    assert "the end of its log could not be read: pod/x-1-POD in namespace NS: " in at.notes[-2]
    assert time.monotonic() - began < 90  # with its pod's start; an API server has 300
