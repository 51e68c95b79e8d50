"""Luigi's tasks and their parameters as a command line names them.

A task is found in the module of `--module`; Luigi's own parsers read its parameters.
For everything that can be mistyped there is an error that names what exists.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import datetime as dt
import difflib
import importlib
import inspect
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import luigi
from luigi.task_register import Register

from tac import settings
from tac.errors import ConfigError, cut
from tac.worker.defaults import set_defaults

DATE = "date"
"""The parameter that `--from` and `--to` fill."""

DAYS = {"today": 0, "yesterday": 1}
"""The words for a date, and how many days ago it is."""


@dataclass(frozen=True)
class Described:
    """One parameter as the help shows it."""

    option: str
    kind: str
    default: str | None
    text: str


def load(module: str) -> None:
    """Import the module of the tasks; one that is not tac's own, from the current directory too.

    Its steps may then come from there as well.

    Raises:
        ConfigError: there is no such module, or importing it failed.
    """
    here = str(Path.cwd())
    if module.partition(".")[0] != "tac":
        settings.find_steps_in_current_directory()
        if here not in sys.path:
            sys.path.insert(0, here)
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if module != missing and not module.startswith(f"{missing}."):
            raise ConfigError(
                f"{module}: needs the module {missing}, which is not installed",
                hint=f"install {missing} into {sys.prefix}",
            ) from error
        raise ConfigError(
            f"{module}: there is no such module, neither installed nor in {here}",
            hint="name it with --module as Python imports it, such as my_pipeline.task",
        ) from error
    except Exception as error:
        raise ConfigError(
            f"{module}: cannot be imported: {type(error).__name__}: {cut(str(error))}",
            hint=f"{Path(sys.executable).name} -c 'import {module}' shows where",
        ) from error


def tasks_of(module: str) -> dict[str, type[luigi.Task]]:
    """Return the tasks that the module itself defines, by family."""
    known = Register._get_reg()  # noqa: SLF001 - the only list of the classes
    return {
        family: found
        for family, found in sorted(known.items())
        if found is not Register.AMBIGUOUS_CLASS and found.__module__ == module
    }


def find_task(module: str, family: str) -> type[luigi.Task]:
    """Return the class of a task of the module, or of one that the module imports.

    Raises:
        ConfigError: there is none of this name.
    """
    tasks = tasks_of(module)
    imported = vars(sys.modules[module]).get(family)
    if isinstance(imported, type) and issubclass(imported, luigi.Task):
        return imported
    if family in tasks:
        return tasks[family]
    if Register._get_reg().get(family) is Register.AMBIGUOUS_CLASS:  # noqa: SLF001 - as above
        raise ConfigError(
            f"{family}: several tasks have this name",
            hint="give one of them a `task_namespace`, and name it as NAMESPACE.TASK",
        )
    if family.startswith("-"):
        raise ConfigError(
            f"{family}: is no option of tac run that can stand before TASK",
            hint="name the task first, then its parameters: tac run --module MODULE TASK --name 1",
        )
    raise ConfigError(
        f"{module}: there is no task {family!r}; its tasks are {', '.join(tasks) or 'none'}",
        hint=_where_else(family, tasks),
    )


def _where_else(family: str, tasks: Iterable[str]) -> str:
    known = Register._get_reg()  # noqa: SLF001 - as above
    near = _near(family, tasks)
    if family in known:  # in a module that this one imports
        return f"tac run --module {known[family].__module__} {family}"
    elsewhere = f"name its module: tac run --module my_pipeline.task {family}"
    return f"did you mean {near}? If not, {elsewhere}" if near else elsewhere


def parameters_of(task: type[luigi.Task]) -> dict[str, luigi.Parameter[Any]]:
    """Return the parameters by their option, `first-day` for `first_day`."""
    return {name.replace("_", "-"): parameter for name, parameter in task.get_params()}


def describe(task: type[luigi.Task], options: Iterable[str] = ()) -> list[Described]:
    """Describe each parameter of the task; one with the name of an option gets its long name."""
    taken = set(options)
    return [
        Described(
            f"--{spelling(task, name) if f'--{name}' in taken else name}",
            kind_of(parameter),
            _default(task, name),
            _text(parameter),
        )
        for name, parameter in parameters_of(task).items()
    ]


def spelling(task: type[luigi.Task], name: str) -> str:
    """Return the long name of a parameter, which is unique among tasks and options."""
    return f"{task.get_task_family()}-{name}".replace("_", "-")


def read_values(
    task: type[luigi.Task], pairs: Iterable[tuple[str, str]], *, now: dt.datetime | None = None
) -> dict[str, Any]:
    """Read the values of the task's parameters; what is named `Family-name` is that family's too.

    A date may be the word `today` or `yesterday`: the day in the time zone of the task's class
    (`timezone`), else of the settings, at `now`.

    Raises:
        ConfigError: an unknown name, a value that does not parse, or two values for one parameter.
    """
    values: dict[str, Any] = {}
    given: set[tuple[str, str]] = set()
    for option, word in pairs:
        owner, name = owner_of(task, option)
        parameter = parameters_of(owner)[name]
        text = _without_words(owner, parameter, word, now or dt.datetime.now(dt.UTC))
        value = _parse(option, parameter, text)
        family, attribute = owner.get_task_family(), name.replace("-", "_")
        if (family, attribute) in given:
            raise ConfigError(f"--{option}: is given twice")
        given.add((family, attribute))
        if owner is task:
            values[attribute] = value
        if option not in parameters_of(task):
            _set_default(option, family, attribute, text)
    return values


def _set_default(option: str, family: str, attribute: str, text: str) -> None:
    """Make it the default of every task of the family, as Luigi's own command does."""
    if "${" in text:
        raise ConfigError(
            f"--{option} {text!r}: Luigi takes ${{…}} in a default for an environment variable",
            hint="a parameter of TASK itself takes it, as --name",
        )
    set_defaults({(family, attribute): text})


