"""The step that averages what several models say about the same flights."""

from __future__ import annotations

import click

from tac.step import Output, progress, step


@step(suffixes=(".parquet", ".csv"))
@click.argument("predictions", nargs=-1, required=True)
def main(out: Output, predictions: tuple[str, ...]) -> None:
    """Average the PREDICTIONS of several models for the same flights into OUT.

    \b
    python -m tac.average predictions.parquet logistic.parquet gradient_boosting.parquet
    """  # noqa: D301 # \b is click's mark for lines that are kept as they are
    from tac.flights.predictions import average
    from tac.flights.schema import PREDICTIONS
    from tac.flights.table import read_files, write_table

    with progress("averaging", total=len(predictions) + 1) as bar:
        table = average(read_files(predictions, PREDICTIONS, done=bar.advance))
        with out.create() as file:
            write_table(file, out.suffix, table)
        bar.advance(out.address)


if __name__ == "__main__":
    main()
