"""What is installed from a wheel is all of tac: it runs where no checkout is near."""

import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

import tac
from tac.build_id import STORED, build_id, compute_digest

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 100


def run(*command: object, cwd: Path, **variables: str) -> str:
    """What the command printed; the test ends with its complaint where it fails."""
    environment = {**os.environ, **variables}  # noqa: TID251 # a child needs PATH and HOME
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources(folder: Path) -> Path:
    """Copy what a wheel is built from, over what an earlier build left there."""
    source = folder / "source"
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tac", source / "tac", ignore=without, dirs_exist_ok=True)
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return source


def build(folder: Path) -> Path:
    """Build the wheel of the sources in a folder."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    source = folder / "source"
    run("-m", "pip", "wheel", *options, "--wheel-dir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: setuptools leaves its work beside the sources."""
    folder: Path = tmp_path_factory.mktemp("wheel")
    sources(folder)
    return build(folder)


def test_a_wheel_has_the_name_and_the_version_of_the_code(wheel):
    assert wheel.name == f"tac-{tac.__version__}-py3-none-any.whl"


def test_a_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tac").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in packed if ".dist-info/" not in name} == ours | {f"tac/{STORED}"}


def test_a_wheel_brings_the_digest_of_the_source_that_it_was_built_from(wheel, tmp_path):
    stored = zipfile.ZipFile(wheel).read(f"tac/{STORED}").decode()
    zipfile.ZipFile(wheel).extractall(tmp_path)
    own = "import tac.build_id; print(tac.build_id.build_id())"

    assert stored == f"{compute_digest(ROOT / 'tac')}\n"
    assert run("-c", own, cwd=tmp_path, PYTHONPATH=str(tmp_path)) == f"{build_id()}\n"
    # It is a file of the package for pip, so what is installed over it replaces it.
    record = zipfile.ZipFile(wheel).read(f"tac-{tac.__version__}.dist-info/RECORD").decode()
    assert f"\ntac/{STORED},sha256=" in record


def test_a_wheel_built_where_an_earlier_one_was_built_brings_the_digest_of_what_is_in_it(tmp_path):
    build(sources(tmp_path).parent)
    with (tmp_path / "source/tac/average.py").open("a") as file:
        file.write("EDITED = True\n")
    archive = zipfile.ZipFile(build(tmp_path))
    archive.extractall(tmp_path / "site")

    stored = archive.read(f"tac/{STORED}").decode()
    assert stored == f"{compute_digest(tmp_path / 'site/tac')}\n"


def test_a_wheel_says_what_it_needs_and_which_command_it_brings(wheel):
    archive = zipfile.ZipFile(wheel)
    about = f"tac-{tac.__version__}.dist-info"
    metadata = message_from_bytes(archive.read(f"{about}/METADATA"))
    assert SpecifierSet(metadata["Requires-Python"]) == SpecifierSet(">=3.11.1,<3.14")
    assert metadata["License-Expression"] == "MIT"
    assert f"{about}/licenses/LICENSE" in archive.namelist()
    assert archive.read(f"{about}/entry_points.txt").decode() == (
        "[console_scripts]\ntac = tac.cli:main\n"
    )


def test_a_step_from_a_wheel_reads_the_bundled_year_from_anywhere(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = run("-c", "import tac; print(tac.__file__)", cwd=elsewhere, PYTHONPATH=str(site))
    assert path.strip() == str(site / "tac/__init__.py")
    step = ("-m", "tac.fetch", "day.parquet", "--date", "2023-02-28")
    run(*step, cwd=elsewhere, PYTHONPATH=str(site))
    assert [path.name for path in elsewhere.iterdir()] == ["day.parquet"]
