import os
import tracemalloc
from pathlib import Path

import pytest

from tac.request import RunRequest
from tac.runners.launch import open_log, redacted_command


def command(tmp_path: Path, **more) -> RunRequest:
    values = {"name": "x", "argv": ("echo", "a b"), "environment": {}, "log": tmp_path / "x.log"}
    return RunRequest(**{**values, **more})


def write(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_log_is_made_with_its_directories_and_headed_by_the_command(tmp_path):
    path = tmp_path / "a" / "b" / "x.log"

    with open_log(command(tmp_path, log=path)) as log:
        followed: list[str] = []
        log.finish(followed.append)

    assert path.read_text() == "$ echo 'a b'\n"
    assert followed == []


def test_the_headline_of_a_log_holds_no_password(tmp_path):
    argv = ("fetch", "--source", "http://bob:secret@host/{date}.parquet")

    open_log(command(tmp_path, argv=argv)).__exit__(None, None, None)

    headline = "$ fetch --source 'http://***@host/{date}.parquet'\n"
    assert (tmp_path / "x.log").read_text() == headline


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("http://bob:secret@host/x", "'http://***@host/x'"),
        ("http://bob:se@cret@host:80/x@y", "'http://***@host:80/x@y'"),
        ("--in=HTTPS://token@host/x", "'--in=HTTPS://***@host/x'"),
        ("postgresql://me:secret@db/x", "'postgresql://***@db/x'"),
        ("https://b.s3/x?X-Amz-Signature=a&b=c", "'https://b.s3/x?***'"),
        ("curl http://a/?sig=x http://me:pw@b/y?z#t", "'curl http://a/?*** http://***@b/y?***#t'"),
        ("it's http://a:b@c/d?e", """'it'"'"'s http://***@c/d?***'"""),
        ("https://host/{date:%Y-%m-%d}.parquet", "'https://host/{date:%Y-%m-%d}.parquet'"),
        ("s3://bucket/a@b?c", "'s3://bucket/a@b?c'"),
        ("file:///a@b?c", "'file:///a@b?c'"),
        ("me@host", "me@host"),
    ],
)
def test_what_is_secret_in_a_word_is_not_shown(word, expected):
    assert redacted_command([word]) == expected


def test_each_attempt_begins_a_part_of_its_own(tmp_path):
    path = tmp_path / "x.log"
    open_log(command(tmp_path)).__exit__(None, None, None)
    write(path, b"cut off here")

    with open_log(command(tmp_path, attempt=2)) as log:
        write(path, b"new\n")
        followed: list[str] = []
        log.finish(followed.append)

        assert followed == log.tail() == ["new"]
    assert path.read_text() == "$ echo 'a b'\ncut off here\n$ echo 'a b'  # attempt 2\nnew\n"


PIECES = [
    ([b"one\n", b"two\n"], ["one", "two"]),
    ([b"on", b"e", b"\ntw", b"o\n"], ["one", "two"]),
    ([b"one\n\n", b"\nlast"], ["one", "", "", "last"]),
    ([b"windows\r\n", b"bar\rbar\n"], ["windows", "bar\rbar"]),
    ([b"\xff\xfe\x00\n", "ä".encode()[:1], "ä".encode()[1:]], ["\ufffd\ufffd\x00", "ä"]),
    ([b"x" * 30_000, b"y" * 30_000 + b"\nz"], ["x" * 30_000 + "y" * 30_000, "z"]),
    ([b"x" * 65_536 + b"\nz"], ["x" * 65_536, "z"]),
    (
        [b"x" * 60_000, b"y" * 60_000, b"\nz"],
        ["x" * 60_000 + "y" * 5536 + "… (and 54464 bytes more, in the log file)", "z"],
    ),
]


@pytest.mark.parametrize(("pieces", "lines"), PIECES)
def test_each_line_is_followed_once_however_it_was_written(tmp_path, pieces, lines):
    followed: list[str] = []
    with open_log(command(tmp_path)) as log:
        for piece in pieces:
            write(tmp_path / "x.log", piece)
            while log.follow(followed.append):
                pass
        log.finish(followed.append)

    assert followed == lines


@pytest.mark.parametrize(("pieces", "lines"), PIECES)
def test_unread_lines_are_followed_in_the_end(tmp_path, pieces, lines):
    followed: list[str] = []
    with open_log(command(tmp_path)) as log:
        write(tmp_path / "x.log", b"".join(pieces))
        log.finish(followed.append)

    assert followed == lines


def test_of_an_endless_line_only_the_beginning_is_kept_in_memory(tmp_path):
    followed: list[str] = []
    with open_log(command(tmp_path)) as log:
        begin = (tmp_path / "x.log").stat().st_size
        os.truncate(tmp_path / "x.log", begin + 200_000_000)  # a line of zeros, and no disk blocks
        tracemalloc.start()
        log.finish(followed.append)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 4_000_000
    assert [line.strip("\0") for line in followed] == [
        "… (and 199934464 bytes more, in the log file)"
    ]


def test_what_writes_for_ever_does_not_keep_the_log_open(tmp_path):
    with open_log(command(tmp_path)) as log:
        write(tmp_path / "x.log", b"begin\n")
        log.finish(lambda _: write(tmp_path / "x.log", b"more\n"))

        assert log.tail() == ["begin", "more"]


def test_the_tail_is_the_end_of_a_long_log(tmp_path):
    with open_log(command(tmp_path)) as log:
        write(tmp_path / "x.log", b"".join(b"%06d\n" % number for number in range(100_000)))

        tail = log.tail()

    assert (tail[-1], len(tail) > 100) == ("099999", True)
