"""The command `tac run`, and what every command that runs tasks shares.

It parses, calls one function, and prints: data to stdout, messages to stderr.
Luigi is imported once there is something to run.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tac import runners, settings, terminal
from tac.commands import MODULE, USAGE, ReferenceOption, RunCommand
from tac.errors import ConfigError, TacError
from tac.runners.launch import redacted_command
from tac.step import ClickError

if TYPE_CHECKING:
    import luigi

    from tac.observer import Observer
    from tac.run import Outcome
    from tac.worker import Plan

_UNHANDLED = 40  # Luigi's retcode class `unhandled_exception`
_INTERRUPTED, _TERMINATED = 130, 143  # as a shell says SIGINT and SIGTERM


@contextlib.contextmanager
def show_errors(*, debug: bool) -> Iterator[None]:
    """Turn every error into a message and an exit code; the traceback only with --debug."""
    try:
        _check_configuration()
        yield
    except (click.exceptions.Exit, click.ClickException):
        raise
    except BrokenPipeError:  # the reader has closed the pipe (`| head`): click exits quietly
        raise
    except TacError as error:
        if debug:
            terminal.show_traceback(error)
        usage = isinstance(error, ConfigError)
        raise ClickError(error, USAGE if usage else _UNHANDLED) from error
    except KeyboardInterrupt as interrupt:  # before a run: in one, `tac.run.build` stops the tasks
        terminal.say("stopped; nothing was running")
        raise click.exceptions.Exit(_exit_code_of(interrupt)) from interrupt
    except Exception as error:
        if debug:
            terminal.show_traceback(error)
        unknown = TacError(
            f"{type(error).__name__}: {error}", hint=None if debug else "--debug shows where"
        )
        raise ClickError(unknown, _UNHANDLED) from error


def _check_configuration() -> None:
    """Let Luigi read its configuration files.

    Raises:
        ConfigError: it cannot, which would be a traceback where its modules are imported.
    """
    import configparser

    try:
        from luigi.configuration import get_config

        get_config()
    except (ImportError, configparser.Error, UnicodeDecodeError) as error:
        toml = isinstance(error, ImportError)
        raise ConfigError(
            f"Luigi cannot read its configuration: {error}",
            hint="`pip install toml` where tac is installed, or write a luigi.cfg"
            if toml
            else "mend luigi.cfg, or the file that LUIGI_CONFIG_PATH names",
        ) from error


def _exit_code_of(interrupt: KeyboardInterrupt) -> int:
    from tac.signals import Terminated

    return _TERMINATED if isinstance(interrupt, Terminated) else _INTERRUPTED


_PODS = 10
"""Steps at once where they run elsewhere: the driver only waits."""

DAY = click.DateTime(formats=["%Y-%m-%d"])


def run_options(function: Any) -> Any:
    """Add what every command that runs tasks takes."""
    options = [
        click.option("--store", help="Where outputs live: a directory, or s3://bucket/prefix"),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            help=f"Tasks at once (default: CPUs, on Kubernetes {_PODS})",
        ),
        click.option("--runner", help="Where steps run: local (default), docker, kubernetes"),
        click.option("--image", help="The image of the steps' containers (default: tac)"),
        click.option("--context", help="The Kubernetes context (default: the current one)"),
        click.option("--namespace", help="The namespace of the Jobs (default: the context's)"),
        click.option(
            "--source",
            cls=ReferenceOption,
            help="The reference pipeline's data, as a URL with {date}",
        ),
        click.option(
            "--luigid",
            metavar="URL",
            help="Luigi's central scheduler, for its dashboard: `luigid --address 127.0.0.1`",
        ),
        click.option("--quiet", is_flag=True, help="Say only what went wrong, and the results"),
        click.option("--verbose", is_flag=True, help="Show what Luigi logs"),
        click.option("--debug", is_flag=True, help="Show the traceback of an error"),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@dataclass(frozen=True)
class Common:
    """The options that every command takes that runs tasks."""

    workers: int
    luigid: str
    quiet: bool
    verbose: bool

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> "Common":
        """Remove the common options from `options`, and override the settings with them."""
        names = ("store", "runner", "image", "source", "luigid")
        settings.override(
            **{name: options.pop(name) for name in names},
            kubernetes_context=options.pop("context"),
            kubernetes_namespace=options.pop("namespace"),
        )
        runners.check_name(settings.current().runner)
        here = _PODS if settings.current().runner == "kubernetes" else os.cpu_count() or 1
        workers = options.pop("workers") or here
        return cls(workers, settings.current().luigid, options.pop("quiet"), options.pop("verbose"))


@click.command(cls=RunCommand, add_help_option=False, no_args_is_help=True)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="TASK [--PARAMETER VALUE]...")
@click.option("--module", default=MODULE, show_default=True, help="Where the task is defined")
@click.option("--from", "first", type=DAY, metavar="DAY", help="Every day from here,")
@click.option("--to", "last", type=DAY, metavar="DAY", help="to here, for a task with a date,")
@click.option("--every", type=click.IntRange(min=1), metavar="N", help="or one day in N")
@click.option("--dry-run", is_flag=True, help="Say what would run, and why; run nothing")
@click.option("--force", is_flag=True, help="Delete the outputs first, with all made from them")
@click.option("--yes", is_flag=True, help="Do not ask before --force deletes")
@click.option("--help", "-h", "wants_help", is_flag=True, help="Show this, or TASK's parameters")
@run_options
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> None:
    """Run TASK and everything it needs that is not there yet.

    A task's parameters are written by their names; `tac run TASK --help` lists them.
    --Family-name sets the parameter of every task of that family, if nothing else gives it a value.
    A parameter with the name of an option below is written --TASK-name, or after a --.
    A date is written 2023-03-01, or as the word today or yesterday: the day in the time zone of the
    task, which the reference pipeline sets, else of TAC_TIMEZONE, else of this machine.

    --force deletes the outputs of TASK, and of what was made from them: tasks of the same
    module, with the same parameters, every value of a choice, and every date that occurs in the
    store. It does not see tasks of other modules, nor those whose other parameters differ.

    \b
    Exit codes:
      0 done, 2 usage, 10 another worker runs it, 20 data from elsewhere is missing,
      25 not run, 30 a task failed, 35 a task could not be scheduled, 40 an error of tac,
      130 Ctrl-C, 143 SIGTERM

    \b
    Examples:
      tac run Report --date 2023-03-01 --store s3://bucket/prefix
      tac run MakePredictions --date 2023-03-01 --store s3://bucket/prefix --runner kubernetes
      tac run MakePredictions --from 2023-01-11 --to 2023-12-31 --workers 4
      tac run FetchData --date 2023-03-01 --force --dry-run
      tac run --module my_pipeline.task MyTask --number 7 --luigid http://127.0.0.1:8082
    """  # noqa: D301 - click's mark for a paragraph to leave alone
    words = options["words"]
    if not words:
        if not options["wants_help"]:
            raise click.UsageError("name a task, such as: tac run Report --date 2023-03-01", ctx)
        terminal.show(ctx.get_help())
        return
    with show_errors(debug=options["debug"] or "--debug" in words):
        task, line, options = run.read(ctx, words)
        if options["wants_help"]:
            _show_task(task, run.options(ctx))
            return
        for mistake in line.mistakes:
            raise mistake
        common = Common.from_options(options)
        with each_warning_once():
            code = run_tasks(_tasks(task, line.pairs, options), common, options)
        ctx.exit(code)


def each_warning_once() -> contextlib.AbstractContextManager[None]:
    """Print each of Python's warnings once for a family of tasks, inside the block."""
    from tac.run import warnings_once

    return warnings_once(terminal.say)


