"""The step that makes the page about one day of flights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tac.step import Output, progress, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tac.flights.page_tables import Table
    from tac.flights.schema import Column


@step(suffixes=(".html",))
@click.argument("predictions")
@click.option("--past", multiple=True, metavar="PREDICTIONS", help="Predictions of a day before.")
@click.option(
    "--baseline",
    multiple=True,
    metavar="PREDICTIONS",
    help="Predictions of the carrier-by-hour rates for that day.",
)
@click.option("--happened", multiple=True, metavar="FLIGHTS", help="What happened on that day.")
def main(
    out: Output,
    predictions: str,
    past: tuple[str, ...],
    baseline: tuple[str, ...],
    happened: tuple[str, ...],
) -> None:
    """Write the page OUT, one HTML file that needs nothing else, about the day of PREDICTIONS.

    It says which flights will probably be late and why, and how right the days before were: for
    each of them give --past, --baseline and --happened once, in any order.

    \b
    python -m tac.report page.html predictions.parquet
    python -m tac.report s3://bucket/page.html today.parquet --past yesterday.parquet
        --baseline yesterday/carrier_hour_rate.parquet --happened flights/yesterday.parquet
    """  # noqa: D301 # \b is click's mark for lines that are kept as they are
    from tac.flights.page import build_page
    from tac.flights.page_tables import History, build_table
    from tac.flights.schema import FLIGHTS, PREDICTIONS, WEATHER
    from tac.flights.table import read_files

    total = 2 + len(past) + len(baseline) + len(happened)
    with progress("making the page", total=total) as bar:

        def tables(addresses: Sequence[str], columns: Sequence[Column]) -> list[Table]:
            found = read_files(addresses, columns, done=bar.advance)
            return [build_table(address, rows) for address, rows in found]

        [day] = tables([predictions], PREDICTIONS)
        history = History(
            past=tables(past, PREDICTIONS),
            baseline=tables(baseline, PREDICTIONS),
            happened=tables(happened, (*FLIGHTS, *WEATHER)),
        )
        page = build_page(day, history).encode()
        with out.create() as file:
            file.write(page)
        bar.advance(out.address)


if __name__ == "__main__":
    main()
