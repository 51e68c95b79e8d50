import pytest

from tac.progress import Progress, format_progress, parse_progress


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(0, "opening"), "[  0 %] opening"),
        (Progress(40, "reading days: 2023-02-22"), "[ 40 %] reading days: 2023-02-22"),
        (Progress(100, ""), "[100 %] "),
    ],
)
def test_a_line_of_progress_is_read_as_it_was_written(progress, line):
    assert format_progress(progress) == line
    assert parse_progress(line) == progress
    assert parse_progress(line + "\r\n") == progress


@pytest.mark.parametrize(
    "line",
    [
        "",
        "reading",
        "[ 40 %]",
        "[101 %] more than all",
        "[ -1 %] less than nothing",
        " [ 40 %] indented",
        "[ 4.5 %] a part of a percent",
        "[    40 %] too wide",
    ],
)
def test_every_other_line_is_none(line):
    assert parse_progress(line) is None
