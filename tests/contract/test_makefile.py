"""The Makefile's options: on the command line, in the environment, and what each comes to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.make import OPTIONS, make

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The Makefile where nothing has been made yet."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt", "setup.py", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / "tac").mkdir()
    (tmp_path / "tac/__init__.py").write_text('__version__ = "1.2.3"\n')
    return tmp_path


@pytest.mark.parametrize(
    ("target", "option", "value", "command"),
    [
        ("cluster", "NODES", "2", "hack/kubernetes/up.sh 2"),
        (
            "run",
            "DATE",
            "2023-07-04",
            ".venv/bin/tac run Report --date 2023-07-04  ",
        ),
        (
            "run",
            "STORE",
            "s3://bucket/prefix",
            ".venv/bin/tac run Report --date 2023-03-01 --store s3://bucket/prefix ",
        ),
        ("unit", "ARGS", "-k store", ".venv/bin/pytest --tier unit -k store"),
        ("unit", "PYTHON", "python3.12", ".venv-python3.12/bin/pytest --tier unit "),
    ],
)
def test_an_option_may_be_an_environment_variable_and_the_command_line_wins(
    clone, target, option, value, command
):
    lines = [f"{option}={value} (environment)", command]

    by_environment = make(clone, "-n", target, variables={option: value}).stdout.splitlines()
    by_command_line = make(clone, "-n", target, f"{option}={value}").stdout.splitlines()
    by_both = make(clone, "-n", target, f"{option}={value}", variables={option: "another"})

    assert [by_environment[0], by_environment[-1]] == lines
    assert by_command_line == by_environment[1:]
    assert by_both.stdout.splitlines() == by_command_line


def test_the_menu_names_every_option_and_says_that_the_environment_counts(clone):
    shown = make(clone).stdout.splitlines()

    assert shown[:2] == [
        "make TARGET [PYTHON=python3.12] [DATE=2023-03-01] [STORE=s3://bucket/prefix] [NODES=2] "
        "[ARGS=...]",
        "Environment variables of these names count, too; `env -u ARGS make ...` leaves one out.",
    ]
    assert all(f"[{option}=" in shown[0] for option in OPTIONS)
    assert make(clone, variables={"ARGS": "-x"}).stdout.splitlines() == [
        "ARGS=-x (environment)",
        *shown,
    ]


def test_what_make_calls_its_own_things_is_not_taken_from_the_environment(clone):
    names = ("VENV", "BIN", "PIP", "LOCKED", "RUNS", "DEVS", "OPTIONS")

    plain = make(clone, "-n", "setup")
    disturbed = make(clone, "-n", "setup", variables=dict.fromkeys(names, "elsewhere"))

    assert (disturbed.returncode, disturbed.stdout) == (0, plain.stdout)


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 11, 0), (3, 14, 0)])
def test_a_python_that_tac_does_not_run_on_is_refused_before_anything_is_made(clone, version):
    python = clone / "a-python"
    pretend = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{pretend}" "$2"\n')
    python.chmod(0o755)

    ended = make(clone, "run", "PYTHON=./a-python")

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[0] == (
        "tac needs Python 3.11 (3.11.1 or newer), 3.12 or 3.13, and ./a-python is "
        f"{'.'.join(map(str, version))}. Try: make PYTHON=python3.12 ..."
    )
    assert not list(clone.glob(".venv*"))


# A stand-in for Docker's command, which writes down what it was asked to build.
DOCKER = '#!/bin/sh\nprintf "%s\\n" "$@" >asked\n'


@pytest.fixture
def path(tmp_path_factory) -> str:
    """A PATH on which `docker` is the stand-in."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"  # noqa: TID251 # a child's environment


def git(folder: Path, *words: str) -> str:
    """What git prints, independent of the user's own configuration."""
    own = ("user.name=x", "user.email=x@example.org", "commit.gpgsign=false")
    options = [word for setting in own for word in ("-c", setting)]
    ended = subprocess.run(
        ["git", *options, *words], cwd=folder, check=True, capture_output=True, timeout=60
    )
    return ended.stdout.decode().strip()


def built(folder: Path, path: str) -> list[str]:
    """What `make image` asks Docker for."""
    ceiling = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    ended = make(folder, "image", variables={"PATH": path, **ceiling})
    assert (ended.returncode, ended.stderr) == (0, "")
    return (folder / "asked").read_text().splitlines()


def image_of(revision: str) -> list[str]:
    labels = ("--build-arg", "VERSION=1.2.3", "--build-arg", f"REVISION={revision}")
    return ["build", "--tag", "tac", *labels, "."]


def test_an_image_is_labelled_with_the_commit_that_it_is_made_of(clone, path):
    git(clone, "init", "--quiet")
    git(clone, "add", "Makefile")
    git(clone, "commit", "--quiet", "--message", "first")
    commit = git(clone, "rev-parse", "HEAD")

    assert built(clone, path) == image_of(commit)
    with (clone / "Makefile").open("a") as file:
        file.write("# changed\n")
    assert built(clone, path) == image_of(f"{commit}-dirty")


def test_an_image_from_a_folder_without_commits_says_that_its_commit_is_unknown(clone, path):
    assert built(clone, path) == image_of("unknown")
