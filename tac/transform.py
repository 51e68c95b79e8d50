"""The step that turns ten days of flights and a schedule into one table of features."""

from __future__ import annotations

import click

from tac.step import Output, progress, step


@step(suffixes=(".parquet", ".csv"))
@click.argument("days", nargs=-1, required=True)
@click.option("--schedule", required=True, help="The schedule of the day to predict.")
def main(out: Output, days: tuple[str, ...], schedule: str) -> None:
    """Turn the ten DAYS before a day, and its schedule, into one table of features, OUT.

    The days are what tac.fetch wrote, in any order; paths and s3:// addresses in any mixture.

    \b
    python -m tac.transform features.parquet day1.parquet … day10.parquet --schedule s.parquet
    python -m tac.transform s3://bucket/features.csv flights/*.csv --schedule s3://bucket/s.csv
    """  # noqa: D301 # \b is click's mark for lines that are kept as they are
    from tac.flights.schema import FLIGHTS, OUTCOMES, SCHEDULE
    from tac.flights.table import read_files, write_table
    from tac.flights.window import order_days

    with progress("features", total=len(days) + 3) as bar:
        planned = read_files([schedule], SCHEDULE, forbidden=OUTCOMES, done=bar.advance)[0]
        happened = read_files(days, FLIGHTS, done=bar.advance)
        window = order_days(happened, planned)
        from tac.flights.features import build_features

        table = build_features(window, planned[1])
        bar.advance(f"{table.num_rows} flights")
        with out.create() as file:
            write_table(file, out.suffix, table)
        bar.advance(out.address)


if __name__ == "__main__":
    main()
