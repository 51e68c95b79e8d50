"""Splits a command line of `tac run`: which words are options of tac, which the task's parameters.

Every word is used or refused, never dropped: a name that is both is refused, with the two ways to
write it that are not ambiguous.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import luigi

from tac.errors import ConfigError
from tac.run.parameters import kind_of, owner_of, parameters_of, spelling, takes_value

_BOOLEANS = ("true", "false")
"""What Luigi's BoolParameter reads, in any case."""


_HELP = ("-h", "--help")
"""They are tac's at any place: nothing runs."""


@dataclass
class CommandLine:
    """What followed TASK."""

    ours: list[str] = field(default_factory=list)
    """For the options of tac run, as they were written."""
    pairs: list[tuple[str, str]] = field(default_factory=list)
    """Parameters of tasks and their values as text, in order."""
    mistakes: list[ConfigError] = field(default_factory=list)


def read_command_line(
    task: type[luigi.Task], words: Iterable[str], options: Mapping[str, bool]
) -> CommandLine:
    """Split the words after TASK.

    `options` are those of tac run, such as `--store`, and whether each takes a value.
    Words after `--` are the task's. Mistakes are collected, because --help ignores them.
    """
    reader = _Reader(task, deque(words), options)
    reader.read()
    return reader.found


def shadowed(task: type[luigi.Task], options: Iterable[str]) -> set[str]:
    """Return the parameters of the task that are called like an option of tac run."""
    taken = set(options) - set(_HELP)
    return {name for name in parameters_of(task) if f"--{name}" in taken}


class _Reader:
    """One pass over the words, from left to right."""

    def __init__(
        self, task: type[luigi.Task], words: deque[str], options: Mapping[str, bool]
    ) -> None:
        self.found = CommandLine()
        self._task = task
        self._words = words
        self._options = options
        self._shadowed: dict[str, None] = {}

    def read(self) -> None:
        while self._words:
            word = self._words.popleft()
            name = word.partition("=")[0]
            if word == "--" and self._options:
                self._options = {}
            elif name in _HELP and name in self._options:
                self.found.ours.append(word)
            elif not word.startswith("--") or word == "--":
                self._not_expected(word)
            else:
                self._read_option(word)
        if self._shadowed:
            self.found.mistakes.insert(0, _shadowed_error(self._task, list(self._shadowed)))

    def _not_expected(self, word: str) -> None:
        flag = self.found.pairs[-1][0] if self.found.pairs else ""
        hint = "one task is run; its parameters are written --name value"
        if word.lower() in _BOOLEANS and flag:
            hint = f"a value of --{flag} is written --{flag}={word}"
        self.found.mistakes.append(ConfigError(f"{word!r}: is not expected here", hint=hint))

    def _read_option(self, word: str) -> None:
        name, equals, text = word.partition("=")
        parameter = name.removeprefix("--").replace("_", "-")
        is_ours, is_the_tasks = name in self._options, parameter in parameters_of(self._task)
        if is_ours and is_the_tasks:
            self._shadowed[parameter] = None
        if is_ours and not is_the_tasks:
            self._read_ours(word, needs_value=self._options[name] and not equals)
            return
        try:
            owner, own = owner_of(self._task, parameter, self._options)
        except ConfigError as error:
            self.found.mistakes.append(error)
            self._value()
            return
        value = text if equals else self._value_of(parameter, parameters_of(owner)[own])
        if value is not None:
            self.found.pairs.append((parameter, value))

    def _read_ours(self, word: str, *, needs_value: bool) -> None:
        self.found.ours.append(word)
        if not needs_value:
            return
        value = self._value()
        if value is None:
            self._needs_value(word, "a value")
        else:
            self.found.ours.append(value)

    def _value_of(self, name: str, parameter: luigi.Parameter[Any]) -> str | None:
        if not takes_value(parameter):
            return "true"
        if isinstance(parameter, luigi.BoolParameter):  # as Luigi: without a value it is true
            given = self._words and self._words[0].lower() in _BOOLEANS
            return self._words.popleft() if given else "true"
        value = self._value()
        if value is None:
            self._needs_value(f"--{name}", f"a value, {kind_of(parameter)}")
        return value

    def _value(self) -> str | None:
        """Take the next word, unless it begins as an option does."""
        return self._words.popleft() if self._words and self._words[0][:2] != "--" else None

    def _needs_value(self, name: str, what: str) -> None:
        hint = None
        if self._words:
            hint = f"one that begins with -- is written {name}={self._words[0]}"
        self.found.mistakes.append(ConfigError(f"{name}: needs {what}", hint=hint))


def _shadowed_error(task: type[luigi.Task], names: Sequence[str]) -> ConfigError:
    family = task.get_task_family()
    written = " and ".join(f"--{name}" for name in names)
    theirs = " and ".join(f"--{spelling(task, name)}" for name in names)
    what = "is an option of tac run and a parameter"
    if len(names) > 1:
        what = "are options of tac run and parameters"
    return ConfigError(
        f"{written}: {what} of {family}",
        hint=f"write {theirs} for {family}, or {written} in front of {family} for tac run",
    )
