"""Roots, homes and stores are never removed, by any door; nothing here lies outside of its test.

What could not be lost by a mistake only elsewhere, `/`, mount points and the home of this user, is
in tests/container/test_removal.py.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tac import settings
from tac.errors import ConfigError, TacError
from tac.store import store_of
from tac.target import StoreFileSystem, StoreTarget
from tests.support.faults import Answer, running_proxy
from tests.support.homes import FilesHome, Home, S3Home, publish, start_python
from tests.support.s3 import Bucket, point_tac_at

FS = StoreFileSystem()


def move_away(address: str) -> None:
    FS.move(address, f"{address.rstrip('/')}-moved")


DOORS: list[Callable[[str], object]] = [
    FS.remove,
    move_away,
    lambda address: StoreTarget(address).remove(),
    lambda address: store_of(address).delete_folder(address),
]


@pytest.fixture
def set_store(monkeypatch: pytest.MonkeyPatch):
    """Let the settings of this test name a store."""

    def set_store(address: str) -> None:
        monkeypatch.setenv("TAC_STORE", address)
        settings.current.cache_clear()

    yield set_store
    monkeypatch.undo()
    settings.current.cache_clear()


def refusals(address: str) -> set[str]:
    """What every door says of an address; all of them refuse."""
    said = set()
    for door in DOORS:
        with pytest.raises(ConfigError) as raised:
            door(address)
        assert raised.value.exit_code == 2
        said.add(raised.value.message)
    return said


@pytest.mark.parametrize("spelled", ["", "/", "//", "/.", "/./", "/d/..", "/d/../"])
def test_a_buckets_root_is_never_removed(s3_home: S3Home, spelled: str):
    publish(s3_home.address("d/a"), b"1")
    address = f"s3://{s3_home.bucket.name}{spelled}"

    assert refusals(address) == {f"{address}: is the root of a bucket, which is never removed"}
    assert s3_home.contents() == {"d/a": b"1"}


@pytest.mark.parametrize(
    ("spelled", "why"),
    [
        ("team/store", "is the root of the store"),
        ("team/store/", "is the root of the store"),
        ("team//store/", "is the root of the store"),
        ("team/store/d/../", "is the root of the store"),
        ("team", "holds the root of the store, {store}"),
        ("team/", "holds the root of the store, {store}"),
    ],
)
def test_the_stores_root_is_never_removed(home: Home, set_store, spelled: str, why: str):
    publish(home.address("team/store/d/a"), b"1")
    set_store(home.address("team/store"))
    address = home.address(spelled)

    because = why.format(store=home.address("team/store"))
    assert refusals(address) == {f"{address}: {because}, which is never removed"}
    assert home.contents() == {"team/store/d/a": b"1"}


def test_what_is_in_the_store_may_go(home: Home, set_store):
    for key in ("store/d/a", "store/d1/a", "store/d2"):
        publish(home.address(key), b"1")
    set_store(home.address("store"))

    assert FS.remove(home.address("store/d"))
    assert FS.remove(home.address("store/d2"))
    assert home.contents() == {"store/d1/a": b"1"}


def test_a_store_that_is_a_link_stays_and_so_does_what_it_leads_to(
    files_home: FilesHome, set_store
):
    publish(files_home.address("disk/store/a"), b"1")
    link = files_home.folder / "link"
    link.symlink_to(files_home.folder / "disk/store")
    set_store(str(link))

    for address in (f"{link}", f"{link}/", files_home.address("disk/store")):
        assert refusals(address) == {f"{address}: is the root of the store, which is never removed"}
    with pytest.raises(ConfigError):
        store_of("a").delete(str(link))
    assert link.is_symlink()
    assert (files_home.folder / "disk/store/a").read_bytes() == b"1"


def test_a_home_is_never_removed(files_home: FilesHome, monkeypatch: pytest.MonkeyPatch):
    publish(files_home.address("homes/me/a"), b"1")
    monkeypatch.setenv("HOME", files_home.address("homes/me"))

    for address, why in (
        (files_home.address("homes/me"), "is the home directory"),
        (f"file://{files_home.folder}/homes/me/", "is the home directory"),
        (
            files_home.address("homes"),
            f"holds the home directory, {files_home.folder}/homes/me",
        ),
    ):
        shown = address.removeprefix("file://")
        assert refusals(address) == {f"{shown}: {why}, which is never removed"}
    assert files_home.contents() == {"homes/me/a": b"1"}


@pytest.mark.parametrize("address", [".", "./", "d/.", "d/..", "d/../", "d/e/../../."])
def test_what_only_dots_name_is_never_removed(
    files_home: FilesHome, monkeypatch: pytest.MonkeyPatch, address: str
):
    publish(files_home.address("above/here/d/e/a"), b"1")
    monkeypatch.chdir(files_home.folder / "above/here")
    dots = address.rstrip("/").rpartition("/")[2]

    assert refusals(address) == {f"{address}: ends in {dots!r}: only what is named is removed"}
    assert files_home.contents() == {"above/here/d/e/a": b"1"}


def test_nothing_is_no_address():
    # Not by a door that could take it for '/': the container tests do that.
    for ask in (store_of("").require_removable, FS.isdir, lambda path: list(FS.listdir(path))):
        with pytest.raises(ConfigError) as raised:
            ask("")
        assert raised.value.message == "'': not a path"


def test_a_directory_may_be_removed_that_is_where_we_are(
    files_home: FilesHome, monkeypatch: pytest.MonkeyPatch
):
    with StoreTarget(files_home.address("out/")).temporary_path() as aside:
        Path(aside).mkdir()
        monkeypatch.chdir(aside)
        Path("a").write_bytes(b"1")
    monkeypatch.chdir(files_home.folder)

    assert files_home.contents() == {"out/a": b"1"}


def test_siblings_that_begin_alike_stay(home: Home):
    for key in ("d/a", "d1/a", "d.txt", "d-"):
        publish(home.address(key), b"1")

    assert FS.remove(home.address("d"))
    assert sorted(home.contents()) == ["d-", "d.txt", "d1/a"]


def test_a_folder_is_not_moved_into_itself(home: Home):
    publish(home.address("d/a"), b"1")

    for dest in ("d/e", "d/e/f/", "d"):
        with pytest.raises(ConfigError) as raised:
            FS.move(home.address("d"), home.address(dest))
        assert raised.value.message == (
            f"{home.address(dest)}: lies in {home.address('d')}, which cannot be moved into itself"
        )
    assert home.contents() == {"d/a": b"1"}


MOVE = """
import sys
from pathlib import Path
from tac.errors import StorageError
from tac.target import StoreFileSystem
source, dest = sys.argv[1:]
def publish_meanwhile(name, arguments):
    if name == "os.link":
        Path(source, "new").write_text("2")
