"""`tac run --force` on folders: no root is deleted, and nothing that a link leads to."""

from pathlib import Path

import pytest

from tests.support.homes import FilesHome
from tests.support.runs import Ended, tac

MODULE = "tests.support.folders"


def force(at: Path, *words: object) -> Ended:
    return tac(at, "run", "--module", MODULE, *words, "--at", at, "--force", "--yes")


def test_a_folder_is_made_again_and_what_links_in_it_lead_to_stays(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/kept").write_text("kept")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/inputs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "parts/old").write_text("old")

    ended = force(tmp_path, "Parts")

    assert (ended.code, ended.out) == (0, f"{tmp_path}/parts/\n")
    assert FilesHome(tmp_path).contents() == {
        "elsewhere/kept": b"kept",
        "parts/1": b"made",
        "parts/2": b"made",
    }


def test_an_output_that_is_a_link_is_made_again_in_its_own_place(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/kept").write_text("kept")
    (tmp_path / "parts").symlink_to("elsewhere")

    ended = force(tmp_path, "Parts")

    assert (ended.code, ended.out) == (0, f"{tmp_path}/parts/\n")
    assert not (tmp_path / "parts").is_symlink()
    assert FilesHome(tmp_path).contents() == {
        "elsewhere/kept": b"kept",
        "parts/1": b"made",
        "parts/2": b"made",
    }


@pytest.mark.parametrize("kind", ["ours", "luigis"])
def test_a_store_is_never_deleted_as_an_output(tmp_path: Path, kind: str):
    (tmp_path / "store/parts").mkdir(parents=True)
    (tmp_path / "store/parts/1").write_text("made")

    ended = force(tmp_path, "EverythingThere", "--kind", kind)

    assert (ended.code, ended.out) == (2, "")
    assert ended.lines == [
        f"Error: {tmp_path}/store/: is the root of the store, which is never removed",
        f"Hint: name what to remove in it: `ls {tmp_path}/store` lists it",
    ]
    assert FilesHome(tmp_path).contents() == {"store/parts/1": b"made"}
