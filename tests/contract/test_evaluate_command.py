"""`tac evaluate`: the whole command, with every option that it has."""

import json

import click
import pytest

from tac.evaluate_command import evaluate
from tac.flights.scores import show
from tests.support.luigid import luigid
from tests.support.runs import end_of, line_of, started_program, tac

DAYS = ("--from", "2023-03-01", "--to", "2023-03-02", "--every", "5")
NAME = "evaluation/2023-03-01_2023-03-02_5.json"
FAMILIES = {
    "FetchData": 11,
    "FetchSchedule": 1,
    "TransformData": 1,
    "Predict": 3,
    "MakePredictions": 1,
    "Evaluate": 1,
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A first evaluation in an empty directory, and luigid's view of it."""
    at = tmp_path_factory.mktemp("evaluate")
    with luigid(at) as server:
        words = ("--store", "here", "--workers", 3, "--luigid", server.url, "--verbose")
        ended = tac(at, "evaluate", *DAYS, *words, seconds=110)
        return at, ended, server.tasks(), server.ask("worker_list")


def test_what_is_missing_is_run_and_the_scores_are_printed(first):
    at, ended, _, _ = first

    assert ended.code == 0, ended.err
    result = json.loads((at / "here" / NAME).read_text())
    assert (result["every"], result["dates"]) == (5, 1)
    assert (result["first"], result["last"]) == ("2023-03-01", "2023-03-01")
    assert ended.out == f"{show(result)}\n"
    assert ended.lines[-1] == "18 ran, 0 were complete, T s"


def test_luigid_gets_every_task_and_how_many_run_at_once(first):
    _, ended, tasks, workers = first

    families = [name.partition("(")[0] for name in tasks]
    assert {family: families.count(family) for family in families} == FAMILIES
    assert {task["status"] for task in tasks.values()} == {"DONE"}
    assert [worker["workers"] for worker in workers] == [3]
    assert "Informed scheduler that task" in ended.err  # for --verbose


def test_a_second_evaluation_runs_nothing_and_prints_the_same(first):
    at, ended, _, _ = first

    again = tac(at, "evaluate", *DAYS, "--store", "here")

    assert (again.code, again.out) == (0, ended.out)
    assert again.err == (
        "Evaluate(first=2023-03-01, last=2023-03-02, every=5): complete, nothing to do\n"
    )


def test_quiet_leaves_the_scores_and_json_is_all_of_them(first):
    at, _, _, _ = first

    ended = tac(at, "evaluate", *DAYS, "--quiet", "--json", TAC_STORE="here")

    assert (ended.code, ended.err) == (0, "")
    result = json.loads((at / "here" / NAME).read_text())
    assert ended.out == f"{json.dumps(result, indent=2)}\n"


@pytest.mark.parametrize("text", ["", "\x1b]0;owned\x07", "[]", '{"dates": 1}', "[" * 100_000])
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_what_holds_no_scores_is_bad_data_and_is_not_shown(tmp_path, text, words):
    path = tmp_path / "here" / NAME
    path.parent.mkdir(parents=True)
    path.write_text(text)

    ended = tac(tmp_path, "evaluate", *DAYS, "--store", "here", "--quiet", *words)

    if words and text.startswith(("[]", "{")):
        assert (ended.code, ended.out) == (0, f"{json.dumps(json.loads(text), indent=2)}\n")
        return
    assert (ended.code, ended.out, ended.err) == (
        40,  # Luigi's class: an unhandled exception
        "",
        f"Error: here/{NAME}: holds no scores\n"
        "Hint: delete it, and `tac evaluate` makes it again\n",
    )


def test_an_evaluation_has_a_bound_like_every_input(tmp_path):
    path = tmp_path / "here" / NAME
    path.parent.mkdir(parents=True)
    path.write_text("[" * 5000)

    ended = tac(
        tmp_path, "evaluate", *DAYS, "--store", "here", "--quiet", TAC_MOST_INPUT_BYTES="4999"
    )

    assert (ended.code, ended.err) == (
        40,
        f"Error: here/{NAME}: is 5000 bytes; at most 4999 are read of one input\n"
        "Hint: if it is what it must be, set TAC_MOST_INPUT_BYTES (now 4999)\n",
    )


def test_flights_of_another_source_are_read_at_its_address(tmp_path):
    source = f"file://{tmp_path}/none/{{date:%Y-%m-%d}}.parquet"

    ended = tac(tmp_path, "evaluate", *DAYS, "--source", source)

    assert (ended.code, ended.out) == (30, "")  # and no scores
    failed = [line for line in ended.lines if line.startswith("Error: ")]
    assert any(f"{tmp_path}/none/2023-03-01.parquet" in line for line in failed)
    assert ended.lines[-2].startswith("What is done stays done. To continue: tac evaluate --from ")


def test_the_image_is_the_one_that_was_named(tmp_path):
    words = ("--runner", "docker", "--image", "registry/mine:1")

    ended = tac(tmp_path, "evaluate", *DAYS, *words, DOCKER_HOST=f"unix://{tmp_path}/none")

    assert (ended.code, ended.out) == (30, "")
    assert ended.lines[0] == "docker: image registry/mine:1"


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {}}]
contexts:
- {name: one, context: {cluster: c, user: u, namespace: of-one}}
- {name: two, context: {cluster: c, user: u, namespace: of-two}}
current-context: one
"""


@pytest.mark.parametrize(
    ("words", "context", "namespace"),
    [([], "one", "of-one"), (["--context", "two", "--namespace", "mine"], "two", "mine")],
)
def test_the_context_and_the_namespace_are_those_that_were_named(
    tmp_path, bucket, words, context, namespace
):
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    words = (*words, "--runner", "kubernetes", "--store", bucket.address("v1"))
    variables = {**bucket.environment(), "KUBECONFIG": f"{tmp_path}/kubeconfig"}

    with started_program(tmp_path, "evaluate", *DAYS, *words, **variables) as process:
        said = line_of(process)
        process.terminate()
        ended = end_of(process)

    assert said == (
        f"kubernetes: context {context}, namespace {namespace}, http://127.0.0.1:9\n"
    ), ended.err
    assert (ended.code, ended.out) == (143, "")


MISTAKES = [
    (["--from", "2023-03-01"], "Error: Missing option '--to'.", None),
    (["--to", "2023-03-01"], "Error: Missing option '--from'.", None),
    (
        ["--from", "2023-03-02", "--to", "2023-03-01"],
        "Error: --from 2023-03-02 --to 2023-03-01: the last day is before the first",
        None,
    ),
    (
        [*DAYS, "--workers", "0"],
        "Error: Invalid value for '--workers': 0 is not in the range x>=1.",
        None,
    ),
    (
        [*DAYS[:4], "--every", "0"],
        "Error: Invalid value for '--every': 0 is not in the range x>=1.",
        None,
    ),
    ([*DAYS, "--from", "2023-03-01"], "Error: --from: is given twice", None),
    (
        [*DAYS, "--store", "--json"],
        "Error: --store: needs a value",
        "Hint: one that begins with -- is written --store=--json",
    ),
    (
        [*DAYS, "--runner", "nowhere"],
        "Error: runner: there is none called 'nowhere'",
        "Hint: use local, docker or kubernetes",
    ),
    (
        [*DAYS, "--luigid", "http://127.0.0.1:9"],
        "Error: http://127.0.0.1:9: no luigid answers: [Errno 111] Connection refused",
        "Hint: start `luigid --address 127.0.0.1`, fix --luigid, or leave it out to run without",
    ),
    ([*DAYS, "Report"], "Error: Got unexpected extra argument (Report)", None),
]


@pytest.mark.parametrize(
    ("words", "error", "hint"), MISTAKES, ids=[" ".join(r[0]) for r in MISTAKES]
)
def test_a_mistake_is_refused(tmp_path, words, error, hint):
    ended = tac(tmp_path, "evaluate", *words)

    assert (ended.code, ended.out) == (2, "")
    assert ended.lines[-2 if hint else -1 :] == ([error, hint] if hint else [error])


def test_debug_shows_where_an_error_was_raised(tmp_path):
    words = ("--from", "2023-03-02", "--to", "2023-03-01")

    ended = tac(tmp_path, "evaluate", *words, "--debug")

    assert ended.code == 2
    assert ended.lines[0] == "Traceback (most recent call last):"
    assert (
        ended.lines[-1]
        == "Error: --from 2023-03-02 --to 2023-03-01: the last day is before the first"
    )


def test_every_option_is_in_one_of_these_tests():
    options = {param.opts[0] for param in evaluate.params if isinstance(param, click.Option)}

    assert options == {
        *("--from", "--to", "--every", "--json", "--store", "--workers", "--runner", "--image"),
        *("--context", "--namespace", "--source", "--luigid", "--quiet", "--verbose", "--debug"),
    }
