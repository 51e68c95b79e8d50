"""What `tac run` says, prints and exits with, for each way a small pipeline can end."""

import re
from pathlib import Path

import pytest

from tests.support.runs import tac, tac_run


def go_on(task: str, at: Path) -> str:
    command = f"tac run --module tests.support.tasks {task} --at {at}"
    return f"What is done stays done. To continue: {command}"


def test_a_pipeline_runs_once_and_says_where_its_result_is(tmp_path):
    first = tac_run(tmp_path, "Mixed")
    second = tac_run(tmp_path, "Mixed")

    assert (first.code, first.out) == (0, f"{tmp_path}/Mixed.txt\n")
    assert first.lines == [
        f"[1/3] InThread(at={tmp_path}, number=0): done in T s",
        f"[2/3] InProcess(at={tmp_path}, number=0): done in T s",
        f"[3/3] Mixed(at={tmp_path}): done in T s",
        "3 ran, 0 were complete, T s",
    ]
    assert (second.code, second.out) == (0, f"{tmp_path}/Mixed.txt\n")
    assert second.lines == [f"Mixed(at={tmp_path}): complete, nothing to do"]


def test_a_task_in_a_thread_is_the_driver_and_every_other_is_a_process_of_its_own(tmp_path):
    tac_run(tmp_path, "Mixed")

    pids = {name: (tmp_path / f"{name}.txt").read_text() for name in ("Mixed", "InThread-0")}
    assert pids["Mixed"] == pids["InThread-0"]
    assert (tmp_path / "InProcess-0.txt").read_text() != pids["Mixed"]


def test_quiet_leaves_the_results(tmp_path):
    ended = tac_run(tmp_path, "Mixed", "--quiet")

    assert (ended.code, ended.out, ended.err) == (0, f"{tmp_path}/Mixed.txt\n", "")


FAILURES = [
    (
        "Fails",
        30,
        [
            "[1/1] Fails(at={at}, bug=False): failed",
            "Error: Fails(at={at}, bug=False): flights/2023-03-01.parquet: is empty.",
            "Hint: fetch it again",
            "{go_on}",
            "0 ran, 1 failed, 0 were complete, T s",
        ],
    ),
    (
        "FailsInProcess",
        30,
        [
            "[1/1] FailsInProcess(at={at}, bug=False): failed",
            "Error: FailsInProcess(at={at}, bug=False): flights/2023-03-01.parquet: is empty.",
            "Hint: fetch it again",
            "{go_on}",
            "0 ran, 1 failed, 0 were complete, T s",
        ],
    ),
    (
        "Above",
        30,
        [
            "[1/4] Fails(at={at}, bug=False): failed",
            "[2/4] InThread(at={at}, number=0): done in T s",
            "Error: Fails(at={at}, bug=False): flights/2023-03-01.parquet: is empty.",
            "Hint: fetch it again",
            "Not run because of it: NeedsFails(at={at}), Above(at={at})",
            "{go_on}",
            "1 ran, 1 failed, 2 were not run, 0 were complete, T s",
        ],
    ),
    (
        "NeedsFromElsewhere",
        20,
        [
            "Error: FromElsewhere(at={at}): is not there, and comes from elsewhere",
            "Not run because of it: NeedsFromElsewhere(at={at})",
            "{go_on}",
            "0 ran, 1 missing, 1 was not run, 0 were complete, T s",
        ],
    ),
    (
        "Unpicklable",
        30,
        [
            "[1/1] Unpicklable(at={at}): failed",
            "Error: Unpicklable(at={at}): cannot be sent to a process of its own: "
            "cannot pickle '_thread.lock' object",
            "Hint: make what cannot be pickled in run(), or give the task `runs_in_thread = True`",
            "{go_on}",
            "0 ran, 1 failed, 0 were complete, T s",
        ],
    ),
    (
        "ExitsZero",
        30,
        [
            "[1/1] ExitsZero(at={at}): failed",
            "Error: ExitsZero(at={at}): its process ended with exit code 0 and without a result",
            "{go_on}",
            "0 ran, 1 failed, 0 were complete, T s",
        ],
    ),
    (
        "KillsItself",
        30,
        [
            "[1/1] KillsItself(at={at}): failed",
            "Error: KillsItself(at={at}): its process was ended by SIGKILL",
            "{go_on}",
            "0 ran, 1 failed, 0 were complete, T s",
        ],
    ),
    (
        "WritesNothing",
        30,
        [
            "[1/1] WritesNothing(at={at}): failed",
            "Error: WritesNothing(at={at}): ended without an error, and its output does not exist",
            "Hint: run() has to create what output() names",
            "{go_on}",
            "0 ran, 1 failed, 0 were complete, T s",
        ],
    ),
    (
        "TimesOut",
        30,
        [
            "[1/1] TimesOut(at={at}): failed",
            "Error: TimesOut(at={at}): took longer than 1 s, its worker_timeout",
            "{go_on}",
            "0 ran, 1 failed, 0 were complete, T s",
        ],
    ),
]


