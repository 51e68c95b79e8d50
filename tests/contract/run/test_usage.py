"""What `tac run` says to a command line that cannot be, and to a question."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import environment, tac, tac_run

MISTAKES = [
    (
        ["--module", "nowhere.task", "Mixed"],
        "Error: nowhere.task: there is no such module, neither installed nor in {at}",
        "Hint: name it with --module as Python imports it, such as my_pipeline.task",
    ),
    (
        ["--module", "needs_more", "Mixed"],
        "Error: needs_more: needs the module no_such_library, which is not installed",
        r"Hint: install no_such_library into {prefix}",
    ),
    (
        ["--module", "broken", "Mixed"],
        "Error: broken: cannot be imported: ZeroDivisionError: division by zero",
        "Hint: {python} -c 'import broken' shows where",
    ),
    (
        ["--module", "few", "Milk"],
        "Error: few: there is no task 'Milk'; its tasks are Mill, Mint",
        "Hint: did you mean Mill? If not, name its module: tac run --module my_pipeline.task Milk",
    ),
    (
        ["--module", "few", "--number", "3", "Mill"],
        "Error: --number: is no option of tac run that can stand before TASK",
        "Hint: name the task first, then its parameters: tac run --module MODULE TASK --name 1",
    ),
    (
        ["--module", "few", "Nope"],
        "Error: few: there is no task 'Nope'; its tasks are Mill, Mint",
        "Hint: name its module: tac run --module my_pipeline.task Nope",
    ),
    (
        ["Nope"],
        "Error: tac.task: there is no task 'Nope'; its tasks are Evaluate, FetchData, "
        "FetchSchedule, MakePredictions, Predict, Report, TransformData",
        "Hint: name its module: tac run --module my_pipeline.task Nope",
    ),
    (
        ["--module", "imports_few", "Mint"],
        "Error: imports_few: there is no task 'Mint'; its tasks are none",
        "Hint: tac run --module few Mint",
    ),
    (
        ["--module", "twins", "Twin"],
        "Error: Twin: several tasks have this name",
        "Hint: give one of them a `task_namespace`, and name it as NAMESPACE.TASK",
    ),
    (
        ["--module", "abstract", "Half"],
        "Error: Half: is abstract: it has no grind(), sieve()",
        "Hint: name a subclass that has them",
    ),
    (
        ["--module", "abstract", "Refuses", "--number", "0"],
        "Error: Refuses: refuses these parameters: ValueError: nothing to grind",
        "Hint: tac run --module abstract Refuses --help",
    ),
    (
        ["--module", "few", "Mint", "--kind", "gold", "--kind", "silver"],
        "Error: --kind: is given twice",
        None,
    ),
    (
        ["--module", "few", "Mint", "--store", "a", "--store", "b"],
        "Error: --store: is given twice",
        None,
    ),
    (
        ["--module", "few", "Mint", "--source", "zzz", "--dry-run"],
        "Error: --source: is an option of tac run and a parameter of Mint",
        "Hint: write --Mint-source for Mint, or --source in front of Mint for tac run",
    ),
    (
        ["--module", "few", "Mill", "--number", "three"],
        "Error: --number 'three': is not a whole number: "
        "invalid literal for int() with base 10: 'three'",
        None,
    ),
    (
        ["--module", "few", "Mill", "--numbr", "3"],
        "Error: --numbr: is neither an option of tac run nor a parameter of Mill; "
        "its parameters are --number, --date",
        "Hint: did you mean --number?",
    ),
    (
        ["--module", "few", "Mill", "--number", "3", "--number", "4"],
        "Error: --number: is given twice",
        None,
    ),
    (
        ["--module", "few", "Mill", "--number"],
        "Error: --number: needs a value, a whole number",
        None,
    ),
    (
        ["--module", "few", "Mill", "Mint"],
        "Error: 'Mint': is not expected here",
        "Hint: one task is run; its parameters are written --name value",
    ),
    (
        ["--module", "few", "Mill"],
        "Error: Mill: needs --number (a whole number) and --date (a date, YYYY-MM-DD)",
        "Hint: tac run --module few Mill --help",
    ),
    (
        ["--module", "few", "Mint", "--from", "2023-01-01", "--to", "2023-01-02"],
        "Error: Mint: has no parameter `date` that --from and --to could fill",
        "Hint: tac run --module few Mint --help",
    ),
    (
        ["--module", "few", "Mill", "--from", "2023-01-01"],
        "Error: --from and --to: belong together",
        "Hint: --every N is for them only",
    ),
    (
        [
            "--module",
            "few",
            "Mill",
            "--number",
            "1",
            "--date",
            "2023-01-01",
            "--from",
            "2023-01-01",
            "--to",
            "2023-01-02",
        ],
        "Error: --date: is given, and so are --from and --to",
        "Hint: give one of them",
    ),
    (
        ["--module", "few", "Mill", "--number", "1", "--from", "2023-01-03", "--to", "2023-01-02"],
        "Error: --from 2023-01-03 --to 2023-01-02: the last day is before the first",
        None,
    ),
]


@pytest.fixture
def here(tmp_path):
    (tmp_path / "needs_more.py").write_text("import no_such_library\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "few.py").write_text(
        "import luigi\n"
        "class Mill(luigi.Task):\n"
        '    """Grinds.\n\n    For hours.\n    """\n'
        "    number = luigi.IntParameter(description='how much')\n"
        "    date = luigi.DateParameter()\n"
        "class Mint(luigi.Task):\n"
        "    kind = luigi.ChoiceParameter(choices=['gold', 'silver'], default='gold',"
        " description='of which metal')\n"
        "    source = luigi.Parameter(default='a mine')\n"
    )
    (tmp_path / "abstract.py").write_text(
        "import abc, luigi\n"
        "class Kind(luigi.task_register.Register, abc.ABCMeta):\n"
        "    pass\n"
        "class Half(luigi.Task, metaclass=Kind):\n"
        "    @abc.abstractmethod\n"
        "    def sieve(self): ...\n"
        "    @abc.abstractmethod\n"
        "    def grind(self): ...\n"
        "class Refuses(luigi.Task):\n"
        "    number = luigi.IntParameter()\n"
        "    def __init__(self, *args, **kwargs):\n"
        "        super().__init__(*args, **kwargs)\n"
        "        if not self.number:\n"
        "            raise ValueError('nothing to grind')\n"
    )
    (tmp_path / "imports_few.py").write_text("import few\n")
    (tmp_path / "twins.py").write_text(
        "import luigi\ndef twin():\n    class Twin(luigi.Task):\n        pass\ntwin(), twin()\n"
    )
    return tmp_path


@pytest.mark.parametrize(("words", "error", "hint"), MISTAKES)
def test_a_mistake_is_named_and_the_way_out_hinted_at(here, words, error, hint):
    ended = tac(here, "run", *words)

    said = [error, hint] if hint else [error]
    known = {"at": here, "prefix": sys.prefix, "python": Path(sys.executable).name}
    assert (ended.code, ended.out) == (2, "")
    assert ended.lines == [line.format(**known) for line in said]


def test_the_help_of_a_task_lists_its_parameters(here):
    ended = tac(here, "run", "--module", "few", "Mill", "--help")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "Usage: tac run Mill [--PARAMETER VALUE]... [OPTIONS]\n"
        "\n"
        "  Grinds.\n"
        "\n"
        "  For hours.\n"
        "\n"
        "Parameters:\n"
        "--number  how much  [a whole number; needed]\n"
        "--date    a date, YYYY-MM-DD  [needed]\n"
        "\n"
    )


def test_the_help_of_a_task_lists_the_values_of_a_choice_once(here):
    ended = tac(here, "run", "--module", "few", "Mint", "--help")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        "Usage: tac run Mint [--PARAMETER VALUE]... [OPTIONS]\n"
        "\n"
        "Parameters:\n"
        "--kind         of which metal  [one of gold, silver; default: gold]\n"
        "--Mint-source  a text  [default: a mine]\n"
        "\n"
    )


def test_another_tasks_parameter_is_set_by_its_family(tmp_path):
    ended = tac_run(tmp_path, "Mixed", "--InThread-number", "7", "--quiet")

    assert ended.code == 0
    assert (tmp_path / "InThread-7.txt").exists()


def test_it_is_set_in_a_task_that_has_a_process_of_its_own_too(tmp_path):
    ended = tac_run(tmp_path, "AsksForADefault", "--InThread-number", "7", "--quiet")

    assert ended.code == 0, ended.err
    assert (tmp_path / "AsksForADefault.txt").read_text() == "7"


OWN = [
    (["Own", "--text", "-hello"], "a--hello"),
    (["Own", "--Own-source", "zzz"], "zzz-x"),
    (["Own", "--", "--source", "zzz"], "zzz-x"),
    (["--source", "https://host/{date}", "Own"], "a-x"),
]


@pytest.mark.parametrize(("words", "name"), OWN, ids=[" ".join(row[0]) for row in OWN])
def test_a_task_runs_with_what_was_typed(tmp_path, words, name):
    (tmp_path / "own.py").write_text(
        "import luigi\n"
        "class Own(luigi.Task):\n"
        "    source = luigi.Parameter(default='a')\n"
        "    text = luigi.Parameter(default='x')\n"
        "    runs_in_thread = True\n"
        "    def output(self):\n"
        "        return luigi.LocalTarget(f'{self.source}-{self.text}.txt')\n"
        "    def run(self):\n"
        "        self.output().open('w').close()\n"
    )

    # A setting of tac's is no parameter of a task's.
    ended = tac(tmp_path, "run", "--module", "own", *words, TAC_SOURCE="https://elsewhere/{date}")

    assert (ended.code, ended.out) == (0, f"{name}.txt\n")
    assert [path.name for path in tmp_path.glob("*.txt")] == [f"{name}.txt"]


def test_a_dry_run_says_what_would_run_and_why_and_runs_nothing(tmp_path):
    tac_run(tmp_path, "InThread")

    ended = tac_run(tmp_path, "Above", "--dry-run")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"would run      Fails(at={tmp_path}, bug=False): {tmp_path}/Fails-False.txt is not there",
        f"complete       InThread(at={tmp_path}, number=0): {tmp_path}/InThread-0.txt",
        f"would run      NeedsFails(at={tmp_path}): {tmp_path}/NeedsFails.txt is not there; "
        f"needs Fails(at={tmp_path}, bug=False), which would run",
        f"would run      Above(at={tmp_path}): {tmp_path}/Above.txt is not there; "
        f"needs NeedsFails(at={tmp_path}), which would run",
        "3 would run, 1 is complete",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["InThread-0.txt"]


def test_a_file_in_place_of_a_command_was_meant_for_gnu_tac(tmp_path):
    (tmp_path / "lines.txt").write_text("a\nb\n")
    real = tmp_path / "elsewhere" / "tac"
    real.parent.mkdir()
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)

    with_it = tac(tmp_path, "lines.txt", PATH=str(real.parent))
    without = tac(tmp_path, "lines.txt", PATH="")

    message = (
        "Error: lines.txt: is a file, and this tac runs pipelines; "
        "it comes before GNU tac on the PATH\n"
    )
    assert (with_it.code, with_it.err) == (2, f"{message}Hint: {real} lines.txt\n")
    assert (without.code, without.err) == (2, f"{message}Hint: GNU tac is not installed here\n")


def test_the_version_and_the_completion_of_a_shell_are_printed(tmp_path):
    version = tac(tmp_path, "--version")
    completion = tac(tmp_path, "completion", "bash")

    assert re.fullmatch(r"tac \d+\.\d+\.\d+\S*\n", version.out)
    assert "_TAC_COMPLETE=bash_complete" in completion.out


def test_nothing_heavy_is_loaded_to_help_or_to_say_that_all_is_there(tmp_path):
    tac_run(tmp_path, "InThread")
    check = (
        "import sys, runpy\n"
        "try:\n"
        "    runpy.run_module('tac', run_name='__main__')\n"
        "except SystemExit:\n"
        "    print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'luigi', 'pandas', 'sklearn', 'boto3', 'rich', 'pyarrow'}))\n"
    )
    loaded = {
        words: _last_line(tmp_path, check, words)
        for words in (
            "--help",
            f"run --module tests.support.tasks InThread --at {tmp_path}",
        )
    }

    assert list(loaded.values()) == ["[]", "['luigi']"]


def _last_line(at: Path, code: str, words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code, *words.split()],
        cwd=at,
        env=environment(at),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.stdout.splitlines()[-1]


NO_TOML = (
    "Error: Luigi cannot read its configuration: Parser not installed yet. Please, install luigi "
    "with required parser: pip install luigi[toml]\n"
    "Hint: `pip install toml` where tac is installed, or write a luigi.cfg\n"
)


@pytest.mark.parametrize(
    ("name", "content", "message", "variables"),
    [
        ("luigi.toml", "[tac]", NO_TOML, {"LUIGI_CONFIG_PARSER": "toml"}),
        ("own.toml", "[tac]", NO_TOML, {"LUIGI_CONFIG_PATH": "own.toml"}),
        (
            "luigi.cfg",
            "store = x",
            "Error: Luigi cannot read its configuration: File contains no section headers. "
            "file: 'luigi.cfg', line: 1 'store = x'\n"
            "Hint: mend luigi.cfg, or the file that LUIGI_CONFIG_PATH names\n",
            {},
        ),
    ],
)
def test_a_configuration_that_luigi_cannot_read_is_no_bug_of_tac(
    tmp_path, name, content, message, variables
):
    (tmp_path / name).write_text(content)

    ended = tac(tmp_path, "run", "FetchData", "--date", "2023-03-01", **variables)

    assert (ended.code, ended.err) == (2, message)
