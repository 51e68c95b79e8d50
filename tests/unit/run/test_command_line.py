"""What a person types after `tac run` is used by tac, or by the task, or refused: never dropped."""

import click
import pytest
from click.shell_completion import ShellComplete
from luigi.configuration import get_config

from tac.cli import main
from tac.errors import ConfigError
from tac.run import parameters
from tac.run_command import run
from tac.step import ClickError
from tests.support.shadowing import OPTIONS, Other_One, Own

MODULE = ("--module", "tests.support.shadowing")


@pytest.fixture(autouse=True)
def configuration():
    """What a test sets of a family's defaults is gone behind it."""
    yield
    for family in ("Own", "Plain", "Other_One"):
        get_config().remove_section(family)


def read(*args):
    """Read a command line: the task's parameters, the options that were given, the mistakes."""
    context = run.make_context("run", [*MODULE, *args])
    _, line, options = run.read(context, context.params["words"])
    given = {
        name: value
        for name, value in options.items()
        if value not in (None, False, ()) and name not in ("module", "words")
    }
    mistakes = [(error.message, error.hint) for error in line.mistakes]
    return line.pairs, given, mistakes


USED = [
    (["Plain", "--text", "zzz"], [("text", "zzz")], {}),
    (["Plain", "--text=zzz"], [("text", "zzz")], {}),
    (["Plain", "--text="], [("text", "")], {}),
    (["Plain", "--text", ""], [("text", "")], {}),
    (["Plain", "--text", "-hello"], [("text", "-hello")], {}),
    (["Plain", "--text", "-h"], [("text", "-h")], {}),
    (["Plain", "--text", "-"], [("text", "-")], {}),
    (["Plain", "--text", "-x y"], [("text", "-x y")], {}),
    (["Plain", "--text=--store"], [("text", "--store")], {}),
    (["Plain", "--text", "a=b"], [("text", "a=b")], {}),
    (["Plain", "--number", "-5"], [("number", "-5")], {}),
    (["Plain", "--flag"], [("flag", "true")], {}),
    (["Plain", "--flag=false"], [("flag", "false")], {}),
    (["Plain", "--told"], [("told", "true")], {}),
    (["Plain", "--told", "False"], [("told", "False")], {}),
    (["Plain", "--told", "--quiet"], [("told", "true")], {"quiet": True}),
    (["Plain", "--source", "zzz"], [], {"source": "zzz"}),
    (["Plain", "--source=zzz"], [], {"source": "zzz"}),
    (["Plain", "--store", "-x"], [], {"store": "-x"}),
    (["Plain", "--store=--quiet"], [], {"store": "--quiet"}),
    (
        ["--store", "s", "Plain", "--text", "t", "--quiet"],
        [("text", "t")],
        {"store": "s", "quiet": True},
    ),
    (["--source", "zzz", "Own"], [], {"source": "zzz"}),
    (["Own", "--Own-source", "zzz"], [("Own-source", "zzz")], {}),
    (["Own", "--Own-source=zzz", "--text", "t"], [("Own-source", "zzz"), ("text", "t")], {}),
    (["--source", "a", "Own", "--Own-source", "b"], [("Own-source", "b")], {"source": "a"}),
    (["Own", "--", "--source", "zzz"], [("source", "zzz")], {}),
    (["--quiet", "--", "Own", "--source", "zzz"], [("source", "zzz")], {"quiet": True}),
    (["Plain", "--Other-One-text", "t"], [("Other-One-text", "t")], {}),
    (["Plain", "--Other_One-text", "t"], [("Other-One-text", "t")], {}),
    (["Plain", "--help"], [], {"wants_help": True}),
    (["Plain", "-h"], [], {"wants_help": True}),
    (["-h", "Plain"], [], {"wants_help": True}),
    (["Own", "-h"], [], {"wants_help": True}),
]


@pytest.mark.parametrize(("words", "pairs", "options"), USED, ids=[" ".join(r[0]) for r in USED])
def test_what_is_typed_reaches_the_one_who_is_meant(words, pairs, options):
    assert read(*words) == (pairs, options, [])


LOOSE = "one task is run; its parameters are written --name value"
REFUSED = [
    (["Plain", "-xh"], "'-xh': is not expected here", LOOSE),
    (["Plain", "-hello"], "'-hello': is not expected here", LOOSE),
    (["Plain", "Own"], "'Own': is not expected here", LOOSE),
    (["Plain", "--text", "t", "Own"], "'Own': is not expected here", LOOSE),
    (["Plain", "--", "--", "x"], "'--': is not expected here", LOOSE),
    (
        ["Plain", "--flag", "false"],
        "'false': is not expected here",
        "a value of --flag is written --flag=false",
    ),
    (["Plain", "--text"], "--text: needs a value, a text", None),
    (
        ["Plain", "--text", "--quiet"],
        "--text: needs a value, a text",
        "one that begins with -- is written --text=--quiet",
    ),
    (
        ["Plain", "--tex", "t"],
        "--tex: is neither an option of tac run nor a parameter of Plain; "
        "its parameters are --text, --number, --flag, --told",
        "did you mean --text?",
    ),
    (
        ["Plain", "--forc"],
        "--forc: is neither an option of tac run nor a parameter of Plain; "
        "its parameters are --text, --number, --flag, --told",
        "did you mean --force?",
    ),
    (
        ["Plain", "--Own-nothing", "t"],
        "--Own-nothing: is neither an option of tac run nor a parameter of Plain; "
        "its parameters are --text, --number, --flag, --told",
        "tac run --help lists the options",
    ),
    (
        ["Plain", "--", "--store", "s"],
        "--store: is no parameter of Plain; its parameters are --text, --number, --flag, --told",
        "did you mean --told?",
    ),
]