sys.addaudithook(publish_meanwhile)
try:
    StoreFileSystem().move(source, dest)
except StorageError as error:
    print(error.message)
"""


def test_what_is_published_while_a_folder_is_moved_is_not_lost(files_home: FilesHome):
    publish(files_home.address("d/a"), b"1")
    source, dest = files_home.address("d"), files_home.address("e")

    process = start_python(MOVE, source, dest, environment={})
    out, err = process.communicate(timeout=60)

    assert (out, err) == (
        f"{source}: changed while it was copied to {dest}; nothing of it was removed\n",
        "",
    )
    assert files_home.contents() == {"d/a": b"1", "d/new": b"2", "e/a": b"1"}


def test_directories_are_the_same_by_their_url(files_home: FilesHome):
    url = f"file://{files_home.folder}/d"

    FS.mkdir(url)
    assert (files_home.folder / "d").is_dir()
    assert FS.isdir(url)
    assert FS.remove(url)
    assert not (files_home.folder / "d").exists()


def test_a_folder_of_more_objects_than_one_request_deletes_takes_few_requests(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    for number in range(1001):
        bucket.client.put_object(Bucket=bucket.name, Key=f"d/{number:04d}", Body=b"")
    strange = ["d/\x01", "d/<&>", "d/a b%20", "d/grün", "d/\r"]
    for key in strange:
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"")
    with running_proxy(bucket.server.endpoint) as proxy:
        point_tac_at(proxy.endpoint, monkeypatch)

        assert FS.remove(bucket.address("d/"))
        requests = len(proxy.requests)

    assert bucket.list_keys() == []
    assert requests <= 7  # two listings, two times two deletions, and one of their kind more


@pytest.mark.parametrize(
    ("code", "said", "exit_code"),
    [
        ("AccessDenied", "access denied (403 AccessDenied): no", 2),
        ("InternalError", "S3 failed (500 InternalError): no", 75),
        ("SlowDown", "S3 asks to slow down (503 SlowDown)", 75),
        ("Odd", "S3 refused the request (400 Odd): no", 2),
    ],
)
def test_an_object_that_could_not_be_deleted_is_an_error(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, code: str, said: str, exit_code: int
):
    publish(bucket.address("d/a"), b"1")
    answer = (
        f"<DeleteResult><Error><Key>d/a</Key><Code>{code}</Code><Message>no</Message></Error>"
        "</DeleteResult>"
    )
    with running_proxy(bucket.server.endpoint) as proxy:
        point_tac_at(proxy.endpoint, monkeypatch)
        proxy.fault = lambda request: (
            Answer(200, answer.encode()) if request.method == "POST" else None
        )
        with pytest.raises(TacError) as raised:
            FS.remove(bucket.address("d/"))

    assert raised.value.message == f"{bucket.address('d/a')}: {said}"
    assert raised.value.exit_code == exit_code
    assert "d/a" in bucket.list_keys()
