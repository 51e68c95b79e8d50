"""What is shown during a run: counts, estimates, lines."""

import pytest

from tac.live import Board, PlainLines, header_text, seconds_text, waiting_text
from tac.observer import Planned, TaskFailure


def planned(*names, complete=False):
    return [Planned(name, name.rstrip("0123456789"), f"{name}()", (), complete) for name in names]


def board_of(*names, workers=1):
    board = Board(workers)
    board.plan(planned(*names))
    return board


def run(board, name, began, ended):
    board.start(name, began)
    board.finish(name, ended)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (0.44, "0.4 s"), (12.3, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_read_as_a_person_says_them(seconds, text):
    assert seconds_text(seconds) == text


def test_the_time_left_is_unknown_until_one_of_each_kind_has_run():
    board = board_of("Fetch1", "Fetch2", "Predict1")

    unknown = board.seconds_left(0)
    run(board, "Fetch1", 0, 2)
    still_unknown = board.seconds_left(2)
    run(board, "Predict1", 2, 12)

    assert (unknown, still_unknown, board.seconds_left(12)) == (None, None, 2)


def test_the_time_left_is_shared_by_the_workers_and_never_less_than_the_longest():
    board = board_of("Fetch1", "Fetch2", "Fetch3", "Fetch4", "Fetch5", workers=2)
    run(board, "Fetch1", 0, 4)

    four_left = board.seconds_left(4)
    board.start("Fetch2", 4)
    run(board, "Fetch3", 4, 8)
    run(board, "Fetch4", 4, 8)

    assert four_left == 8
    assert board.seconds_left(5) == 3.5  # half of 3 s of Fetch2 and 4 s of Fetch5
    board.start("Fetch5", 8)
    assert board.seconds_left(9) == 3  # Fetch5 alone


def test_the_header_counts_and_estimates():
    board = board_of("Fetch1", "Fetch2", "Predict1")
    run(board, "Fetch1", 0, 2)
    board.start("Fetch2", 2)
    before = header_text(board, 3, 0), waiting_text(board)
    board.fail("Fetch2")

    assert before == ("1 of 3 done, 3.0 s, time left unknown yet", "waiting: 1 Predict")
    assert header_text(board, 4, 0) == "1 of 3 done, 1 failed, 4.0 s, time left unknown yet"


def test_a_complete_task_is_not_to_be_run():
    board = board_of("Fetch1")
    board.plan(planned("Fetch2", complete=True))

    assert (board.to_run, board.complete) == (1, 1)


def test_lines_report_each_end_and_nothing_else():
    said: list[str] = []
    now = [0.0]
    lines = PlainLines(said.append, lambda: now[0])

    lines.planned(planned("Fetch1", "Fetch2"))
    lines.started("Fetch1")
    lines.progressed("Fetch1", percent=50, text="half way")
    now[0] = 1.5
    lines.finished("Fetch1")
    lines.started("Fetch2")
    lines.suspended("Fetch2", ["Fetch3"])
    lines.planned(planned("Fetch3"))
    lines.started("Fetch3")
    lines.failed("Fetch3", TaskFailure("no data"), again=True)
    lines.started("Fetch3")
    lines.failed("Fetch3", TaskFailure("no data"), again=False)
    lines.notice("luigid is away")

    assert said == [
        "[1/2] Fetch1(): done in 1.5 s",
        "[1/2] Fetch2(): needs 1 more first",
        "[2/3] Fetch3(): failed, and is tried again: no data",
        "[2/3] Fetch3(): failed",
        "luigid is away",
    ]
