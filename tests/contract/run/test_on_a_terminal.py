"""The live view under a real terminal: what a person sees while a run goes on, and what remains."""

import os
import re

from tests.support.runs import MODULE, tac_run, wait_until
from tests.support.terminal import terminal


def test_what_runs_what_waits_and_how_far_it_is_are_shown_while_it_runs(tmp_path):
    with terminal(tmp_path, MODULE, "NeedsTells", "--at", str(tmp_path)) as screen:
        screen.wait_for("half way")
        screen.wait_for("0 of 2 done, ")
        seen = screen.text()
        (tmp_path / "TellsAndWaits.go").touch()
        code = screen.end()
        whole = screen.text()

    assert code == 0
    assert f"TellsAndWaits(at={tmp_path})" in seen
    assert "time left unknown yet" in seen
    assert "waiting: 1 NeedsTells" in seen
    assert re.search(r"2 ran, 0 were there already, \d+\.\d s\n", whole)
    assert whole.rstrip().endswith(f"{tmp_path}/NeedsTells.txt")


def test_force_asks_before_it_deletes(tmp_path):
    tac_run(tmp_path, "InThread")
    output = tmp_path / "InThread-0.txt"
    before = output.read_text()

    with terminal(tmp_path, MODULE, "InThread", "--force", "--at", str(tmp_path)) as screen:
        screen.wait_for("Delete the outputs of ")
        screen.type("n\n")
        refused = screen.end()
    kept = output.read_text()
    with terminal(tmp_path, MODULE, "InThread", "--force", "--at", str(tmp_path)) as screen:
        screen.wait_for("Delete the outputs of ")
        screen.type("y\n")
        agreed = screen.end()

    assert (refused, kept) == (0, before)
    assert (agreed, output.read_text() != before) == (0, True)


def test_ctrl_c_on_the_keyboard_stops_everything(tmp_path):
    with terminal(tmp_path, MODULE, "AllWait", "--workers", "3", "--at", str(tmp_path)) as screen:
        wait_until((tmp_path / "WaitsInProcess-1.began").exists, "tasks run")
        wait_until((tmp_path / "Waits.began").exists, "tasks run")
        os.killpg(screen.process.pid, 2)
        code = screen.end()

    assert code == 130
    assert (tmp_path / "Waits.stopped").exists()
