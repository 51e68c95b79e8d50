"""A driver and an image: of one build, of two, and the images that people make from ours."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tac
from tac.build_id import build_id, compute_digest
from tests.support import runs
from tests.support.engine import CONTEXT, REPOSITORY, Engine, build_image

DAY = "2023-03-01"
# With a module of its own beside tac, as a pipeline of a user has.
OWN_PIPELINE = """\
FROM {image}
USER root
RUN echo 'STEPS = 1' >"$(echo /opt/tac/lib/python3*/site-packages)/own_pipeline.py"
USER 65532:65532
"""


@pytest.fixture(scope="module")
def other_build(
    engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """An image from a checkout in which one module was edited, and how it calls itself."""
    folder = tmp_path_factory.mktemp("other") / "checkout"
    shutil.copytree(REPOSITORY / "tac", folder / "tac")
    for name in CONTEXT:
        shutil.copyfile(REPOSITORY / name, folder / name)
    with (folder / "tac/average.py").open("a") as file:
        file.write("\nEDITED = True\n")
    tag = f"{image.partition(':')[0]}:test-build"
    build_image(engine, folder, tag)
    yield tag, f"{tac.__version__}+{compute_digest(folder / 'tac')}"
    engine.command("image", "rm", tag)


@pytest.fixture
def image_from_ours(engine: Engine, image: str, tmp_path: Path) -> Iterator[str]:
    folder, tag = tmp_path / "from-ours", f"{image.partition(':')[0]}:test-from-ours"
    folder.mkdir()
    (folder / "Dockerfile").write_text(OWN_PIPELINE.format(image=image))
    engine.command("build", "--quiet", f"--tag={tag}", str(folder), timeout=60)
    yield tag
    engine.command("image", "rm", tag)


def fetch(engine: Engine, folder: Path, image: str, task: str, check: str = "yes") -> runs.Ended:
    return runs.tac(
        *(folder, "run", task, "--date", DAY, "--runner", "docker"),
        DOCKER_HOST=engine.host,
        TAC_IMAGE=image,
        TAC_CHECK_BUILD=check,
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("task", ["FetchData", "FetchSchedule"])
def test_an_image_of_another_build_is_reported_to_the_driver(engine, other_build, tmp_path, task):
    image, other = other_build

    ended = fetch(engine, tmp_path, image, task)

    assert ended.code == 30
    assert (
        f"cannot be done as asked, exit code 2: tac {other} runs this step, "
        f"and tac {build_id()} asked for it: they must be one build\n"
    ) in ended.err
    assert (
        "Hint: build the image from the driver's checkout (`make image`), on Kubernetes load or "
        "push it too, or name another (`--image`); TAC_CHECK_BUILD=no is for developers of tac\n"
    ) in ended.err
    assert not list(tmp_path.glob("**/flights/*.parquet"))


@pytest.mark.timeout(900)
def test_who_edits_tac_may_use_an_image_of_another_build(engine, other_build, tmp_path):
    ended = fetch(engine, tmp_path, other_build[0], "FetchData", check="no")

    assert ended.code == 0, ended.err
    assert (tmp_path / f"store/flights/{DAY}.parquet").is_file()


@pytest.mark.timeout(900)
def test_an_image_made_from_ours_is_of_the_same_build(engine, image_from_ours, tmp_path):
    ended = fetch(engine, tmp_path, image_from_ours, "FetchData")

    assert ended.code == 0, ended.err
    assert (tmp_path / f"store/flights/{DAY}.parquet").is_file()


@pytest.mark.timeout(900)
def test_an_image_brings_the_digest_of_what_it_was_built_from(engine, image):
    words = "import tac.build_id as b; print(b.build_id(), b.compute_digest(b._PACKAGE))"

    said = engine.command("run", "--rm", "--network=none", image, "python", "-c", words)

    assert said.split() == [build_id(), build_id().partition("+")[2]]
