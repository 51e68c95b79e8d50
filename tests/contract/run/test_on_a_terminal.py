"""The live view under a real terminal: what it shows during a run, and what remains."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.runs import MODULE, command, tac_run, wait_until
from tests.support.terminal import Terminal, terminal

WHOLE = 30
"""Characters of the bar of a run, and..."""
OWN = 12
"""of that of a task."""


@contextmanager
def on_a_terminal(at: Path, *words: object) -> Iterator[Terminal]:
    argv = command("run", "--module", MODULE, *words, "--at", at)
    # Without colours rich draws of a bar only what is done.
    with terminal(at, argv, NO_COLOR="1") as screen:
        yield screen


def bar(line: str) -> float:
    """How long a bar is; its last half has a character of its own."""
    return line.count("━") + line.count("╸") / 2


def row_of(lines: list[str], words: str) -> str:
    return next((line for line in lines if words in line), "")


def test_what_runs_what_waits_and_how_far_it_is_are_shown_while_it_runs(tmp_path):
    with on_a_terminal(tmp_path, "NeedsTells") as screen:
        seen = screen.wait_for("half way")
        (tmp_path / "TellsAndWaits.go").touch()
        code = screen.end()
        remains = screen.screen.lines

    assert code == 0
    header, row, waiting = [re.sub(r"\d+\.\d s", "T s", line.strip()) for line in seen]
    assert header == "0 of 2 done, T s, time left unknown yet"
    assert row.startswith(f"TellsAndWaits(at={tmp_path})"[:40])
    assert row.split()[-5:] == [OWN // 2 * "━", "T", "s", "half", "way"]
    assert waiting == "waiting: 1 NeedsTells"
    assert re.fullmatch(r"2 ran, 0 were complete, \d+\.\d s", remains[0])
    assert remains[1:] == [f"{tmp_path}/NeedsTells.txt"]


def test_the_bar_of_a_run_grows_with_each_task_that_is_done_and_is_erased_in_the_end(tmp_path):
    lengths = []
    with on_a_terminal(tmp_path, "AllWait", "--workers", "3") as screen:
        for done, name in enumerate(("Waits", "WaitsInProcess-0", "WaitsInProcess-1")):
            header = row_of(screen.wait_for(f"{done} of 4 done, "), " of 4 done, ")
            lengths.append(bar(header))
            (tmp_path / f"{name}.go").touch()
        code = screen.end()

    assert code == 0
    assert lengths == [0, WHOLE * 1 / 4, WHOLE * 2 / 4]
    assert [line for line in screen.screen.lines if bar(line) or " done, " in line] == []
    assert screen.screen.cursor_is_seen


def test_the_bar_of_a_task_grows_with_its_progress(tmp_path):
    lengths = []
    with on_a_terminal(tmp_path, "TellsTwice") as screen:
        for percent in (25, 75):
            row = row_of(screen.wait_for(f"at {percent}"), f"at {percent}")
            lengths.append(bar(row))
            (tmp_path / f"TellsTwice.{percent}").touch()
        code = screen.end()

    assert code == 0
    assert lengths == [OWN * 1 / 4, OWN * 3 / 4]


def test_the_elapsed_time_of_a_task_advances_although_nothing_happens(tmp_path):
    with on_a_terminal(tmp_path, "Waits") as screen:
        screen.wait_for("Waits(at=")
        first = screen.wait_until(lambda lines: re.search(r"done, \d\.\d s", lines[0]), "a time")[0]
        screen.wait_until(lambda lines: lines[0] != first, "another time")
        (tmp_path / "Waits.go").touch()
        assert screen.end() == 0


def test_what_fails_stays_above_the_view_and_the_view_does_not(tmp_path):
    with on_a_terminal(tmp_path, "Fails") as screen:
        code = screen.end()

    assert code == 30
    name = f"Fails(at={tmp_path}, bug=False)"
    whole = " ".join(" ".join(screen.screen.lines).split())
    assert f"{name}: failed: flights/2023-03-01.parquet: is empty." in whole
    assert " done, " not in whole
    assert screen.screen.cursor_is_seen


@pytest.mark.parametrize("words", [["--quiet"], ["--verbose"]])
def test_no_view_is_drawn_for_who_wants_less_or_more(tmp_path, words):
    with on_a_terminal(tmp_path, "InThread", *words) as screen:
        code = screen.end()

    assert code == 0
    assert " of 1 done, " not in screen.text
    assert screen.screen.lines[-1] == f"{tmp_path}/InThread-0.txt"


def test_force_asks_before_it_deletes(tmp_path):
    tac_run(tmp_path, "InThread")
    output = tmp_path / "InThread-0.txt"
    before = output.read_text()

    with on_a_terminal(tmp_path, "InThread", "--force") as screen:
        screen.wait_for("Delete the outputs of ")
        screen.type("n\n")
        refused = screen.end()
    kept = output.read_text()
    with on_a_terminal(tmp_path, "InThread", "--force") as screen:
        screen.wait_for("Delete the outputs of ")
        screen.type("y\n")
        agreed = screen.end()

    assert (refused, kept) == (0, before)
    assert (agreed, output.read_text() != before) == (0, True)


def test_ctrl_c_on_the_keyboard_stops_everything_and_removes_the_view(tmp_path):
    with on_a_terminal(tmp_path, "AllWait", "--workers", "3") as screen:
        wait_until((tmp_path / "WaitsInProcess-1.began").exists, "tasks run")
        wait_until((tmp_path / "Waits.began").exists, "tasks run")
        screen.wait_for("0 of 4 done, ")
        os.killpg(screen.process.pid, 2)
        code = screen.end()

    assert code == 130
    assert (tmp_path / "Waits.stopped").exists()
    assert [line for line in screen.screen.lines if " of 4 done, " in line] == []
    assert screen.screen.cursor_is_seen
