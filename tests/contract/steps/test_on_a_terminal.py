"""The bar of a step under a real terminal: it is drawn, it moves, and it leaves one line behind."""

import re

import pytest

from tac.flights import BASELINE
from tests.support.flights import command_of, encode, predicted, schedule, window
from tests.support.terminal import terminal

_BAR = re.compile(r"averaging  \[#*-*\] +(\d+)%")


@pytest.fixture
def predictions(tmp_path):
    paths = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    said = encode(predicted(BASELINE, window(), schedule()))
    for path in paths:
        path.write_bytes(said)
    return paths


def test_the_bar_moves_to_its_end_in_one_line(tmp_path, predictions):
    out = tmp_path / "out.parquet"
    argv = command_of("average", out, *predictions)
    with terminal(tmp_path, argv, COLUMNS="300") as screen:
        code = screen.end()

    assert code == 0
    drawn = _BAR.findall(screen.written)
    assert list(dict.fromkeys(drawn)) == ["0", "33", "66", "100"]
    written, whole = screen.screen.lines  # messages are above the bar, and not in its line
    assert re.fullmatch(rf"{out}: written, [\d.]+ kB", written)
    assert re.fullmatch(rf"averaging  \[#{{20}}\]  100%  {out}", whole)
    assert re.findall(r"\[ *\d+ %\]", screen.text) == []  # these are for logs
    assert screen.screen.cursor_is_seen


@pytest.mark.parametrize("columns", [60, 80])
def test_the_bar_fits_into_its_line(tmp_path, predictions, columns):
    out = tmp_path / "out.parquet"
    argv = command_of("average", out, *predictions)
    with terminal(tmp_path, argv, COLUMNS=str(columns)) as screen:
        code = screen.end()

    bars = [line for lines in screen.frames for line in lines if _BAR.match(line)]
    assert code == 0
    assert [line for line in bars if len(line) >= columns] == []
    assert bars[-1].startswith(f"averaging  [{'#' * 20}]  100%")
    assert bars[-1].endswith("rquet")
    assert "%  …" in bars[-1]


def test_a_bar_that_ends_before_its_end_stays_and_gives_the_cursor_back(tmp_path, predictions):
    predictions[1].write_bytes(b"broken")
    with terminal(
        tmp_path, command_of("average", tmp_path / "out.parquet", *predictions)
    ) as screen:
        code = screen.end()

    assert code == 65
    bar, error = screen.screen.lines[:2]
    assert _BAR.match(bar)
    assert error.startswith(f"Error: {predictions[1]}: ")
    assert screen.screen.cursor_is_seen
