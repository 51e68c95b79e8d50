import datetime as dt

import pytest

from tac.request import RunRequest
from tac.runners.docker.log import LogCopy, SeenMessages
from tac.runners.launch import open_log


@pytest.fixture
def copied(tmp_path):
    command = RunRequest("x", ("true",), {}, tmp_path / "x.log")
    told: list[str] = []
    with open_log(command) as log, LogCopy(log, told.append) as copy:
        yield copy, told, lambda: command.log.read_text().partition("\n")[2]


BEGIN = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def stamp(number: int) -> bytes:
    """When a message was said, as the engine writes it: each is 1,000 nanoseconds after another."""
    moment = BEGIN + dt.timedelta(microseconds=number)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}123Z".encode()


def said(*texts: str, first: int = 0) -> list[bytes]:
    """Messages of a container, one after the other."""
    return [stamp(first + number) + b" " + text.encode() for number, text in enumerate(texts)]


def test_a_connection_that_was_cut_is_read_again_and_only_what_is_new_is_written(copied):
    copy, told, written = copied
    whole = said("one\n", "two\n", "two\n", "thr", "ee\n", "four\n")

    for end in (1, 3, 4, 4, 6):
        for message in whole[:end]:
            copy.add(message)
        copy.rewind()

    assert written() == "one\ntwo\ntwo\nthree\nfour\n"
    assert told == ["one", "two", "two", "three", "four"]


def test_a_line_that_comes_in_pieces_of_one_stamp_and_one_text_is_whole(copied):
    copy, _, written = copied
    pieces = [stamp(0) + b" " + b"x" * 10] * 3000

    for message in pieces[:2500]:
        copy.add(message)
    copy.rewind()
    for message in [*pieces, stamp(1) + b" \n"]:
        copy.add(message)

    assert written() == "x" * 30_000 + "\n"


@pytest.mark.parametrize("kept_from", [0, 1, 2499, 3000, 3999])
def test_what_the_engine_has_forgotten_meanwhile_was_written_before(copied, kept_from):
    copy, told, written = copied
    whole = said(*(f"line {number}\n" for number in range(4500)))
    for message in whole[:4000]:
        copy.add(message)
    copy.rewind()

    for message in whole[kept_from:]:
        copy.add(message)

    assert written() == "".join(f"line {number}\n" for number in range(4500))
    assert told == [f"line {number}" for number in range(4500)]


def test_lines_that_the_engine_dropped_before_they_were_read_are_noted(copied):
    copy, told, _ = copied
    whole = said(*(f"line {number}\n" for number in range(9)))
    for message in whole[:3]:
        copy.add(message)

    for _ in range(2):
        copy.rewind()
        for message in whole[6:]:
            copy.add(message)

    assert told == [
        *("line 0", "line 1", "line 2"),
        f"# the engine has dropped the log before {stamp(6).decode()}",
        *("line 6", "line 7", "line 8"),
    ]


def test_two_streams_that_were_stamped_out_of_order_are_both_whole(copied):
    copy, told, _ = copied
    first, second = said("out\n", first=5)[0], said("err\n", first=4)[0]

    copy.add(first)
    copy.rewind()
    for message in (first, second):
        copy.add(message)

    assert told == ["out", "err"]


@pytest.mark.parametrize("begin", [0, 100, 3990, 3999])
def test_a_file_that_the_engine_gives_twice_is_written_once(copied, begin):
    copy, told, _ = copied
    whole = said(*(f"line {number}\n" for number in range(4500)))

    for message in [*whole[:4000], *whole[begin:4100], *whole[begin:4200], *whole[4200:]]:
        copy.add(message)

    assert told == [f"line {number}" for number in range(4500)]


def test_a_container_is_read_again_from_a_little_before_what_is_remembered():
    seen = SeenMessages()
    assert seen.since is None
    for number in range(1000):
        assert seen.is_new(stamp(number), b"x")
    assert seen.since is None  # all of it can be recognised

    for number in range(1000, 1500):
        seen.is_new(stamp(number), b"x")

    passed = BEGIN.timestamp() + 499e-6
    assert seen.since is not None
    assert passed - 2e-5 < seen.since < passed


def test_a_note_of_tac_is_not_part_of_the_containers_log(copied):
    copy, told, written = copied

    copy.note("found")
    copy.add(said("one\n")[0])
    copy.rewind()
    for message in said("one\n", "two\n"):
        copy.add(message)

    assert written() == "# found\none\ntwo\n"
    assert told == ["# found", "one", "two"]
    assert copy.tail() == ["one", "two"]


def test_a_note_is_not_the_end_of_an_empty_log(copied):
    copy, _, _ = copied

    copy.note("adopted container 0123456789ab, exited")

    assert copy.tail() == []
