"""`tac run --force`: what it deletes, what it asks, and what it leaves alone."""

from pathlib import Path

from tests.support.runs import tac_run

DAYS = ("--from", "2023-01-02", "--to", "2023-01-05")


def days_there(at: Path) -> list[str]:
    return sorted(path.stem for path in at.glob("*.txt"))


def make_days(at: Path) -> None:
    store = f"{at}"  # where --force looks for dates
    assert tac_run(at, "SumOfDays", *DAYS, "--quiet", "--store", store).code == 0
    assert tac_run(at, "SumOfDays", "--date", "2023-01-04", "--kind", "short").code == 0


def test_a_task_is_made_again_with_all_that_was_made_from_it(tmp_path):
    make_days(tmp_path)
    words = ("EachDay", "--date", "2023-01-03", "--store", tmp_path, "--force")

    shown = tac_run(tmp_path, *words, "--dry-run")
    kept = days_there(tmp_path)
    done = tac_run(tmp_path, *words, "--yes")

    listed = [
        f"delete  EachDay(at={tmp_path}, date=2023-01-03): {tmp_path}/EachDay-2023-01-03.txt",
        f"delete  SumOfDays(at={tmp_path}, date=2023-01-03, kind=long): "
        f"{tmp_path}/SumOfDays-2023-01-03-long.txt",
        f"delete  SumOfDays(at={tmp_path}, date=2023-01-04, kind=long): "
        f"{tmp_path}/SumOfDays-2023-01-04-long.txt",
        f"delete  SumOfDays(at={tmp_path}, date=2023-01-04, kind=short): "
        f"{tmp_path}/SumOfDays-2023-01-04-short.txt",
    ]
    unseen = "not looked at: Chain, InMemory, ManyInMemory, MidInMemory, whose parameters"
    assert shown.code == 0
    assert sorted(shown.out.splitlines()[:-1]) == sorted(listed)
    assert shown.out.splitlines()[-1] == f"{unseen} cannot be guessed"
    assert len(kept) == 5 + 4 + 1
    assert (done.code, done.out) == (0, f"{tmp_path}/EachDay-2023-01-03.txt\n")
    assert set(kept) - set(days_there(tmp_path)) == {
        "SumOfDays-2023-01-03-long",
        "SumOfDays-2023-01-04-long",
        "SumOfDays-2023-01-04-short",
    }


def test_without_a_terminal_and_without_yes_nothing_is_deleted(tmp_path):
    make_days(tmp_path)
    before = days_there(tmp_path)

    ended = tac_run(tmp_path, "EachDay", "--date", "2023-01-03", "--store", tmp_path, "--force")

    assert ended.code == 2
    assert ended.lines[-2:] == [
        "Error: --force: would delete the outputs of 4 tasks, and there is no terminal to ask on",
        "Hint: add --yes",
    ]
    assert days_there(tmp_path) == before


def test_an_output_that_cannot_be_deleted_is_named_and_left(tmp_path):
    (tmp_path / "kept.txt").touch()

    ended = tac_run(tmp_path, "Undeletable", "--force", "--yes")

    assert ended.code == 0
    assert ended.lines[0] == f"leave   Undeletable(at={tmp_path}): its output cannot be deleted"