def make_task(task: type[luigi.Task], values: dict[str, Any]) -> luigi.Task:
    """Make the task.

    Raises:
        ConfigError: the class is abstract, a parameter is missing, or the task refuses the values.
    """
    family = task.get_task_family()
    if inspect.isabstract(task):
        lacks = ", ".join(f"{name}()" for name in sorted(task.__abstractmethods__))
        raise ConfigError(
            f"{family}: is abstract: it has no {lacks}", hint="name a subclass that has them"
        )
    missing = [
        f"--{option} ({kind_of(parameter)})"
        for option, parameter in parameters_of(task).items()
        if option.replace("-", "_") not in values
        and not parameter.has_task_value(family, option.replace("-", "_"))
    ]
    if missing:
        raise ConfigError(f"{family}: needs {' and '.join(missing)}", hint=_help(task))
    try:
        return task(**values)
    except Exception as error:
        raise ConfigError(
            f"{family}: refuses these parameters: {type(error).__name__}: {cut(str(error))}",
            hint=_help(task),
        ) from error


def _help(task: type[luigi.Task]) -> str:
    return f"tac run --module {task.__module__} {task.get_task_family()} --help"


def each_date(
    task: type[luigi.Task],
    values: dict[str, Any],
    first: dt.date,
    last: dt.date,
    every: int,
) -> list[luigi.Task]:
    """Make the task of every date from `first` to `last`, one in `every` days.

    Raises:
        ConfigError: the task has no date, or was given one, or there is no day between the two.
    """
    family = task.get_task_family()
    if DATE not in parameters_of(task):
        raise ConfigError(
            f"{family}: has no parameter `date` that --from and --to could fill",
            hint=_help(task),
        )
    if DATE in values:
        raise ConfigError("--date: is given, and so are --from and --to", hint="give one of them")
    if last < first:
        raise ConfigError(f"--from {first} --to {last}: the last day is before the first")
    days = range(0, (last - first).days + 1, every)
    dates = (first + dt.timedelta(days=ahead) for ahead in days)
    return [make_task(task, values | {DATE: date}) for date in dates]


