"""What the documents show works as it stands there."""

import re
import subprocess
import sys

import pytest

from tests.support.runs import REPOSITORY, environment, tac

PAGE = REPOSITORY / "docs" / "your-own-pipeline.md"


@pytest.fixture
def words(tmp_path):
    """The pipeline of the page, in an empty directory."""
    text = PAGE.read_text(encoding="utf-8")
    (tmp_path / "words").mkdir()
    for name in ("count", "task"):
        found = re.search(rf"`words/{name}\.py` is .*?```python\n(.*?)```", text, re.DOTALL)
        assert found is not None
        (tmp_path / "words" / f"{name}.py").write_text(found[1], encoding="utf-8")
    (tmp_path / "README.md").write_text("three words here\n", encoding="utf-8")
    return tmp_path


def test_the_pipeline_of_your_own_runs_under_tac(words):
    ended = tac(words, "run", "--module", "words.task", "Count", "--text", "README.md")

    assert (ended.code, ended.out) == (0, f"{words}/store/counts/README.md.csv\n"), ended.err
    assert (words / "store/counts/README.md.csv").read_text() == "README.md,3\n"


def test_the_pipeline_of_your_own_runs_under_the_stock_command(words):
    command = [sys.executable, "-m", "luigi", "--module", "words.task", "Count"]
    words_of_luigi = ["--text", "README.md", "--local-scheduler", "--lock-pid-dir", str(words)]

    ended = subprocess.run(
        [*command, *words_of_luigi],
        cwd=words,
        env=environment(words) | {"PYTHONPATH": f"{REPOSITORY}:{words}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert (words / "store/counts/README.md.csv").read_text() == "README.md,3\n"


def test_the_step_of_your_own_has_the_help_of_the_page(words):
    ended = subprocess.run(
        [sys.executable, "-m", "words.count", "--help"],
        cwd=words,
        env=environment(words),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "Count the words of TEXTS into OUT." in ended.stdout
    assert "  python -m words.count counts.csv a.txt s3://bucket/b.txt\n" in ended.stdout


def test_every_command_that_starts_luigid_says_where_it_listens():
    told = [
        *REPOSITORY.glob("docs/*.md"),
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("tac/**/*.py"),
    ]
    starts = [
        (path.name, found[0])
        for path in told
        for found in re.finditer(r"start `luigid[^`]*`", path.read_text(encoding="utf-8"))
    ]

    assert {name for name, _ in starts} >= {"pipeline.md", "remote.py"}
    assert [start for start in starts if not start[1].endswith(" --address 127.0.0.1`")] == []