@pytest.mark.parametrize(("task", "code", "lines"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_failure_says_what_why_and_how_to_go_on(tmp_path, task, code, lines):
    ended = tac_run(tmp_path, task, "--workers", 1)

    assert (ended.code, ended.out) == (code, "")
    again = go_on(task, tmp_path) + " --workers 1"
    assert ended.lines == [line.format(at=tmp_path, go_on=again) for line in lines]


@pytest.mark.parametrize("task", ["Fails", "FailsInProcess"])
def test_a_bug_in_a_task_comes_with_its_traceback_and_none_of_luigis(tmp_path, task):
    ended = tac_run(tmp_path, task, "--bug")

    assert ended.code == 30
    assert f"Error: {task}(at={tmp_path}, bug=True): ValueError: not a number" in ended.lines
    assert "    ValueError: not a number" in ended.lines
    assert [line for line in ended.lines if "  File" in line] == [
        line for line in ended.lines if "tests/support/tasks.py" in line
    ]


def test_what_cannot_say_its_needs_cannot_be_scheduled(tmp_path):
    ended = tac_run(tmp_path, "CannotBeAsked")

    assert ended.code == 35
    assert ended.lines[0] == f"Error: CannotBeAsked(at={tmp_path}): KeyError: 'no such day'"


def test_a_timeout_stops_the_task(tmp_path):
    tac_run(tmp_path, "TimesOut")

    assert (tmp_path / "TimesOut.stopped").exists()


def test_needs_that_are_found_while_running_are_run_first(tmp_path):
    ended = tac_run(tmp_path, "FindsOut", "--workers", 1)

    assert (ended.code, ended.out) == (0, f"{tmp_path}/FindsOut.txt\n")
    assert ended.lines == [
        f"[0/3] FindsOut(at={tmp_path}): needs 2 more first",
        f"[1/3] InThread(at={tmp_path}, number=1): done in T s",
        f"[2/3] InProcess(at={tmp_path}, number=2): done in T s",
        f"[3/3] FindsOut(at={tmp_path}): done in T s",
        "3 ran, 0 were complete, T s",
    ]


def test_a_task_that_may_fail_is_tried_again(tmp_path):
    (tmp_path / "luigi.cfg").write_text("[scheduler]\nretry_delay = 0.1\n")

    ended = tac_run(tmp_path, "FailsTwice")

    assert (ended.code, ended.lines) == (
        0,
        [
            f"[1/1] FailsTwice(at={tmp_path}): failed, and is tried again: not yet.",
            f"[1/1] FailsTwice(at={tmp_path}): failed, and is tried again: not yet.",
            f"[1/1] FailsTwice(at={tmp_path}): done in T s",
            "1 ran, 0 were complete, T s",
        ],
    )


def test_every_day_of_a_range_is_run_and_named(tmp_path):
    ended = tac_run(tmp_path, "EachDay", "--from", "2023-01-01", "--to", "2023-01-05", "--every", 2)

    assert ended.code == 0
    days = ("2023-01-01", "2023-01-03", "2023-01-05")
    assert ended.out.splitlines() == [f"{tmp_path}/EachDay-{day}.txt" for day in days]


def test_verbose_shows_what_luigi_logs(tmp_path):
    ended = tac_run(tmp_path, "InThread", "--verbose")

    assert ended.code == 0
    assert "Informed scheduler that task" in ended.err


def test_a_module_of_ones_own_is_found_in_the_current_directory(tmp_path):
    (tmp_path / "my_tasks.py").write_text(
        "import luigi\n"
        "class Hello(luigi.Task):\n"
        "    def output(self):\n"
        "        return luigi.LocalTarget('hello.txt')\n"
        "    def run(self):\n"
        "        with self.output().open('w') as file:\n"
        "            file.write('hello')\n"
    )

    ended = tac(tmp_path, "run", "--module", "my_tasks", "Hello")

    assert (ended.code, ended.out) == (0, "hello.txt\n")
    assert (tmp_path / "hello.txt").read_text() == "hello"


def test_what_many_tasks_failed_of_is_said_once(tmp_path):
    words = ("run", "MakePredictions", "--date", "2023-03-01", "--runner", "docker")

    ended = tac(tmp_path, *words, DOCKER_HOST=f"unix://{tmp_path}/none")

    assert (ended.code, ended.out) == (30, "")
    [error] = [number for number, line in enumerate(ended.lines) if line.startswith("Error: ")]
    assert f"docker engine at unix://{tmp_path}/none: does not answer" in ended.lines[error]
    assert ended.lines[error + 1].startswith("Hint: start it ")
    assert ended.lines[error + 2].startswith("Log: ")
    assert re.fullmatch(r"The same: (\w+\(date=[\d-]+\), ){4}.* and 5 more", ended.lines[error + 3])
    assert ended.lines[error + 4 : -1] == [
        "Not run because of it: TransformData(date=2023-03-01), "
        "Predict(date=2023-03-01, model=logistic), "
        "Predict(date=2023-03-01, model=gradient_boosting), MakePredictions(date=2023-03-01)",
        "What is done stays done. To continue: tac run MakePredictions --date 2023-03-01 "
        "--runner docker",
    ]
