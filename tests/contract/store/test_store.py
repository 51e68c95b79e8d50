"""What every store does, on a real directory and on a real S3."""

import datetime as dt
import io

import pytest

import tac
from tac.errors import ConfigError, InputMissing, TacError
from tac.store import Entry, store_of
from tests.support.homes import Home, publish, read, store


def listed(prefix: str) -> list[str]:
    return [entry.address for entry in store_of(prefix).list(prefix)]


def test_what_is_published_can_be_read(home: Home):
    assert publish(home.address("a/b.bin"), b"hello")

    assert read(home.address("a/b.bin")) == b"hello"
    assert home.contents() == {"a/b.bin": b"hello"}


def test_an_empty_output_is_an_output(home: Home):
    assert publish(home.address("empty"), b"")

    assert store(home).exists(home.address("empty"), fresh=True)
    assert read(home.address("empty")) == b""


def test_a_large_body_comes_back_whole(home: Home):
    body = bytes(range(256)) * 80_000  # 20 MB: more than is kept in memory

    publish(home.address("large"), body)

    assert read(home.address("large")) == body


def test_what_is_opened_can_be_read_from_anywhere(home: Home):
    publish(home.address("a"), b"0123456789")

    with store(home).open(home.address("a")) as file:
        file.seek(-3, io.SEEK_END)
        tail = file.read()
        file.seek(2)
        assert (tail, file.read(3), file.seekable(), file.readable()) == (
            b"789",
            b"234",
            True,
            True,
        )


def test_the_second_writer_changes_nothing_and_knows_it(home: Home):
    publish(home.address("a"), b"first")

    assert not publish(home.address("a"), b"second")
    assert home.contents() == {"a": b"first"}


def test_a_draft_can_be_written_in_any_order(home: Home):
    with store(home).create(home.address("a")) as draft:
        draft.file.write(b"..cdef")
        draft.file.seek(0)
        draft.file.write(b"ab")

    assert read(home.address("a")) == b"abcdef"


def test_a_draft_may_be_closed_by_what_wraps_it(home: Home):
    with store(home).create(home.address("a")) as draft:
        text = io.TextIOWrapper(draft.file, encoding="utf-8")
        text.write("grün\n")
        text.close()

    assert read(home.address("a")) == "grün\n".encode()


def test_a_draft_is_published_only_when_its_block_ends(home: Home):
    with store(home).create(home.address("a")) as draft:
        draft.file.write(b"half")
        draft.file.flush()
        assert (draft.published, store(home).stat(home.address("a"))) == (False, None)
        assert listed(home.address("")) == []

    assert draft.published


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_raises_publishes_nothing_and_leaves_nothing(
    home: Home, failure: type[BaseException]
):
    def fail() -> None:
        with store(home).create(home.address("a")) as draft:
            draft.file.write(b"half")
            raise failure

    with pytest.raises(failure):
        fail()

    assert home.contents() == {}


def test_what_is_known_of_an_output(home: Home):
    began = dt.datetime.now(dt.UTC)

    publish(home.address("a"), b"12345")

    stat = store(home).stat(home.address("a"))
    assert stat is not None
    assert (stat.size, stat.version, stat.modified.tzinfo) == (5, tac.__version__, dt.UTC)
    assert abs((stat.modified - began).total_seconds()) < 60


def test_what_others_made_has_no_version(home: Home, request: pytest.FixtureRequest):
    if "files" in request.node.name:
        request.getfixturevalue("files_home").folder.joinpath("a").write_bytes(b"1")
    else:
        bucket = request.getfixturevalue("bucket")
        bucket.client.put_object(Bucket=bucket.name, Key="a", Body=b"1")

    stat = store(home).stat(home.address("a"))
    assert stat is not None
    assert (stat.size, stat.version) == (1, None)


def test_stat_of_a_missing_output_is_none(home: Home):
    assert store(home).stat(home.address("no/such")) is None
    assert not store(home).exists(home.address("no/such"))
    assert not store(home).exists(home.address("no/such"), fresh=True)
    assert not store(home).is_folder(home.address("no"))


def test_reading_a_missing_input_says_so(home: Home):
    with pytest.raises(InputMissing):
        store(home).open(home.address("no/such"))


def test_deleting_returns_whether_anything_existed(home: Home):
    publish(home.address("a/b"), b"1")

    assert store(home).delete(home.address("a/b"))
    assert not store(home).delete(home.address("a/b"))
    assert home.contents() == {}


def test_what_was_deleted_can_be_made_again(home: Home):
    publish(home.address("a"), b"1")
    assert store(home).exists(home.address("a"))
    store(home).delete(home.address("a"))
    assert not store(home).exists(home.address("a"))

    assert publish(home.address("a"), b"2")
    assert store(home).exists(home.address("a"))
    assert read(home.address("a")) == b"2"


def test_a_listing_is_in_the_order_of_the_addresses(home: Home):
    # SeaweedFS itself lists by path, so d/2.x after all of d/2/.
    keys = ["d/10", "d/2-a", "d/2.x", "d/2/a", "d/2/b/c", "d/2a", "d/Z", "d/é"]
    for key in reversed(keys):
        publish(home.address(key), key.encode())

    entries = list(store(home).list(home.address("d/")))
    assert entries == [Entry(home.address(key), len(key.encode())) for key in keys]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", ["a", "d/1", "d/12", "e/1"]),
        ("d/", ["d/1", "d/12"]),
        ("d/1", ["d/1", "d/12"]),
        ("d", ["d/1", "d/12"]),
        ("d/2", []),
        ("no/such/", []),
    ],
)
def test_a_listing_holds_what_begins_with_the_prefix(home: Home, prefix: str, found: list[str]):
    for key in ("a", "d/1", "d/12", "e/1"):
        publish(home.address(key), b"")

    assert listed(home.address(prefix)) == [home.address(key) for key in found]


def test_a_listing_reads_no_more_than_its_limit(home: Home):
    keys = ["d/1", "d/2", "d/3", "d/e/4", "d/e/5"]
    for key in keys:
        publish(home.address(key), b"")

    counts = [len(list(store(home).list(home.address("d/"), most=most))) for most in (0, 3, 5, 9)]
    assert counts == [0, 3, 5, 5]


def test_keys_of_every_kind_come_back_as_they_are(home: Home):
    keys = ["a b", "a%20b", "a+b", "date=2023-03-01/x", "grün", "q?x#y", "~[1]{2}"]
    for key in keys:
        publish(home.address(key), key.encode())

    assert listed(home.address("")) == sorted(home.address(key) for key in keys)
    assert [read(home.address(key)).decode() for key in keys] == keys


def test_a_folder_is_where_something_lies_below(home: Home):
    publish(home.address("d/1"), b"")

    assert store(home).is_folder(home.address("d"))
    assert store(home).is_folder(home.address("d/"))
    assert not store(home).is_folder(home.address("d/1"))


def test_a_file_cannot_stand_where_a_folder_is(home: Home):
    publish(home.address("d/1"), b"1")

    with pytest.raises(TacError):
        publish(home.address("d"), b"2")

    assert home.contents() == {"d/1": b"1"}


def test_an_address_that_names_a_folder_is_refused(home: Home):
    for ask in (store(home).stat, store(home).open, store(home).delete, store(home).exists):
        with pytest.raises(ConfigError):
            ask(home.address("d/"))
