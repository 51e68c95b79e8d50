"""The click commands of tac: how their command lines are read and completed.

click silently takes the last of two values; here every word is used or refused.
"""

import contextlib
import itertools
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tac import settings
from tac.errors import ConfigError, TacError
from tac.step import ClickError, PlainUsage, refuse_repeated

if TYPE_CHECKING:
    import luigi

    from tac.run.command_line import CommandLine

USAGE = 2
"""The exit code of an invalid command line."""

MODULE = "tac.task"
"""The module of the reference pipeline."""


class StrictCommand(click.Command):
    """A command that refuses a second value for an option, and an option in place of a value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        if not ctx.resilient_parsing:
            self._refuse_option_as_value(ctx, args)
            refuse_repeated(self, ctx, args)
        return super().parse_args(ctx, args)

    def options(self, ctx: click.Context) -> dict[str, bool]:
        """Return the options as they are written, and whether each takes a value."""
        return {
            name: not (param.is_flag or param.count)
            for param in self.get_params(ctx)
            if isinstance(param, click.Option)
            for name in param.opts
        }

    def _refuse_option_as_value(self, ctx: click.Context, args: Sequence[str]) -> None:
        options = self.options(ctx)
        before = itertools.takewhile(lambda word: word != "--", args)
        for word, value in zip(before, args[1:], strict=False):
            if options.get(word) and value.startswith("--"):
                error = ConfigError(
                    f"{word}: needs a value",
                    hint=f"one that begins with -- is written {word}={value}",
                )
                raise ClickError(error, USAGE)


class ReferenceOption(click.Option):
    """An option of the reference pipeline, which the help of another pipeline leaves out."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return its line of the help."""
        ours = ctx.params.get("module", MODULE) == MODULE
        return super().get_help_record(ctx) if ours else None


class Tac(PlainUsage, click.Group):
    """The group of commands; GNU has another program named tac."""

    command_class = StrictCommand

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a file in its place is meant for GNU tac."""
        name = args[0]
        if self.get_command(ctx, name) is None and Path(name).exists():
            raise ClickError(_gnu_tac(name), USAGE)
        return super().resolve_command(ctx, args)


def _gnu_tac(file: str) -> TacError:
    ours = Path(sys.prefix, "bin", "tac").resolve()
    directories = os.get_exec_path({"PATH": settings.variable("PATH") or ""})
    found = (shutil.which("tac", path=directory) for directory in directories)
    others = [path for path in found if path and Path(path).resolve() != ours]
    real = others[0] if others else None
    return TacError(
        f"{file}: is a file, and this tac runs pipelines; it comes before GNU tac on the PATH",
        hint=shlex.join([real, file]) if real else "GNU tac is not installed here",
    )


class RunCommand(StrictCommand):
    """`tac run [OPTIONS] TASK [--PARAMETER VALUE | OPTIONS]...`.

    The options before TASK are tac's. What follows TASK can be split only once its module is
    imported, so click gets it as words, and `read` does the rest.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options before TASK."""
        front = _front(args, self.options(ctx))
        ctx.obj = args[:front]
        words = args[front:]
        if words and words[0] == "--":  # the options end here, and so does what click knows
            words = [*words[1:2], *words[:1], *words[2:]]
        return super().parse_args(ctx, [*args[:front], "--", *words] if words else args)

    def read(
        self, ctx: click.Context, words: Sequence[str]
    ) -> "tuple[type[luigi.Task], CommandLine, dict[str, Any]]":
        """Read TASK and what follows it: the task, its parameters, and all options.

        Raises:
            ConfigError: there is no such module, or no such task in it.
        """
        from tac.run import parameters
        from tac.run.command_line import read_command_line

        options = self.options(ctx)
        module = _module(ctx.obj, words, options)
        parameters.load(module)
        task = parameters.find_task(module, words[0])
        line = read_command_line(task, words[1:], options)
        again = click.Context(self, info_name=ctx.info_name, parent=ctx.parent)
        super().parse_args(again, [*ctx.obj, *line.ours, "--", words[0]])
        return task, line, again.params

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete options, and after TASK its parameters as its help spells them."""
        offered = super().shell_complete(ctx, incomplete)
        with contextlib.suppress(TacError):  # half a command line may name no module yet
            if (task := self._task(ctx)) is not None:
                return _completions(task, self.options(ctx), offered, incomplete)
        return offered

    def _task(self, ctx: click.Context) -> "type[luigi.Task] | None":
        words: Sequence[str] = ctx.params.get("words") or ()
        if not words:
            return None
        from tac.run import parameters

        module = _module(ctx.obj, words, self.options(ctx))
        parameters.load(module)
        return parameters.find_task(module, words[0])


def _front(args: Sequence[str], options: Mapping[str, bool]) -> int:
    """Return the index of TASK, or of the `--` before it: after tac's own options."""
    at = 0
    while at < len(args):
        name, equals, _ = args[at].partition("=")
        if name not in options:
            break
        at += 2 if options[name] and not equals else 1
    return min(at, len(args))


def _module(front: Sequence[str], words: Sequence[str], options: Mapping[str, bool]) -> str:
    """Return the module of TASK, wherever it is named: no value but one of tac's begins with --."""
    after = itertools.takewhile(lambda word: word != "--", words[1:])
    found = list(_values("--module", [*front, *after], options))
    return found[-1] if found else MODULE


def _values(option: str, args: Sequence[str], options: Mapping[str, bool]) -> Iterator[str]:
    words = iter(args)
    for word in words:
        name, equals, value = word.partition("=")
        if name == option:
            yield value if equals else next(words, "")
        elif options.get(name) and not equals:
            next(words, "")


def _completions(
    task: "type[luigi.Task]",
    options: Mapping[str, bool],
    offered: Sequence[CompletionItem],
    incomplete: str,
) -> list[CompletionItem]:
    from tac.run import parameters
    from tac.run.command_line import shadowed

    hidden = {f"--{name}" for name in shadowed(task, options)}
    theirs = [
        CompletionItem(each.option, help=each.text or each.kind)
        for each in parameters.describe(task, options)
        if each.option.startswith(incomplete)
    ]
    return [*theirs, *(item for item in offered if item.value not in hidden)]
