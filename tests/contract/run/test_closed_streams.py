"""What `tac` does with its standard input, output or error closed."""

import shlex
import subprocess

import pytest

from tests.support.runs import DEADLINE_SECONDS, MODULE, command, environment, tac


def shell(at, script, *words):
    """Run `tac WORDS…` as the `$TAC` of a shell's script."""
    return subprocess.run(
        ["bash", "-c", script],
        cwd=at,
        env=environment(at, TAC=shlex.join(command(*words))),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


def run(at, *words):
    return ("run", "--module", MODULE, "Mixed", "--at", at, *words)


@pytest.mark.parametrize(
    ("closed", "out"),
    [(">&-", ""), ("2>&-", "{at}/Mixed.txt\n"), (">&- 2>&-", ""), ("<&-", "{at}/Mixed.txt\n")],
)
def test_a_stream_that_is_closed_changes_nothing_for_the_run(tmp_path, closed, out):
    ended = shell(tmp_path, f"$TAC {closed}", *run(tmp_path))

    assert (ended.returncode, ended.stdout) == (0, out.format(at=tmp_path)), ended.stderr
    assert (tmp_path / "Mixed.txt").exists()


@pytest.mark.parametrize("broken", ["2> >(:)", "2>/dev/full"])
def test_messages_that_cannot_be_written_end_no_run(tmp_path, broken):
    ended = shell(tmp_path, f"$TAC {broken}", *run(tmp_path))

    assert (ended.returncode, ended.stdout) == (0, f"{tmp_path}/Mixed.txt\n")
    assert (tmp_path / "Mixed.txt").exists()


def test_without_stdin_force_cannot_ask(tmp_path):
    assert tac(tmp_path, *run(tmp_path)).code == 0

    ended = shell(tmp_path, "$TAC <&-", *run(tmp_path, "--force"))

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == "Hint: add --yes"


def test_a_closed_pipe_is_no_error_of_tac(tmp_path):
    ended = shell(tmp_path, "$TAC > >(:)", *run(tmp_path, "--dry-run"))

    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("words", [(), ("run",), ("evaluate",)], ids=" ".join)
def test_a_command_without_arguments_shows_its_help_page(tmp_path, words):
    bare, asked = tac(tmp_path, *words), tac(tmp_path, *words, "--help")

    assert (bare.code, bare.out) == (2, "")
    assert bare.err == asked.out
