"""Many writers of one address, and writers that are killed, in processes of their own."""

import signal

import pytest

from tests.support.homes import FilesHome, Home, S3Home, read, start_python, store

WRITERS = 20
DEADLINE_SECONDS = 120

WRITER = """
import os, sys
from tac.store import store_of
address, number, way = sys.argv[1:]
if way == "named":
    del os.O_TMPFILE
if way == "without links":
    def no_links(*arguments, **options):
        raise PermissionError(1, "Operation not permitted")
    os.link = no_links
store = store_of(address)
if way == "in parts":
    from tac.store.s3 import S3
    store = S3(largest_put_bytes=1000)
body = number.encode() * 100_000
with store.create(address) as draft:
    draft.file.write(body[:50_000])
    draft.file.flush()
    print("half", flush=True)
    sys.stdin.readline()
    draft.file.write(body[50_000:])
print(draft.published, flush=True)
"""


def start_writer(home: Home, number: int, way: str):
    arguments = (home.address("d/a"), f"{number:02d}", way)
    return start_python(WRITER, *arguments, environment=home.environment())


def race(home: Home, way: str = "") -> list[bool]:
    """Let many writers finish at once; tell who published."""
    writers = [start_writer(home, number, way) for number in range(WRITERS)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "half\n", writer.stderr.read()
        for writer in writers:
            writer.stdin.write("go on\n")
            writer.stdin.flush()
        ends = [writer.communicate(timeout=DEADLINE_SECONDS) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert [(writer.returncode, err) for writer, (_, err) in zip(writers, ends, strict=True)] == [
        (0, "")
    ] * WRITERS
    return [out == "True\n" for out, _ in ends]


def assert_one_won(home: Home, published: list[bool]) -> None:
    assert published.count(True) == 1
    winner = published.index(True)
    assert home.contents() == {"d/a": f"{winner:02d}".encode() * 100_000}


def test_of_many_writers_at_once_one_wins(home: Home):
    assert_one_won(home, race(home))


@pytest.mark.parametrize("way", ["named", "without links"])
def test_of_many_writers_one_wins_on_lesser_file_systems(files_home: FilesHome, way: str):
    assert_one_won(files_home, race(files_home, way))


def test_of_two_large_bodies_in_sequence_the_first_stands(s3_home: S3Home):
    # In sequence: SeaweedFS 4.48 lets two completions of the same instant through.
    first, second = (start_writer(s3_home, number, "in parts") for number in (1, 2))

    assert first.communicate("go on\n", timeout=DEADLINE_SECONDS) == ("half\nTrue\n", "")
    assert second.communicate("go on\n", timeout=DEADLINE_SECONDS) == ("half\nFalse\n", "")
    assert s3_home.contents() == {"d/a": b"01" * 100_000}


def kill_in_the_middle(home: Home, way: str) -> None:
    writer = start_writer(home, 1, way)
    try:
        assert writer.stdout.readline() == "half\n"
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate(timeout=DEADLINE_SECONDS)


def test_a_killed_writer_leaves_nothing(home: Home):
    kill_in_the_middle(home, "")

    assert home.contents() == {}
    assert store(home).stat(home.address("d/a")) is None


def test_a_writer_killed_on_a_lesser_file_system_leaves_nothing_that_is_seen(files_home: FilesHome):
    kill_in_the_middle(files_home, "named")

    assert [name.rpartition(".")[2] for name in files_home.contents()] == ["partial"]
    assert list(store(files_home).list(files_home.address(""))) == []
    with store(files_home).create(files_home.address("d/a")) as draft:
        draft.file.write(b"again")
    assert draft.published
    assert read(files_home.address("d/a")) == b"again"


FORKING = """
import os, sys
from tac.store import store_of
from tac.store.s3_client import connection
address = sys.argv[1]
store_of(address).stat(address)
ours = connection()
child = os.fork()
if child == 0:
    anew = connection() is not ours and store_of(address).stat(address) is None
    os._exit(0 if anew else 1)
print(os.waitpid(child, 0)[1], connection() is ours, store_of(address).stat(address))
"""


def test_a_forked_process_has_a_connection_of_its_own(s3_home: S3Home):
    process = start_python(FORKING, s3_home.address("a"), environment=s3_home.environment())

    assert process.communicate(timeout=DEADLINE_SECONDS) == ("0 True None\n", "")
