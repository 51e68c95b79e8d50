"""The umbrella command `tac`: the commands that it has, and the page that names them.

Luigi is imported only by what runs tasks, so `tac --help` costs what click costs.
"""

import click

import tac
from tac import terminal
from tac.commands import Tac
from tac.evaluate_command import evaluate
from tac.run_command import run

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Tac, context_settings=_CONTEXT)
@click.version_option(tac.__version__, prog_name="tac", message="%(prog)s %(version)s")
def main() -> None:
    """Run Luigi pipelines whose every task is one command.

    \b
    Examples:
      tac run Report --date 2023-03-01
      tac run MakePredictions --from 2023-01-11 --to 2023-12-31
      tac run --module my_pipeline.task MyTask --dry-run
      tac evaluate --from 2023-01-13 --to 2023-12-20 --every 11
    """  # noqa: D301 - click's mark for a paragraph to leave alone


main.add_command(run)
main.add_command(evaluate)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes tac's commands and options in SHELL.

    \b
    Example:
      eval "$(tac completion bash)"
    """  # noqa: D301 - click's mark for a paragraph to leave alone
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is not None:
        terminal.show(kind(main, {}, "tac", "_TAC_COMPLETE").source())
