"""What a link means in a store of files: it is read through, and never removed through."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tac import settings
from tac.errors import ConfigError
from tac.store import store_of
from tac.target import StoreFileSystem, StoreTarget
from tests.support.homes import FilesHome, publish, read, start_python

FS = StoreFileSystem()

# A process in which something happens to the folder between the look and the removal.
RACE = """
import os, sys
from tac.errors import TacError
from tac.target import StoreFileSystem
event, asked, folder, elsewhere, moved = sys.argv[1:]
def swap(name, arguments):
    if name == event and not os.path.lexists(moved):
        os.rename(folder, moved)
        os.symlink(elsewhere, folder)
sys.addaudithook(swap)
try:
    print(StoreFileSystem().remove(asked))
except TacError as error:
    print(error.message)
"""


@pytest.fixture
def elsewhere(files_home: FilesHome) -> Path:
    """A folder with one file, the target of links, which must not be removed."""
    publish(files_home.address("elsewhere/e/kept"), b"1")
    return files_home.folder / "elsewhere"


def make_folder(files_home: FilesHome, elsewhere: Path) -> Path:
    """A folder with a file and with links of every kind."""
    publish(files_home.address("d/a"), b"2")
    folder = files_home.folder / "d"
    (folder / "inputs").symlink_to(elsewhere)
    (folder / "relative").symlink_to("../elsewhere/e")
    (folder / "file").symlink_to(elsewhere / "e/kept")
    (folder / "nothing").symlink_to("no/such")
    (folder / "itself").symlink_to("itself")
    (folder / "up").symlink_to(folder)
    return folder


def remove_folder(address: str) -> None:
    assert FS.remove(address)


def remove_target(address: str) -> None:
    StoreTarget(f"{address}/").remove()


def delete_folder(address: str) -> None:
    assert store_of(address).delete_folder(address)


@pytest.mark.parametrize("remove", [remove_folder, remove_target, delete_folder])
def test_removing_a_folder_leaves_what_links_in_it_lead_to(
    files_home: FilesHome, elsewhere: Path, remove: Callable[[str], None]
):
    folder = make_folder(files_home, elsewhere)

    remove(str(folder))

    assert files_home.contents() == {"elsewhere/e/kept": b"1"}
    assert not os.path.lexists(folder)


@pytest.mark.parametrize("remove", [remove_folder, remove_target, delete_folder])
def test_removing_a_link_to_a_folder_removes_the_link(
    files_home: FilesHome, elsewhere: Path, remove: Callable[[str], None]
):
    link = files_home.folder / "link"
    for leads_to in (elsewhere, files_home.folder / "nothing", link):
        link.symlink_to(leads_to)

        remove(str(link))

        assert not os.path.lexists(link)
    assert files_home.contents() == {"elsewhere/e/kept": b"1"}


def test_removing_a_link_to_a_file_removes_the_link(files_home: FilesHome, elsewhere: Path):
    link = files_home.folder / "link"
    link.symlink_to(elsewhere / "e/kept")

    assert not FS.remove(f"{link}/")  # it is no folder
    assert FS.remove(str(link))

    assert not os.path.lexists(link)
    assert files_home.contents() == {"elsewhere/e/kept": b"1"}


def test_a_folder_behind_a_link_can_be_named(files_home: FilesHome, elsewhere: Path):
    (files_home.folder / "store").symlink_to(elsewhere)

    assert read(files_home.address("store/e/kept")) == b"1"
    assert FS.remove(files_home.address("store/e"))

    assert files_home.contents() == {}
    assert (files_home.folder / "store").is_symlink()


@pytest.fixture
def store_with_a_way_out(files_home: FilesHome, elsewhere: Path, monkeypatch: pytest.MonkeyPatch):
    """A store, itself behind a link, in which a link has been made that leads out of it."""
    publish(files_home.address("disk/store/within/a"), b"2")
    root = files_home.folder / "store"
    root.symlink_to("disk/store")
    (root / "out").symlink_to(elsewhere)
    (root / "in").symlink_to("within")
    monkeypatch.setenv("TAC_STORE", str(root))
    settings.current.cache_clear()
    yield root
    monkeypatch.undo()
    settings.current.cache_clear()


REMOVALS: dict[str, Callable[[str], object]] = {
    "remove": FS.remove,
    "move": lambda address: FS.move(address, f"{address}-moved"),
    "target": lambda address: StoreTarget(address).remove(),
    "folder target": lambda address: StoreTarget(f"{address}/").remove(),
    "delete": lambda address: store_of(address).delete(address),
}


@pytest.mark.parametrize("key", ["e", "e/kept"])
@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
def test_a_link_in_the_store_leads_no_removal_out_of_it(
    files_home: FilesHome,
    store_with_a_way_out: Path,
    elsewhere: Path,
    key: str,
    remove: Callable[[str], object],
):
    address = f"{store_with_a_way_out}/out/{key}"
    if remove is REMOVALS["delete"] and key == "e":
        address += "/kept"  # it deletes files only
    spelled = f"{address}/" if remove is REMOVALS["folder target"] else address
    place = elsewhere / address.removeprefix(f"{store_with_a_way_out}/out/")

    with pytest.raises(ConfigError) as raised:
        remove(address)

    assert (raised.value.message, raised.value.hint) == (
        f"{spelled}: a link in the store leads out of it, to {place}; nothing is removed there",
        f"to remove it, name {place} itself",
    )
    assert files_home.contents()["elsewhere/e/kept"] == b"1"


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
def test_nor_does_it_by_another_spelling_of_the_store(
    files_home: FilesHome,
    store_with_a_way_out: Path,
    elsewhere: Path,
    remove: Callable[[str], object],
):
    for spelled in (files_home.folder / "another", store_with_a_way_out.resolve()):
        if not spelled.exists():
            spelled.symlink_to(store_with_a_way_out)

        with pytest.raises(ConfigError, match="a link in the store leads out of it"):
            remove(f"{spelled}/out/e/kept")

    assert (elsewhere / "e/kept").read_bytes() == b"1"


def test_links_within_the_store_and_the_links_themselves_may_go(
    files_home: FilesHome, store_with_a_way_out: Path
):
    assert FS.remove(f"{store_with_a_way_out}/in/a")
    assert FS.remove(f"{store_with_a_way_out}/out")
    assert FS.remove(f"{store_with_a_way_out}/in/")

    assert files_home.contents() == {"elsewhere/e/kept": b"1"}
    assert sorted(path.name for path in store_with_a_way_out.iterdir()) == ["within"]


def test_what_tac_put_aside_goes_wherever_it_is(files_home: FilesHome, store_with_a_way_out: Path):
    with StoreTarget(f"{store_with_a_way_out}/out/parts/").temporary_path() as aside:
        publish(f"{aside}1", b"3")

    assert files_home.contents() == {
        "elsewhere/e/kept": b"1",
        "elsewhere/parts/1": b"3",
        "disk/store/within/a": b"2",
    }


def test_a_temporary_folder_with_links_costs_nothing_that_they_lead_to(
    files_home: FilesHome, elsewhere: Path
):
    with StoreTarget(files_home.address("out/")).temporary_path() as aside:
        Path(aside).mkdir()
        Path(aside, "inputs").symlink_to(elsewhere)
        Path(aside, "a").write_bytes(b"2")

    assert files_home.contents() == {
        "elsewhere/e/kept": b"1",
        "out/a": b"2",
        "out/inputs/e/kept": b"1",  # the output is whole without the link
    }
    assert [path.name for path in files_home.folder.iterdir() if path.name.startswith(".")] == []


def test_a_temporary_path_that_is_a_link_itself_leaves_what_it_leads_to(
    files_home: FilesHome, elsewhere: Path
):
    with StoreTarget(files_home.address("out/")).temporary_path() as aside:
        Path(aside).symlink_to(elsewhere)

    assert files_home.contents() == {"elsewhere/e/kept": b"1", "out/e/kept": b"1"}


def test_a_temporary_folder_of_a_block_that_raises_leaves_it_too(
    files_home: FilesHome, elsewhere: Path
):
    def fail() -> None:
        with StoreTarget(files_home.address("out/")).temporary_path() as aside:
            Path(aside).mkdir()
            Path(aside, "inputs").symlink_to(elsewhere)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert files_home.contents() == {"elsewhere/e/kept": b"1"}


def test_moving_a_folder_moves_what_links_lead_to_by_copy_and_leaves_it(
    files_home: FilesHome, elsewhere: Path
):
    folder = make_folder(files_home, elsewhere)

    FS.move(str(folder), files_home.address("f"))

    assert files_home.contents() == {
        "elsewhere/e/kept": b"1",
        "f/a": b"2",
        "f/file": b"1",
        "f/inputs/e/kept": b"1",
        "f/relative/kept": b"1",
    }
    assert not os.path.lexists(folder)
    assert [path for path in files_home.folder.rglob("*") if path.is_symlink()] == []


def test_moving_a_link_copies_what_it_leads_to_and_removes_the_link(
    files_home: FilesHome, elsewhere: Path
):
    link = files_home.folder / "link"
    for leads_to, key in ((elsewhere, "f/e/kept"), (elsewhere / "e/kept", "g")):
        link.symlink_to(leads_to)

        FS.move(str(link), files_home.address(key.partition("/")[0]))

        assert files_home.contents()[key] == b"1"
        assert not os.path.lexists(link)
    assert (elsewhere / "e/kept").read_bytes() == b"1"


def test_copying_a_folder_copies_what_links_lead_to(files_home: FilesHome, elsewhere: Path):
    folder = make_folder(files_home, elsewhere)

    FS.copy(str(folder), files_home.address("f"))

    assert sorted(files_home.contents()) == [
        *("d/a", "d/file", "elsewhere/e/kept"),
        *("f/a", "f/file", "f/inputs/e/kept", "f/relative/kept"),
    ]


def test_a_listing_follows_links_and_ends(files_home: FilesHome, elsewhere: Path):
    folder = make_folder(files_home, elsewhere)
    (elsewhere / "back").symlink_to(folder)

    assert list(FS.listdir(str(folder))) == [
        f"{folder}/{name}" for name in ("a", "file", "inputs/e/kept", "relative/kept")
    ]


@pytest.mark.parametrize("event", ["shutil.rmtree", "os.scandir"])
def test_a_folder_that_became_a_link_is_not_followed(
    files_home: FilesHome, elsewhere: Path, event: str
):
    publish(files_home.address("d/a"), b"2")
    folder = files_home.folder / "d"

    assert said_in_a_race(event, folder, folder, elsewhere) == (
        f"{folder}: became a link during its removal; its target was not touched"
    )
    assert files_home.contents()["elsewhere/e/kept"] == b"1"


def test_a_folder_above_that_became_a_link_is_not_followed(files_home: FilesHome, elsewhere: Path):
    publish(files_home.address("above/d/a"), b"2")
    publish(files_home.address("elsewhere/d/kept"), b"3")
    above = files_home.folder / "above"

    assert said_in_a_race("shutil.rmtree", above / "d", above, elsewhere) == "True"
    assert files_home.contents() == {"elsewhere/e/kept": b"1", "elsewhere/d/kept": b"3"}


def said_in_a_race(event: str, asked: Path, folder: Path, elsewhere: Path) -> str:
    """What a removal says when a link takes a folder's place at a moment of it, an audit event."""
    moved = folder.with_name("moved")
    arguments = [str(each) for each in (event, asked, folder, elsewhere, moved)]
    process = start_python(RACE, *arguments, environment={})
    out, err = process.communicate(timeout=60)
    assert (err, moved.is_dir()) == ("", True)
    return str(out).strip()
