import pytest

from tac.runners import Command
from tac.runners.docker.log import Copy
from tac.runners.log import open_log


@pytest.fixture
def copied(tmp_path):
    command = Command("x", ("true",), {}, tmp_path / "x.log")
    told: list[str] = []
    with open_log(command) as log, Copy(log, told.append) as copy:
        yield copy, told, lambda: command.log.read_text().partition("\n")[2]


def test_a_connection_that_was_cut_is_read_again_and_only_what_is_new_is_written(copied):
    copy, told, written = copied
    whole = b"one\ntwo\nthree\nfour\n"

    copy.add(b"one\ntw")
    copy.rewind()
    copy.add(b"on")
    copy.add(b"e\ntwo\nth")
    copy.rewind()
    for number in range(len(whole)):
        copy.add(whole[number : number + 1])

    assert written() == whole.decode()
    assert told == ["one", "two", "three", "four"]


def test_a_note_of_ours_does_not_count_as_what_the_container_said(copied):
    copy, told, written = copied

    copy.note("found")
    copy.add(b"one\n")
    copy.rewind()
    copy.add(b"one\ntwo\n")

    assert written() == "# found\none\ntwo\n"
    assert told == ["# found", "one", "two"]
    assert copy.tail() == ["one", "two"]


def test_a_note_is_not_the_last_word_of_a_container_that_said_nothing(copied):
    copy, _, _ = copied

    copy.note("container 0123456789ab was there already, exited")

    assert copy.tail() == []