def owner_of(
    task: type[luigi.Task], option: str, options: Collection[str] = ()
) -> tuple[type[luigi.Task], str]:
    """Find whose parameter `option` is: the task's, or as `Family-name` that family's.

    Raises:
        ConfigError: it is no parameter; what is near is named, among `options` too.
    """
    if option in parameters_of(task):
        return task, option
    for prefix, other in _others(task, option):
        name = option.removeprefix(prefix)
        if name in parameters_of(other):
            return other, name
    own = [each.option for each in describe(task, options)]
    usable = [name for name in options if name.removeprefix("--") not in parameters_of(task)]
    near = _near(f"--{option}", [*own, *usable])
    names = ", ".join(own) or "none"
    what = "is neither an option of tac run nor a" if options else "is no"
    raise ConfigError(
        f"--{option}: {what} parameter of {task.get_task_family()}; its parameters are {names}",
        hint=f"did you mean {near}?" if near else "tac run --help lists the options",
    )


def _others(task: type[luigi.Task], option: str) -> Iterator[tuple[str, type[luigi.Task]]]:
    known = {**Register._get_reg(), task.get_task_family(): task}  # noqa: SLF001 - the only list of the classes
    for family, other in known.items():
        prefix = f"{family}-".replace("_", "-")
        if other is not Register.AMBIGUOUS_CLASS and option.startswith(prefix):
            yield prefix, other


def _parse(option: str, parameter: luigi.Parameter[Any], text: str) -> Any:
    try:
        return parameter.normalize(parameter.parse(text))
    except Exception as error:
        why = "" if isinstance(parameter, luigi.ChoiceParameter) else f": {cut(str(error))}"
        raise ConfigError(f"--{option} {text!r}: is not {kind_of(parameter)}{why}") from error


def _without_words(
    owner: type[luigi.Task], parameter: luigi.Parameter[Any], text: str, now: dt.datetime
) -> str:
    """Write `today` and `yesterday` as a date, where a date is meant."""
    months_and_years = (luigi.MonthParameter, luigi.YearParameter)
    is_date = isinstance(parameter, luigi.DateParameter)
    if text not in DAYS or not is_date or isinstance(parameter, months_and_years):
        return text
    return str(now.astimezone(_zone_of(owner)).date() - dt.timedelta(days=DAYS[text]))


def _zone_of(task: type[luigi.Task]) -> dt.tzinfo | None:
    own = getattr(task, "timezone", "")
    if isinstance(own, str) and own:  # a Luigi parameter may be called so too
        return settings.time_zone(own, f"{task.__name__}.timezone")
    return settings.time_zone(settings.current().timezone)


def _text(parameter: luigi.Parameter[Any]) -> str:
    # Luigi adds the choices to the description of a ChoiceParameter, in an order of chance.
    return (parameter.description or "").partition("Choices: {")[0].strip()


def takes_value(parameter: luigi.Parameter[Any]) -> bool:
    """Return whether the option takes a value; a flag of Luigi's does not."""
    implicit = luigi.BoolParameter.IMPLICIT_PARSING
    return not (isinstance(parameter, luigi.BoolParameter) and parameter.parsing == implicit)


_KINDS: dict[type, str] = {
    luigi.MonthParameter: "a month, YYYY-MM",
    luigi.YearParameter: "a year, YYYY",
    luigi.DateParameter: "a date, YYYY-MM-DD",
    luigi.DateHourParameter: "an hour, YYYY-MM-DDTHH",
    luigi.DateMinuteParameter: "a minute, YYYY-MM-DDTHHMM",
    luigi.IntParameter: "a whole number",
    luigi.FloatParameter: "a number",
    luigi.BoolParameter: "yes or no",
    luigi.ListParameter: "a list in JSON",
    luigi.DictParameter: "a dictionary in JSON",
}


def kind_of(parameter: luigi.Parameter[Any]) -> str:
    """Say what a value of it is."""
    if isinstance(parameter, luigi.ChoiceParameter):
        choices = sorted(str(choice) for choice in parameter._choices)  # noqa: SLF001 - nowhere else
        return f"one of {', '.join(choices)}"
    for kind, text in _KINDS.items():
        if isinstance(parameter, kind):
            return text
    name = type(parameter).__name__.removesuffix("Parameter").lower()
    return f"a {name}" if name else "a text"


def _default(task: type[luigi.Task], option: str) -> str | None:
    name, family = option.replace("-", "_"), task.get_task_family()
    parameter = parameters_of(task)[option]
    if not parameter.has_task_value(family, name):
        return None
    return str(parameter.serialize(parameter.task_value(family, name)))


def _near(name: str, known: Iterable[str]) -> str | None:
    lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), lower, n=1)
    return lower[found[0]] if found else None
