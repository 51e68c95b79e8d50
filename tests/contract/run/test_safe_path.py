"""Where a step's modules come from: the current directory only where a person named it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import DEADLINE_SECONDS, REPOSITORY, environment

BIN = Path(sys.executable).parent
DAY = ("FetchData", "--date", "2023-03-01")
PLANTED = ("json", "pandas", "luigi", "click", "random", "numpy")

STEP = """
from tac.step import step
@step(suffixes=(".txt",))
def main(out):
    with out.create() as file:
        file.write(b"counted")
if __name__ == "__main__":
    main()
"""
TASK = """
import luigi
from tac.step_task import StepTask
from tac.target import in_store
class Count(StepTask):
    step = "words.count"
    def output(self):
        return in_store("count.txt")
    def arguments(self):
        return []
if __name__ == "__main__":
    if not luigi.build([Count()], local_scheduler=True):
        raise SystemExit(30)
"""


@pytest.fixture
def words(tmp_path):
    """A folder with a pipeline of its own."""
    (tmp_path / "words").mkdir()
    (tmp_path / "words/count.py").write_text(STEP)
    (tmp_path / "words/task.py").write_text(TASK)
    return tmp_path


def run(at, *argv, **more):
    variables = environment(at, **more)
    if "PYTHONPATH" not in more:
        del variables["PYTHONPATH"]
    return subprocess.run(
        [str(BIN / argv[0]), *argv[1:]],
        cwd=at,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


@pytest.mark.parametrize(
    "start",
    [("tac", "run"), ("luigi", "--module", "tac.task", "--local-scheduler")],
    ids=["tac", "luigi"],
)
def test_a_file_that_lies_in_the_current_directory_is_no_part_of_a_step(start, tmp_path):
    for name in PLANTED:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / name)!r}, 'w').close()")

    ended = run(tmp_path, *start, *DAY, PYTHONPATH=str(REPOSITORY))

    assert ended.returncode == 0, ended.stderr
    assert [name for name in PLANTED if (tmp_path / name).exists()] == []


@pytest.mark.parametrize(
    ("start", "variables"),
    [
        (("tac", "run", "--module", "words.task", "Count"), {}),
        (
            ("luigi", "--module", "words.task", "Count", "--local-scheduler"),
            {"PYTHONPATH": f".:{REPOSITORY}"},
        ),
        (("python", "-m", "words.task"), {"PYTHONSAFEPATH": ""}),
    ],
    ids=["--module", "PYTHONPATH", "PYTHONSAFEPATH"],
)
def test_a_pipeline_in_the_current_directory_is_found_where_it_is_named(start, variables, words):
    ended = run(words, *start, **variables)

    assert ended.returncode == 0, ended.stderr
    assert (words / "store/count.txt").read_text() == "counted"


def test_a_step_without_module_is_not_found_and_the_hint_says_where_to_name_it(words):
    ended = run(words, "python", "-m", "words.task")

    assert ended.returncode == 30
    assert "No module named 'words'" in ended.stderr
    hint = "install the program or module, name its folder in PATH or PYTHONPATH, or fix the"
    assert hint in ended.stderr
