"""A warning is shown once for a family of tasks; Luigi shows it for each task."""

import pytest

from tests.support.runs import tac

PIPELINE = """
import luigi, warnings

class NoOutput(luigi.Task):
    number = luigi.IntParameter()
    def run(self):
        pass

class NoOutputEither(NoOutput):
    runs_in_thread = True

class Typed(luigi.Task):
    text = luigi.Parameter()
    other = luigi.Parameter(default="")
    def complete(self):
        return True

class Warns(luigi.Task):
    number = luigi.IntParameter()
    def output(self):
        return luigi.LocalTarget(f"warns-{self.number}.txt")
    def run(self):
        warnings.warn(f"{self}: is \\x1b]0;odd\\x07 odd")
        self.output().open("w").close()

class WarnsInThread(Warns):
    runs_in_thread = True
    def output(self):
        return luigi.LocalTarget(f"thread-{self.number}.txt")

class All(luigi.WrapperTask):
    def requires(self):
        return [
            *(kind(number=number) for number in range(4)
              for kind in (NoOutput, NoOutputEither, Warns, WarnsInThread)),
            *(Typed(text=number) for number in range(4)),
            *(Typed(text="", other=number) for number in range(4)),
        ]
"""

OF_LUIGI = [
    'Warning: Parameter "other" with value "0" is not of type string.',
    'Warning: Parameter "text" with value "0" is not of type string.',
    "Warning: Task NoOutput(number=0) without outputs has no custom complete() method",
    "Warning: Task NoOutputEither(number=0) without outputs has no custom complete() method",
]


@pytest.fixture
def here(tmp_path):
    (tmp_path / "warn.py").write_text(PIPELINE)
    return tmp_path


def test_a_warning_of_luigis_is_said_once_for_each_family_and_each_parameter(here):
    ended = tac(here, "run", "--module", "warn", "All", "--workers", 1, "--dry-run")

    assert ended.code == 0
    assert sorted(ended.lines) == OF_LUIGI


def test_a_warning_of_a_task_is_said_once_whichever_process_or_thread_gives_it(here):
    ended = tac(here, "run", "--module", "warn", "All", "--workers", 1)

    assert ended.code == 30  # what has no output is never done
    place = next(
        number for number, line in enumerate(PIPELINE.splitlines(), 1) if "warnings.warn" in line
    )
    assert sorted(line for line in ended.lines if "arning" in line) == sorted(
        [
            *OF_LUIGI,
            f"Warning: {here}/warn.py:{place}: Warns(number=0): is odd",
            f"Warning: {here}/warn.py:{place}: WarnsInThread(number=0): is odd",
        ]
    )


def test_what_many_tasks_without_an_output_failed_of_is_said_once(here):
    ended = tac(here, "run", "--module", "warn", "All", "--workers", 1, "--quiet")

    assert [line for line in ended.lines if not line.startswith("Warning: ")] == [
        "Error: NoOutput(number=0): ended without an error, and has no output() that shows that "
        "it is done",
        "Hint: return a target from output(), or give it a complete() of its own",
        "The same: NoOutputEither(number=0), NoOutput(number=1), NoOutputEither(number=1), "
        "NoOutput(number=2), NoOutputEither(number=2) and 2 more",
        "Not run because of it: All()",
        "What is done stays done. To continue: tac run --module warn All --workers 1 --quiet",
    ]
