"""The command `tac evaluate` of the reference pipeline."""

import json
from typing import TYPE_CHECKING, Any

import click

from tac import terminal
from tac.commands import MODULE, StrictCommand
from tac.errors import ConfigError, DataError
from tac.run_command import DAY, Common, each_warning_once, run_options, run_tasks, show_errors

if TYPE_CHECKING:
    import datetime

    import luigi


@click.command(cls=StrictCommand, no_args_is_help=True)
@click.option("--from", "first", type=DAY, required=True, metavar="DAY", help="The first day")
@click.option("--to", "last", type=DAY, required=True, metavar="DAY", help="The last day")
@click.option("--every", type=click.IntRange(min=1), default=1, metavar="N", help="One day in N")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result as JSON")
@run_options
@click.pass_context
def evaluate(ctx: click.Context, /, *, as_json: bool, **options: Any) -> None:
    """Hold predictions against what happened, over a range of days.

    Runs what is missing for it, then prints how good the predictions were: to standard output.

    \b
    Example:
      tac evaluate --from 2023-01-13 --to 2023-12-20 --every 11
    """  # noqa: D301 - click's mark for a paragraph to leave alone
    with show_errors(debug=options["debug"]):
        first, last = options.pop("first").date(), options.pop("last").date()
        if first > last:
            raise ConfigError(f"--from {first} --to {last}: the last day is before the first")
        every = options.pop("every")
        common = Common.from_options(options)
        with each_warning_once():
            tasks: list[luigi.Task] = [_evaluation(first, last, every)]
            code = run_tasks(tasks, common, {"results": False})
        if code == 0:
            _show_evaluation(tasks[0], as_json=as_json)
        ctx.exit(code)


def _evaluation(first: "datetime.date", last: "datetime.date", every: int) -> "luigi.Task":
    from tac.run import parameters

    parameters.load(MODULE)
    task = parameters.find_task(MODULE, "Evaluate")
    return parameters.make_task(task, {"first": first, "last": last, "every": every})


def _show_evaluation(task: "luigi.Task", *, as_json: bool) -> None:
    from tac.run import results_of
    from tac.step import read_bytes

    [address] = results_of([task])
    try:
        text = _format_evaluation(json.loads(read_bytes(address)), as_json=as_json)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(
            f"{address}: holds no scores", hint="delete it, and `tac evaluate` makes it again"
        ) from error
    terminal.show(text)


def _format_evaluation(result: Any, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(result, indent=2)
    from tac.flights import scores

    return scores.show(result)
