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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: setuptools leaves its work beside the sources."""
    folder: Path = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "tac", source / "tac", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run("-m", "pip", "wheel", *options, "--wheel-dir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_has_the_name_and_the_version_of_the_code(wheel):
    assert wheel.name == f"tac-{tac.__version__}-py3-none-any.whl"


def test_a_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tac").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in packed if ".dist-info/" not in name} == ours


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