@pytest.mark.parametrize(
    ("words", "message", "hint"), REFUSED, ids=[" ".join(r[0]) for r in REFUSED]
)
def test_what_is_neither_an_option_nor_a_parameter_is_refused(words, message, hint):
    _, _, mistakes = read(*words)

    assert mistakes[0] == (message, hint)


@pytest.mark.parametrize("name", sorted(OPTIONS - {"help"}))
@pytest.mark.parametrize("equals", [False, True])
def test_a_name_that_the_task_and_tac_both_have_is_refused_with_the_spellings_of_each(name, equals):
    words = [f"--{name}=tests.support.shadowing"] if equals else [f"--{name}", MODULE[1]]
    context = run.make_context("run", [*(() if name == "module" else MODULE), "Own", *words])
    _, line, _ = run.read(context, context.params["words"])

    assert [(error.message, error.hint) for error in line.mistakes] == [
        (
            f"--{name}: is an option of tac run and a parameter of Own",
            f"write --Own-{name} for Own, or --{name} in front of Own for tac run",
        )
    ]


def test_several_such_names_are_said_at_once():
    _, _, mistakes = read("Own", "--source", "a", "--store", "b", "--source", "c")

    assert mistakes == [
        (
            "--source and --store: are options of tac run and parameters of Own",
            "write --Own-source and --Own-store for Own, or --source and --store in front of Own "
            "for tac run",
        )
    ]


TWICE = [
    ["--store", "a", "--store", "b", "Plain"],
    ["--store", "a", "Plain", "--store=b"],
    ["Plain", "--store", "a", "--store", "a"],
]


@pytest.mark.parametrize("words", TWICE)
def test_two_values_for_an_option_are_refused(words):
    with pytest.raises(ClickError) as caught:
        read(*words)

    assert (caught.value.message, caught.value.exit_code) == ("--store: is given twice", 2)


def test_an_option_in_place_of_a_value_is_refused():
    with pytest.raises(ClickError) as caught:
        read("Plain", "--store", "--quiet")

    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == (
        "--store: needs a value",
        "one that begins with -- is written --store=--quiet",
        2,
    )


@pytest.mark.parametrize(
    ("pairs", "option"),
    [
        ([("text", "a"), ("text", "b")], "text"),
        ([("source", "a"), ("Own-source", "b")], "Own-source"),
        ([("Other-One-text", "a"), ("Other-One-text", "b")], "Other-One-text"),
    ],
)
def test_two_values_for_a_parameter_are_refused(pairs, option):
    with pytest.raises(ConfigError) as caught:
        parameters.read_values(Own, pairs)

    assert caught.value.message == f"--{option}: is given twice"


@pytest.mark.parametrize("text", ["t", "", "50%", "%(x)s", "a=b"])
def test_the_default_of_another_family_is_what_was_typed(text):
    assert parameters.read_values(Own, [("Other-One-text", text)]) == {}

    assert Other_One().text == text


def test_a_parameter_that_is_named_by_its_family_is_the_tasks_and_that_of_all_its_family():
    assert parameters.read_values(Own, [("Own-source", "zzz")]) == {"source": "zzz"}

    assert Own().param_kwargs["source"] == "zzz"


def test_what_luigi_would_take_for_an_environment_variable_is_refused():
    with pytest.raises(ConfigError) as caught:
        parameters.read_values(Own, [("Other-One-text", "${HOME}")])

    assert (caught.value.message, caught.value.hint) == (
        "--Other-One-text '${HOME}': Luigi takes ${…} in a default for an environment variable",
        "a parameter of TASK itself takes it, as --name",
    )
    assert parameters.read_values(Own, [("text", "${HOME}")]) == {"text": "${HOME}"}


def completed(*words):
    *args, incomplete = words
    shell = ShellComplete(main, {}, "tac", "_TAC_COMPLETE")
    return [item.value for item in shell.get_completions(args, incomplete)]


def test_the_completion_and_the_help_of_a_task_name_its_parameters_alike():
    offered = completed("run", *MODULE, "Own", "--")
    options = run.options(click.Context(run))
    helped = [each.option for each in parameters.describe(Own, options)]

    assert [name for name in offered if name in helped] == helped
    assert [name for name in offered if name not in helped] == ["--help"]
    assert {f"--Own-{name}" for name in OPTIONS} <= set(offered)
    assert {"--text", "--number", "--flag", "--told"} <= set(offered)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["Plain", "--s"], ["--store", "--source"]),
        (["Plain", "--t"], ["--text", "--told", "--to"]),
        (["Nope", "--so"], ["--source"]),
        (["--so"], ["--source"]),
    ],
)
def test_options_and_parameters_are_completed(words, offered):
    assert completed("run", *MODULE, *words) == offered
