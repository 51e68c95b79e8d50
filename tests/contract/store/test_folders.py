"""One rule for folders: what is in one, when it is there, and what goes with it."""

from collections.abc import Callable

import pytest

from tac.store import store_of
from tac.target import StoreFileSystem, StoreTarget
from tests.support.homes import FilesHome, Home, S3Home, publish, store

FS = StoreFileSystem()


def put(home: Home, key: str) -> None:
    """Make something as others do, not tac."""
    if isinstance(home, S3Home):
        home.bucket.client.put_object(Bucket=home.bucket.name, Key=key, Body=b"")
    elif isinstance(home, FilesHome):
        path = home.folder / key
        (path if key.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not key.endswith("/"):
            path.write_bytes(b"")


def everything(home: Home) -> list[str]:
    if isinstance(home, S3Home):
        return home.bucket.list_keys()
    assert isinstance(home, FilesHome)
    return sorted(str(path.relative_to(home.folder)) for path in home.folder.rglob("*"))


def is_there(home: Home) -> tuple[bool, bool, list[str]]:
    """What a target, the store and a listing say of the folder `d`."""
    listed = [entry.address for entry in store(home).list(home.address("d/"))]
    return (
        StoreTarget(home.address("d/")).exists(),
        store(home).is_folder(home.address("d")),
        listed,
    )


NOTHING = [
    ["d/"],
    ["d/", "d/sub/", "d/sub/sub/"],
    ["d/.a.0123.partial"],
    ["d/.sub.0123.partial/a", "d/sub/.b.4567.partial"],
]
NOTHING_ON_S3 = [
    ["d/_tac/first-writer-wins"],
    ["d/sub_$folder$", "d/sub/"],
    ["d/_tac/first-writer-wins", "d/", "d/sub/_$folder$", "d/.a.0123.partial"],
]


@pytest.mark.parametrize("keys", NOTHING)
@pytest.mark.parametrize("spelled", ["d", "d/"])
def test_what_is_not_published_is_nothing_in_a_folder_and_goes_with_it(
    home: Home, keys: list[str], spelled: str
):
    for key in keys:
        put(home, key)

    assert is_there(home) == (False, False, [])
    assert FS.remove(home.address(spelled))
    assert everything(home) == []
    assert not FS.remove(home.address(spelled))


@pytest.mark.parametrize("keys", NOTHING_ON_S3)
def test_marks_on_s3_are_nothing_in_a_folder_and_go_with_it(s3_home: S3Home, keys: list[str]):
    for key in keys:
        put(s3_home, key)

    assert is_there(s3_home) == (False, False, [])
    assert not FS.isdir(s3_home.address("d"))
    assert not FS.exists(s3_home.address("d/"))
    assert FS.remove(s3_home.address("d/"))
    assert everything(s3_home) == []


@pytest.mark.parametrize("marks", NOTHING)
def test_what_is_published_makes_a_folder_and_goes_with_all_else(home: Home, marks: list[str]):
    for key in marks:
        put(home, key)
    publish(home.address("d/sub/sub/a"), b"1")

    assert is_there(home) == (True, True, [home.address("d/sub/sub/a")])
    StoreTarget(home.address("d/")).remove()
    assert is_there(home) == (False, False, [])
    assert [key for key in everything(home) if not key.startswith("_tac")] == []


def test_a_folder_behind_a_page_of_markers_exists(s3_home: S3Home):
    for number in range(1001):  # a listing comes in thousands
        put(s3_home, f"d/{number:04d}/")
    assert is_there(s3_home) == (False, False, [])
    publish(s3_home.address("d/z"), b"1")

    assert is_there(s3_home) == (True, True, [s3_home.address("d/z")])


def test_an_empty_directory_is_a_directory_to_luigi(files_home: FilesHome):
    put(files_home, "d/")

    assert FS.isdir(files_home.address("d"))
    assert FS.exists(files_home.address("d"))
    assert not FS.isdir(files_home.address("e"))


def test_a_temporary_folder_replaces_a_marker(home: Home):
    put(home, "d/")
    target = StoreTarget(home.address("d/"))

    assert not target.exists()
    with target.temporary_path() as aside:
        publish(f"{aside}a", b"1")

    assert target.exists()
    assert list(FS.listdir(home.address("d"))) == [home.address("d/a")]


def test_an_object_that_is_named_like_a_folder_is_deleted_alone(s3_home: S3Home):
    for key in ("d", "d/a"):
        put(s3_home, key)

    assert FS.remove(s3_home.address("d"))
    assert everything(s3_home) == ["d/a"]
    assert FS.remove(s3_home.address("d"))
    assert everything(s3_home) == []


def test_an_upload_that_is_under_way_is_not_touched(s3_home: S3Home):
    bucket = s3_home.bucket
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="d/a")
    put(s3_home, "d/b")

    assert FS.remove(s3_home.address("d/"))
    assert s3_home.contents() == {"upload of d/a": b""}
    assert not StoreTarget(s3_home.address("d/")).exists()


@pytest.mark.parametrize(
    "ask",
    [
        lambda address: store_of(address).is_folder(address),
        lambda address: store_of(address).delete_folder(address),
        FS.remove,
    ],
)
def test_a_file_is_no_folder(home: Home, ask: Callable[[str], bool]):
    publish(home.address("d"), b"1")

    assert not ask(home.address("d/"))
    assert home.contents() == {"d": b"1"}
