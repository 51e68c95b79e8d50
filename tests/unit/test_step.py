"""The frame around every step, driven as click drives it; tests/contract/ runs real processes."""

import signal

import click
import pytest
from click.testing import CliRunner

import tac
from tac.build_id import build_id
from tac.errors import DataError, StorageUnavailable
from tac.step import Output, format_size, progress, say, step


@step(suffixes=(".parquet", ".csv"))
@click.argument("does")
def example(out: Output, does: str) -> None:
    """Write what it gets."""
    with out.create() as file:
        file.write(b"some bytes")
        if does == "data":
            raise DataError("in.parquet: 3 rows are wrong", hint="look at row 7")
        if does == "away":
            raise StorageUnavailable("s3://b/k: no answer within 10 s")
        if does == "full":
            raise OSError(28, "No space left on device", "/disk/file")
        if does == "interrupt":
            raise KeyboardInterrupt
        if does == "terminate":
            signal.raise_signal(signal.SIGTERM)
        if does == "bug":
            raise ZeroDivisionError


def run(*arguments: str):
    return CliRunner().invoke(example, list(arguments))


def test_an_output_is_written_and_said(tmp_path):
    out = tmp_path / "deep" / "out.csv"

    result = run(str(out), "well")

    assert (result.exit_code, result.stderr) == (0, f"{out}: written, 10 bytes\n")
    assert out.read_bytes() == b"some bytes"


def test_an_output_that_is_there_is_left_alone(tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("first", encoding="utf-8")

    result = run(str(out), "bug")

    assert result.exit_code == 0
    assert result.stderr.startswith(f"{out}: exists, 5 bytes, made 2")
    assert result.stderr.endswith(" UTC by an unknown version; nothing to do\n")
    assert out.read_text(encoding="utf-8") == "first"


@pytest.mark.parametrize(
    "command", [("{out}", "well"), ("{out}", "--new-option"), ("{there}", "well")]
)
@pytest.mark.parametrize("asked", ["7.8.9", tac.__version__, f"{tac.__version__}+0123456789ab"])
def test_a_driver_of_another_build_is_refused_before_its_command_is_read(
    tmp_path, monkeypatch, command, asked
):
    monkeypatch.setenv("TAC_DRIVER_VERSION", asked)
    out, there = tmp_path / "out.csv", tmp_path / "there.csv"
    there.write_text("first", encoding="utf-8")

    result = run(*(word.format(out=out, there=there) for word in command))

    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: tac {build_id()} runs this step, and tac {asked} asked for it: "
        "they must be one build\n"
        "Hint: build the image from the driver's checkout (`make image`), on Kubernetes load or "
        "push it too, or name another (`--image`); TAC_CHECK_BUILD=no is for developers of tac\n",
    )
    assert list(tmp_path.iterdir()) == [there]


@pytest.mark.parametrize("asked", [build_id(), ""])
def test_a_driver_of_this_build_is_obeyed(tmp_path, monkeypatch, asked):
    monkeypatch.setenv("TAC_DRIVER_VERSION", asked)

    assert run(str(tmp_path / "out.csv"), "well").exit_code == 0


@pytest.mark.parametrize(
    ("does", "code", "words"),
    [
        ("data", 65, "Error: in.parquet: 3 rows are wrong\nHint: look at row 7\n"),
        ("away", 75, "Error: s3://b/k: no answer within 10 s\n"),
        (
            "full",
            75,
            "Error: {out}: could not be written: No space left on device\n"
            "Hint: free disk space: `df -h {out.parent}`\n",
        ),
        ("interrupt", 130, "stopped; nothing was written\n"),
        ("terminate", 143, None),
        ("bug", 1, None),
    ],
)
def test_an_error_has_its_exit_code_and_nothing_is_written(tmp_path, does, code, words):
    out = tmp_path / "out.parquet"

    result = run(str(out), does)

    assert result.exit_code == code
    assert words is None or result.stderr == words.format(out=out)
    assert list(tmp_path.iterdir()) == []


def test_an_output_of_another_format_is_refused(tmp_path):
    result = run(str(tmp_path / "out.txt"), "well")

    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        f"Error: Invalid value for 'OUT': '{tmp_path}/out.txt' does not end in .parquet or .csv."
    )


def test_a_hyphen_writes_to_standard_output():
    result = run("-", "well")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "some bytes", "")


def test_progress_in_a_log_is_plain_lines(capsys):
    with progress("reading", total=4) as bar:
        for day in ("a", "b", "c", "d"):
            bar.advance(day)

    # The lines between come at most once a second; the first and the last always come.
    assert capsys.readouterr().err == "[ 25 %] reading: a\n[100 %] reading: d\n"


def test_messages_go_to_stderr(capsys):
    say("hello")

    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (48_211, "48.2 kB"), (7e6, "7 MB"), (2.5e9, "2.5 GB")],
)
def test_a_size_reads_well(size, text):
    assert format_size(int(size)) == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--number", "1", "--number", "2"], "Error: --number: is given twice\n"),
        (["--number=1", "-n", "1"], "Error: --number: is given twice\n"),
        (["--number", "1", "--tag", "a", "--tag", "b", "--loud", "--loud"], "1 a b True\n"),
    ],
)
def test_an_option_given_twice_is_refused_unless_it_takes_several(tmp_path, words, said):
    @step(suffixes=(".txt",))
    @click.option("--number", "-n", type=int)
    @click.option("--tag", multiple=True)
    @click.option("--loud", is_flag=True)
    def main(out: Output, number: int, tag: tuple[str, ...], loud: bool) -> None:
        say(f"{number} {' '.join(tag)} {loud}")

    result = CliRunner().invoke(main, [str(tmp_path / "out.txt"), *words])

    assert (result.exit_code, result.stderr) == (0 if "Error" not in said else 2, said)