def _tasks(
    task: "type[luigi.Task]", pairs: Sequence[tuple[str, str]], options: dict[str, Any]
) -> "list[luigi.Task]":
    from tac.run import parameters

    values = parameters.read_values(task, pairs)
    first, last, every = (options[name] for name in ("first", "last", "every"))
    if first is None and last is None and every is None:
        return [parameters.make_task(task, values)]
    if first is None or last is None:
        raise ConfigError("--from and --to: belong together", hint="--every N is for them only")
    return parameters.each_date(task, values, first.date(), last.date(), every or 1)


def _show_task(task: "type[luigi.Task]", options: Iterable[str]) -> None:
    from tac.run import messages

    for line in messages.task_help(task, options):
        terminal.show(line)


def run_tasks(tasks: "list[luigi.Task]", common: Common, options: dict[str, Any]) -> int:
    """Run the tasks as the options say, print the outcome, and return the exit code."""
    from tac import run as runs
    from tac.run import messages

    with runs.raised_signals():
        if options.get("force") and not _force(tasks, options):
            return 0
        plan = runs.plan_of(tasks)
        if options.get("dry_run"):
            for line in messages.dry_run(plan):
                terminal.say(line, err=False)
            return 0
        code = _run_plan(plan, common)
        if code == 0 and options.get("results", True):
            for place in runs.results_of(tasks):
                terminal.hand_over(place)
    return code


def _run_plan(plan: "Plan", common: Common) -> int:
    from tac.run import messages

    say = (lambda _: None) if common.quiet else terminal.say
    if plan.complete:
        runners.sweep()
        say(messages.all_there(plan))
        return 0
    outcome = _build(plan, common)
    for line in messages.explanation(outcome, redacted_command(["tac", *sys.argv[1:]])):
        terminal.say(line)
    say(messages.summary(outcome))
    return int(outcome.exit_code)


def _build(plan: "Plan", common: Common) -> "Outcome":
    from tac import run as runs

    with _view(common) as observers:
        options = runs.Options(common.workers, common.luigid, common.verbose, observers)
        return runs.build(plan, options)


@contextlib.contextmanager
def _view(common: Common) -> "Iterator[tuple[Observer, ...]]":
    from tac.live import LiveView, PlainLines

    if common.quiet:
        yield ()
    elif common.verbose or not terminal.is_terminal(sys.stderr):
        yield (PlainLines(terminal.say),)
    else:
        from rich.console import Console

        with LiveView(Console(stderr=True), common.workers) as view:
            yield (view,)


def _force(tasks: "list[luigi.Task]", options: dict[str, Any]) -> bool:
    """Delete what --force names, if that is confirmed; return whether to run."""
    from tac.run import messages, redo

    found = redo.to_redo(tasks, options["module"])
    for line in messages.force(found):
        terminal.say(line, err=not options["dry_run"])
    if options["dry_run"]:
        return False
    if found.delete and not options["yes"]:
        if not terminal.is_terminal(sys.stdin):
            raise ConfigError(
                f"--force: would delete the outputs of {len(found.delete)} tasks, "
                "and there is no terminal to ask on",
                hint="add --yes",
            )
        if not click.confirm(f"Delete the outputs of {len(found.delete)} tasks?", err=True):
            terminal.say("nothing was deleted")
            return False
    redo.delete(found)
    return True
