"""Exit codes 25 and 40: what the scheduler does not schedule, and unexpected errors."""

import pytest

from tests.support.luigid import luigid
from tests.support.runs import end_of, started_program, tac, wait_until

PIPELINE = """
import luigi, pathlib, time

class Made(luigi.Task):
    runs_in_thread = True
    number = luigi.IntParameter(default=1)
    def output(self):
        return luigi.LocalTarget(f"{self.task_family}-{self.number}.txt")
    def run(self):
        self.output().open("w").close()

class Plain(Made):
    pass

class Greedy(Made):
    resources = {"gpu": 1}

class Undeclared(Made):
    resources = {"tpu": 2}

class Holds(Greedy):
    def run(self):
        pathlib.Path("holds").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.05)  # the test makes the file
        super().run()

class NeedsAll(luigi.WrapperTask):
    def requires(self):
        return [*(Greedy(number=number) for number in range(3)), Undeclared(), Plain()]

class Disabled(Made):
    disabled = True

class One(Made):
    def requires(self):
        return Two()

class Two(Made):
    def requires(self):
        return Three()

class Three(Made):
    def requires(self):
        return One()

class Fails(Made):
    def run(self):
        raise ValueError("no")

class FailsBeside(luigi.WrapperTask):
    def requires(self):
        return [Fails(), Greedy()]

class Lost(luigi.Task):
    def complete(self):
        return True
    def output(self):
        raise LookupError("no such entry")
"""

AGAIN = "What is done stays done. To continue: tac run --module pipeline"
GPU = "write gpu=1 below [resources] in"


@pytest.fixture
def here(tmp_path):
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "luigi.cfg").write_text("[resources]\ngpu=0\n")
    return tmp_path


ROWS = [
    (
        ["Greedy"],
        [
            "Error: Greedy(number=1): was not run: [resources] gpu=0, and Greedy wants 1",
            f"Hint: {GPU} luigi.cfg",
            f"{AGAIN} Greedy",
            "0 ran, 1 was not run, 0 were complete, T s",
        ],
    ),
    (
        ["NeedsAll"],
        [
            "[1/6] Plain(number=1): done in T s",
            "Error: Greedy(number=0): was not run: [resources] gpu=0, and Greedy wants 1",
            f"Hint: {GPU} luigi.cfg",
            "The same: Greedy(number=1), Greedy(number=2)",
            "Error: Undeclared(number=1): was not run: [resources] tpu is not set, which counts "
            "as 1, and Undeclared wants 2",
            "Hint: write tpu=2 below [resources] in luigi.cfg",
            "Not run because of it: NeedsAll()",
            f"{AGAIN} NeedsAll",
            "1 ran, 5 were not run, 0 were complete, T s",
        ],
    ),
    (
        ["Disabled"],
        [
            "Error: Disabled(number=1): was not run: its class says that it is disabled",
            "Hint: `disabled` is set there",
            f"{AGAIN} Disabled",
            "0 ran, 1 was not run, 0 were complete, T s",
        ],
    ),
    (
        ["One"],
        [
            "Error: Two(number=1): was not run: it needs itself: Two(number=1) needs "
            "Three(number=1) needs One(number=1) needs Two(number=1)",
            "Hint: one of these requires() has to leave one out",
            "Not run because of it: One(number=1), Three(number=1)",
            f"{AGAIN} One",
            "0 ran, 3 were not run, 0 were complete, T s",
        ],
    ),
]


@pytest.mark.parametrize(("words", "lines"), ROWS, ids=[row[0][0] for row in ROWS])
def test_what_is_not_run_says_why_and_exits_with_25(here, words, lines):
    ended = tac(here, "run", "--module", "pipeline", *words)

    assert (ended.code, ended.out) == (25, "")
    assert ended.lines == lines


