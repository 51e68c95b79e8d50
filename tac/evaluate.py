"""The step that holds predictions of many days against what happened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from tac.flights import BASELINE
from tac.step import Output, progress, say, step

if TYPE_CHECKING:
    import datetime

_TEMPLATE = "A template of addresses, such as '{}'."


@step(suffixes=(".json",))
@click.option("--from", "first", required=True, metavar="DAY", help="The first day.")
@click.option("--to", "last", required=True, metavar="DAY", help="The last day.")
@click.option("--every", default=1, show_default=True, help="Days from one to the next.")
@click.option(
    "--predictions", required=True, help=_TEMPLATE.format("store/predictions/{date}.parquet")
)
@click.option(
    "--baseline",
    required=True,
    help=_TEMPLATE.format(f"store/predictions/{{date}}/{BASELINE}.parquet"),
)
@click.option("--happened", required=True, help=_TEMPLATE.format("store/flights/{date}.parquet"))
def main(out: Output, first: str, last: str, every: int, **templates: str) -> None:
    """Score the predictions of many days against what happened, and against a baseline.

    OUT is JSON: AUC and log loss with 95 % intervals (drawn over days), and the scores of each day.
    A table for people goes to standard error.
    A pooled AUC above 0.75 over 30 dates or more is refused: such predictions have seen the future.

    \b
    python -m tac.evaluate scores.json --from 2023-01-13 --to 2023-12-20 --every 11 \\
        --predictions 'store/predictions/{date}.parquet' \\
        --baseline 'store/predictions/{date}/carrier_hour_rate.parquet' \\
        --happened 'store/flights/{date}.parquet'
    """  # noqa: D301 # \b is click's mark for lines that are kept as they are
    from tac.flights.calendar import days_between, parse_day

    dates = days_between(parse_day(first), parse_day(last), every)
    with progress("evaluating", total=len(dates) + 3) as bar:
        days = []
        for date in dates:
            days.append(_read(date, templates))
            bar.advance(str(date))
        from tac.flights.scores import evaluate, show

        result = evaluate(days, bar.advance)
        with out.create() as file:
            file.write(json.dumps({"every": every, **result}, indent=1).encode() + b"\n")
        bar.advance(out.address)
    for line in show(result).splitlines():
        say(line)


def _read(date: datetime.date, templates: dict[str, str]) -> Any:
    from tac.flights.outcome import join_day
    from tac.flights.schema import FLIGHTS, PREDICTIONS
    from tac.flights.source import address_of
    from tac.flights.table import read_files

    def table(option: str, columns: Any) -> Any:
        return read_files([address_of(templates[option], date, f"--{option}")], columns)[0]

    return join_day(
        date,
        table("predictions", PREDICTIONS),
        table("baseline", PREDICTIONS),
        table("happened", FLIGHTS),
    )


if __name__ == "__main__":
    main()
