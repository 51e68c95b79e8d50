"""A driver that was edited since the image was built: its steps refuse it, unless it says no."""

import shutil
from pathlib import Path

import pytest

import tac
from tac.build_id import build_id, compute_digest
from tests.support import runs

REPOSITORY = Path(__file__).parents[2]
DAY = "2023-03-01"
SECONDS = 100
WORDS = ("run", "FetchSchedule", "--date", DAY)


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which one module of tac is another than in the image."""
    folder: Path = tmp_path_factory.mktemp("edited")
    shutil.copytree(REPOSITORY / "tac", folder / "tac")
    with (folder / "tac/average.py").open("a") as file:
        file.write("\nEDITED = True\n")
    return folder


def test_a_step_refuses_a_driver_of_another_build_and_names_both(laptop, edited, tmp_path):
    variables = {**laptop.of(tmp_path, "refused"), "PYTHONPATH": str(edited)}

    ended = runs.tac(tmp_path, *WORDS, seconds=SECONDS, **variables)

    asked = f"{tac.__version__}+{compute_digest(edited / 'tac')}"
    assert ended.code == 30, ended.err
    assert (
        f"-1: tac {build_id()} runs this step, and tac {asked} asked for it: they must be one "
        "build\n"
    ) in ended.err
    assert (
        "Hint: build the image from the driver's checkout (`make image`), on Kubernetes load or "
        "push it too, or name another (`--image`); TAC_CHECK_BUILD=no is for developers of tac\n"
    ) in ended.err


def test_who_edits_tac_may_go_on_with_the_image_of_before(laptop, edited, tmp_path):
    variables = {**laptop.of(tmp_path, "edited"), "PYTHONPATH": str(edited)}

    ended = runs.tac(tmp_path, *WORDS, seconds=SECONDS, TAC_CHECK_BUILD="no", **variables)

    assert ended.code == 0, ended.err
    assert laptop.read("edited", f"schedule/{DAY}.parquet")