def test_a_failure_beside_it_decides_the_exit_code_and_both_are_shown(here):
    ended = tac(here, "run", "--module", "pipeline", "FailsBeside", "--quiet")

    assert ended.code == 30
    assert [line for line in ended.lines if line.startswith("Error: ")] == [
        "Error: Fails(number=1): ValueError: no",
        "Error: Greedy(number=1): was not run: [resources] gpu=0, and Greedy wants 1",
    ]


@pytest.fixture
def server(here):
    (here / "luigi.cfg").write_text("[resources]\ngpu=1\n")
    with luigid(here) as server:
        yield server


def test_what_other_drivers_use_is_counted(here, server):
    words = ("run", "--module", "pipeline", "--luigid", server.url)
    with started_program(here, *words, "Holds") as holder:
        wait_until((here / "holds").exists, "another driver holds the resource")
        ended = tac(here, *words, "Greedy")
        (here / "go").touch()
        assert end_of(holder).code == 0

    assert ended.code == 25
    assert ended.lines[:2] == [
        "Error: Greedy(number=1): was not run: [resources] gpu=1, of which others use 1, "
        "and Greedy wants 1",
        "Hint: run the same again when they are done",
    ]


def test_more_than_luigid_has_is_said_with_its_address(here, server):
    ended = tac(here, "run", "--module", "pipeline", "Undeclared", "--luigid", server.url)

    assert ended.code == 25
    assert ended.lines[:2] == [
        "Error: Undeclared(number=1): was not run: [resources] tpu is not set, which counts as 1, "
        "and Undeclared wants 2",
        f"Hint: write tpu=2 below [resources] in the luigi.cfg of luigid ({server.url})",
    ]


def test_a_paused_luigid_is_named(here, server):
    server.ask("pause")

    ended = tac(here, "run", "--module", "pipeline", "Plain", "--luigid", server.url)

    assert ended.code == 25
    assert ended.lines[:2] == [
        "Error: Plain(number=1): was not run: luigid is paused",
        f"Hint: unpause it on the page of {server.url}",
    ]


def test_a_driver_that_luigid_disabled_says_so(here, server):
    words = ("run", "--module", "pipeline", "Holds", "--luigid", server.url)
    (here / "pipeline.py").write_text(
        PIPELINE + "class Above(Made):\n    def requires(self):\n        return Holds()\n"
    )
    with started_program(here, *words[:3], "Above", *words[4:]) as process:
        wait_until((here / "holds").exists, "it runs")
        [worker] = [row["name"] for row in server.ask("worker_list")]
        server.ask("disable_worker", worker=worker)
        (here / "go").touch()
        ended = end_of(process)

    assert ended.code == 25
    assert ended.lines[-4:-2] == [
        "Error: Above(number=1): was not run: this driver accepts no more tasks",
        "Hint: luigid's page does that, and SIGUSR1; run the same command again",
    ]


def test_an_unexpected_error_exits_with_40_and_shows_a_traceback_only_with_debug(here):
    ended = tac(here, "run", "--module", "pipeline", "Lost")
    debugged = tac(here, "run", "--module", "pipeline", "Lost", "--debug")

    assert (ended.code, ended.out) == (40, "")
    assert ended.lines == [
        "Lost(): complete, nothing to do",
        "Error: LookupError: no such entry",
        "Hint: --debug shows where",
    ]
    assert (debugged.code, debugged.lines[-1]) == (40, "Error: LookupError: no such entry")
    assert "Traceback (most recent call last):" in debugged.lines
    assert "LookupError: no such entry" in debugged.lines


def test_an_error_of_ours_that_is_no_mistake_of_the_command_line_exits_with_40_too(here):
    ended = tac(
        here,
        *("run", "--module", "pipeline", "Plain", "--force", "--yes"),
        *("--store", "s3://bucket/prefix"),
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_MAX_ATTEMPTS="1",
    )

    assert (ended.code, ended.out) == (40, "")
    assert ended.lines[0].startswith("Error: s3://bucket/prefix")
