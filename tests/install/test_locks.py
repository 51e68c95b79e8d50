"""The oldest pip of each supported Python installs what is locked, by the Makefile's own commands.

Newer versions of everything lie beside the locked ones, as they do in an index after some weeks.
pip up to 23.2 took the newest coverage, because one package asks for an extra that the lock has
without its name.

It is tried with each Python from the oldest of this machine on: that one installs everything, the
newer ones say what they would install, and for one that is not here the oldest pretends to be it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import tac
from tests.support.make import make
from tests.support.wheels import NEWER, locked, locked_wheels, make_newer_wheels, offline

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.txt", "requirements-dev.txt")
SOURCES = (*LOCKS, "Makefile", "setup.py", "pyproject.toml", "LICENSE")
ALL = ROOT / "requirements-dev.txt"
INSTALL_SECONDS = 400

OLDEST_PIPS = {
    version: line
    for line, version in re.findall(
        r"^(pip==.*) # Python (3\.\d+)$",
        Path(__file__).with_name("oldest-pips.txt").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}

pytestmark = pytest.mark.timeout(900)


def run(*command: str, **variables: str) -> str:
    """Run a command to its end and return what it printed; the test ends with its complaint."""
    own = os.environ  # noqa: TID251 # a child's environment
    ended = subprocess.run(
        command,
        env={**own, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, f"{command}: exit {ended.returncode}\n{ended.stderr[-3000:]}"
    return ended.stdout


def find_pythons() -> dict[str, str]:
    """Return the program of each Python of this machine by its minor version, the oldest first."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # noqa: TID251 # for the search
    lines = run(str(ROOT / "hack/pythons.sh"), PATH=path).splitlines()
    pairs = (line.split(" ", 1) for line in lines)
    return {version.rpartition(".")[0]: program for version, program in pairs}


PYTHONS = find_pythons()
OLDEST, *NEWER_ONES = list(OLDEST_PIPS)[list(OLDEST_PIPS).index(next(iter(PYTHONS))) :]


@dataclass(frozen=True)
class Clone:
    """A copy of the repository in whose environment an old pip stands, and nothing else."""

    folder: Path
    variables: dict[str, str]

    def make(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return make(self.folder, *words, seconds=INSTALL_SECONDS, variables=self.variables)

    def list_commands(self) -> list[str]:
        """The commands by which `make setup` installs the locks."""
        lines = self.make("-n", "setup").stdout.splitlines()
        return [line for line in lines if " install " in line and " --requirement " in line]

    def would_install(self, command: str) -> dict[str, str]:
        """What the command says that it would install, here or where this Python pretends to be."""
        report = self.folder / "report.json"
        only_say = {"PIP_DRY_RUN": "1", "PIP_IGNORE_INSTALLED": "1", "PIP_REPORT": str(report)}
        there = f"cd '{self.folder}' && {command}"
        run("sh", "-c", there, **self.variables, **only_say)
        packages = (each["metadata"] for each in json.loads(report.read_text())["install"])
        return {canonical(package["name"]): package["version"] for package in packages}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def clone(folder: Path, version: str) -> Clone:
    """Copy what make needs, and make the environment as `make` would, but with an old pip."""
    program = PYTHONS.get(version) or PYTHONS[OLDEST]
    pip = folder / "pip.txt"
    pip.write_text(OLDEST_PIPS[version])
    variables = offline(
        locked_wheels(pip, version),
        locked_wheels(ALL, version),
        make_newer_wheels(folder / "newer", locked(ALL)),
    )
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "tac", folder / "tac", ignore=shutil.ignore_patterns("__pycache__"))
    run(program, "-m", "venv", "--without-pip", str(folder / ".venv"))
    old = f"pip-{locked(pip)['pip']}-py3-none-any.whl"
    python = str(folder / ".venv/bin/python")
    (wheels, *_) = variables["PIP_FIND_LINKS"].split()
    run(python, f"{wheels}/{old}/pip", "install", f"{wheels}/{old}", **variables)
    (folder / ".venv/.made").touch()
    if version not in PYTHONS:
        target = str(folder / "target")
        pretend = {"PIP_PYTHON_VERSION": version, "PIP_ONLY_BINARY": ":all:", "PIP_TARGET": target}
        variables = {**variables, **pretend}
    return Clone(folder, variables)


@pytest.mark.parametrize("version", [OLDEST])
def test_what_is_locked_is_installed_and_nothing_else(tmp_path, version):
    cloned = clone(tmp_path, version)

    ended = cloned.make("setup")

    assert ended.returncode == 0, ended.stderr
    listed = run(str(tmp_path / ".venv/bin/python"), "-m", "pip", "list", "--format=json")
    installed = {canonical(each["name"]): each["version"] for each in json.loads(listed)}
    (pip,) = locked(tmp_path / "pip.txt").items()
    assert installed == dict([*locked(ALL).items(), ("tac", tac.__version__), pip])


@pytest.mark.parametrize("version", NEWER_ONES)
def test_what_is_locked_would_be_installed_and_nothing_else(tmp_path, version):
    cloned = clone(tmp_path, version)

    installed = [cloned.would_install(command) for command in cloned.list_commands()]

    assert installed == [locked(ROOT / lock) for lock in LOCKS]


def test_without_a_lock_the_newer_ones_would_be_installed(tmp_path):
    cloned = clone(tmp_path, OLDEST)
    makefile = tmp_path / "Makefile"
    makefile.write_text(makefile.read_text().replace("--no-deps --require-hashes ", ""))
    for lock in LOCKS:
        (tmp_path / lock).write_text("".join(f"{name}\n" for name in locked(ROOT / lock)))

    installed = [cloned.would_install(command) for command in cloned.list_commands()]

    assert installed == [dict.fromkeys(locked(ROOT / lock), NEWER) for lock in LOCKS]
