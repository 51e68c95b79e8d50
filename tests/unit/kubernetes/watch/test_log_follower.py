"""Lines that are read again after a cut: each is told once, whatever the kubelet sends again."""

import threading
from contextlib import ExitStack
from typing import Any

import pytest

from tac.kubernetes.watch import log_follower
from tac.kubernetes.watch.log_follower import LONGEST_LINE_BYTES, Lines, LogFollower, discard

S1, S2, S3 = (f"2023-03-01T00:00:0{second}" for second in (1, 2, 3))


def line(second, fraction, text):
    return f"{second}.{fraction:09d}Z {text}\n".encode()


class Log:
    """A log as the kubelet gives it: from a time on, in the order in which it was written."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)

    def since(self, time: str) -> bytes:
        return b"".join(each for each in self.lines if each[:19].decode() >= time[:19])


@pytest.fixture
def told():
    return []


@pytest.fixture
def lines(told):
    return Lines(lambda piece: told.extend(piece.splitlines()))


def test_lines_are_passed_on_without_their_timestamps(lines, told):
    lines.add(line(S1, 5, "a") + line(S1, 7, "b  c") + line(S2, 0, ""))

    assert told == [b"a", b"b  c", b""]


def test_a_line_that_comes_in_pieces_is_followed_when_it_is_whole(lines, told):
    for byte in line(S1, 5, "a b"):
        assert told == []
        lines.add(bytes([byte]))

    assert told == [b"a b"]


def test_a_last_line_without_a_newline_is_followed_at_the_end(lines, told):
    lines.add(line(S1, 5, "a") + line(S1, 6, "b").removesuffix(b"\n"))
    lines.end()
    lines.end()

    assert told == [b"a", b"b"]


def test_reading_goes_on_from_the_last_whole_second(lines):
    assert lines.since == ""
    lines.add(line(S1, 5, "a") + line(S2, 999999999, "b"))

    assert lines.since == "2023-03-01T00:00:02Z"


def test_reading_goes_on_in_the_zone_of_the_node(lines):
    lines.add(b"2023-03-01T00:00:02.000000001+02:00 a\n")

    assert lines.since == "2023-03-01T00:00:02+02:00"


def cut_everywhere(log):
    """The log cut after each byte, as often as there are bytes."""
    whole = log.since("")
    return [whole[:length] for length in range(len(whole) + 1)]


LOGS = {
    "plain": Log(line(S1, 1, "a"), line(S1, 2, "b"), line(S2, 1, "c"), line(S3, 1, "d")),
    "equal times": Log(*(line(S1, 1, text) for text in "abc"), *(line(S2, 1, t) for t in "de")),
    "equal lines": Log(*(line(S1, 1, "a") for _ in range(4)), line(S1, 2, "a"), line(S2, 1, "a")),
    "two streams out of order": Log(
        line(S1, 5, "a"), line(S1, 3, "b"), line(S1, 9, "c"), line(S1, 4, "d"), line(S2, 1, "e")
    ),
    "out of order over a second": Log(
        line(S1, 5, "a"), line(S2, 1, "b"), line(S1, 9, "c"), line(S2, 2, "d")
    ),
}


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS.keys())
def test_no_line_is_lost_or_repeated_wherever_a_connection_breaks(log):
    whole = [each.partition(b" ")[2].rstrip(b"\n") for each in log.lines]
    for first in cut_everywhere(log):
        pieces: list[bytes] = []
        lines = Lines(pieces.append)
        lines.add(first)
        again = log.since(lines.since)
        for length in (0, len(again) // 2):  # cut again, and again
            lines.begin()
            lines.add(again[:length])
        lines.begin()
        lines.add(log.since(lines.since))
        lines.end()
        told = b"".join(pieces).splitlines()

        assert told == whole or _is_out_of_reach(log, lines, told, whole)


def _is_out_of_reach(log, lines, told, whole):
    # Cut between two lines that are out of order over the turn of a second: the API takes whole
    # seconds only, and does not send the earlier one again.
    return log is LOGS["out of order over a second"] and told == [b"a", b"b", b"d"]


def test_lines_that_the_kubelet_has_rotated_away_are_not_repeated_and_hide_nothing(lines, told):
    lines.add(line(S1, 1, "a") + line(S1, 2, "b") + line(S1, 3, "c"))
    lines.begin()
    # The file with the first two was rotated away; the new one begins with c.
    lines.add(line(S1, 3, "c") + line(S1, 4, "d") + line(S1, 5, "e"))

    assert told == [b"a", b"b", b"c", b"d", b"e"]


def test_an_error_message_of_the_kubelet_is_passed_on(lines, told):
    lines.add(b"unable to retrieve container logs for containerd://0\n")

    assert told == [b"unable to retrieve container logs for containerd://0"]


def test_a_long_line_takes_time_in_proportion(lines, told):
    piece = b"x" * (1 << 16)
    lines.add(b"2023-03-01T00:00:01.000000000Z ")
    for _ in range(1024):
        lines.add(piece)
    lines.add(b"\n")

    assert [each.lstrip(b"x").decode() for each in told] == [
        "… (and 66060319 bytes more, in the log of its pod)"
    ]


def test_a_line_that_was_cut_is_followed_once(lines, told):
    long = line(S1, 5, "x" * LONGEST_LINE_BYTES)
    lines.add(long + line(S1, 6, "a"))
    lines.begin()
    lines.add(long + line(S1, 6, "a") + line(S1, 7, "b"))

    assert [each[:1] for each in told] == [b"x", b"a", b"b"]


def test_a_cut_in_a_line_that_is_too_long_leaves_nothing_of_it_behind(lines, told):
    lines.add(line(S1, 5, "x" * LONGEST_LINE_BYTES)[:-1])
    lines.begin()
    lines.add(line(S1, 5, "short"))

    assert told == [b"short"]


class Ended(ExitStack):
    """A client of a kubelet whose container has ended, and its answer: all of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.once, self.again = threading.Event(), threading.Event()

    def follow_log(self, pod, container, *, since_time, timestamps):
        (self.again if self.once.is_set() else self.once).set()
        return self

    def __iter__(self):
        return iter([line(S1, 1, "a")])


def test_a_log_that_ends_by_itself_is_not_asked_for_again_at_once(told, monkeypatch):
    monkeypatch.setattr(log_follower, "_QUIET_START_SECONDS", 0.0)
    client: Any = Ended()

    tell = told.append

    follower = LogFollower(client, "p", "c", tell, threading.Semaphore())
    try:
        assert client.once.wait(10)
        # Its pod says within a second that it has ended; a cut is tried again after 0.1 s.
        assert not client.again.wait(0.5)
    finally:
        discard(follower)

    assert told == [b"a\n"]
