"""The step that fetches one day of flights, or one day's schedule."""

from __future__ import annotations

import click

from tac.flights import BUNDLED
from tac.step import Output, say, step


@step(suffixes=(".parquet", ".csv"))
@click.option(
    "--date", "date", required=True, metavar="DAY", help="2023-03-01, today or yesterday."
)
@click.option(
    "--source",
    default=BUNDLED,
    show_default=True,
    help="The bundled year 2023, or a template of addresses.",
)
@click.option("--schedule", is_flag=True, help="Only what is known on the morning of the day.")
def main(out: Output, date: str, source: str, *, schedule: bool) -> None:
    """Fetch one day of flights out of New York, check it, and write it to OUT.

    OUT is a path or s3://bucket/key, and ends in .parquet or .csv; - is standard output.
    Days are days in New York.

    \b
    python -m tac.fetch out.parquet --date 2023-02-28
    python -m tac.fetch s3://bucket/schedule.csv --date 2023-03-01 --schedule
    python -m tac.fetch - --date yesterday --source 'https://host/{date:%Y-%m-%d}.parquet'
    python -m tac.fetch day.parquet --date 2023-02-28 --source 's3://bucket/{date:%Y/%m/%d}.csv'
    """  # noqa: D301 # \b is click's mark for lines that are kept as they are
    from tac.flights.calendar import parse_day, refuse_future
    from tac.flights.day import read_day
    from tac.flights.table import write_table

    day = parse_day(date)
    refuse_future(day)
    table = read_day(source, day, schedule=schedule)
    with out.create() as file:
        write_table(file, out.suffix, table)
    say(f"{day}: {table.num_rows} flights")


if __name__ == "__main__":
    main()
