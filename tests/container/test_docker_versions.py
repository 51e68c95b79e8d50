"""A driver and an image that are not of one version of tac."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tac
from tests.support import runs
from tests.support.engine import Engine

DAY = "2023-03-01"
OTHER = "0.0.7"
# The bytecode is never compared with its source, so it has to go.
DOCKERFILE = """\
FROM {image}
USER root
RUN cd /opt/tac/lib/python3*/site-packages/tac && rm __pycache__/__init__.*.pyc && \\
    sed -i 's/^__version__ = .*/__version__ = "{version}"/' __init__.py
USER 65532:65532
"""


@pytest.fixture
def other_image(engine: Engine, image: str, tmp_path: Path) -> Iterator[str]:
    """The image under test, if it were of another version."""
    folder, tag = tmp_path / "image", f"{image.partition(':')[0]}:test-version"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE.format(image=image, version=OTHER))
    engine.command("build", "--quiet", f"--tag={tag}", str(folder), timeout=60)
    yield tag
    engine.command("image", "rm", tag)


@pytest.mark.parametrize("task", ["FetchData", "FetchSchedule"])
def test_a_driver_is_told_that_the_image_is_of_another_version(engine, other_image, tmp_path, task):
    variables = {"DOCKER_HOST": engine.host, "TAC_IMAGE": other_image}

    ended = runs.tac(tmp_path, "run", task, "--date", DAY, "--runner", "docker", **variables)

    assert ended.code == 30
    assert re.sub(r"step/[\w-]+", "step/x", ended.err).count("step/x: cannot be done") == 1
    assert (
        f"cannot be done as asked, exit code 2: tac {OTHER} runs this step, "
        f"and tac {tac.__version__} asked for it: they must be one version\n"
    ) in ended.err
    assert (
        "Hint: build the image from the driver's checkout (`make image`), "
        f"name another (`--image`), or install tac {OTHER} where the driver runs\n"
    ) in ended.err
    assert not list(tmp_path.rglob("*.parquet"))
