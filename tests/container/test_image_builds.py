"""What building the image again makes anew: nothing, or the two layers of the code."""

import shutil
import time
from pathlib import Path

import pytest

from tests.support.engine import CONTEXT, REPOSITORY, Engine, build_image
from tests.support.layers import added_layers, attributes

REBUILD_SECONDS = 30


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the image is made from, with other dates, other rights and files that do not belong."""
    folder = tmp_path / "checkout"
    shutil.copytree(REPOSITORY / "tac", folder / "tac", copy_function=shutil.copyfile)
    for name in CONTEXT:
        shutil.copyfile(REPOSITORY / name, folder / name)
    for path in folder.rglob("*.py"):
        path.chmod(0o600)
    (folder / ".env").write_text("AWS_SECRET_ACCESS_KEY=never\n")
    (folder / "tac-store").mkdir()
    return folder


def build(engine: Engine, folder: Path, *options: str) -> list[str]:
    """Build a throw-away image, and return the digests of its own layers."""
    tag = f"tac-test-{folder.parent.name.replace('_', '-').lower()}"
    build_image(engine, folder, tag, *options)
    layers = added_layers(engine, tag)
    engine.command("image", "rm", tag)
    return layers


@pytest.mark.timeout(900)
def test_the_labels_say_which_version_and_which_commit_were_built(engine, checkout):
    tag = "tac-test-labels"
    build_image(engine, checkout, tag, "--build-arg=VERSION=7.8.9", "--build-arg=REVISION=abc123")
    labels = attributes(engine, tag)["Config"]["Labels"]
    engine.command("image", "rm", tag)

    prefix = "org.opencontainers.image"
    assert {key: labels[f"{prefix}.{key}"] for key in ("version", "revision")} == {
        "version": "7.8.9",
        "revision": "abc123",
    }


@pytest.mark.timeout(900)
def test_a_build_from_nothing_gives_the_same_layers(engine, checkout):
    before = build(engine, checkout)
    assert build(engine, checkout, "--no-cache") == before


@pytest.mark.timeout(900)
def test_a_change_of_the_code_makes_its_own_layers_anew_in_seconds(engine, checkout):
    before = build(engine, checkout)
    with (checkout / "tac/average.py").open("a") as file:
        file.write("\nCHANGED = True\n")

    started = time.monotonic()
    after = build(engine, checkout)
    seconds = time.monotonic() - started

    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, False]
    assert seconds < REBUILD_SECONDS


@pytest.mark.timeout(900)
def test_what_does_not_belong_to_the_image_changes_nothing(engine, checkout):
    before = build(engine, checkout)
    (checkout / "tests").mkdir()
    (checkout / "tests/test_x.py").write_text("x = 1\n")
    (checkout / "README.md").write_text("# tac\n")
    (checkout / "tac/__pycache__").mkdir(exist_ok=True)
    (checkout / "tac/__pycache__/x.pyc").write_bytes(b"old")

    assert build(engine, checkout) == before
