"""From the tables of the steps to the data of the page; days are matched by their dates.

Refuses what would make the page lie: a past day that is not past, a day that one of the three
options lacks, a baseline for other flights than the predictions'.
"""

from __future__ import annotations

import datetime
import importlib.resources
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tac.errors import ConfigError, DataError
from tac.flights import GROUPS
from tac.flights.outcome import join_day
from tac.flights.page_day import Flight
from tac.flights.page_past import PastDay
from tac.flights.page_text import airline, day_weather, place, reasons

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Rows: TypeAlias = Any  # pyarrow.Table; pyarrow has no types

MOST_REASONS = 3

_HUNDRED = 100  # a clock time is written as one number: 1745


@dataclass(frozen=True)
class Names:
    """The names of airlines and airports by their codes."""

    airlines: Mapping[str, str]
    airports: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """One table of one day, and where it was read."""

    address: str
    date: datetime.date
    rows: Rows


@dataclass(frozen=True)
class History:
    """The days behind: what was predicted, by the models and the baseline, and what happened."""

    past: Sequence[Table] = ()
    baseline: Sequence[Table] = ()
    happened: Sequence[Table] = ()

    @property
    def options(self) -> dict[str, Sequence[Table]]:
        """The tables by the option that named them."""
        return {"--past": self.past, "--baseline": self.baseline, "--happened": self.happened}


def read_names() -> Names:
    """Return the names that come with tac."""
    import pyarrow.parquet

    year = importlib.resources.files("tac.flights").joinpath("year")
    names = []
    for file, code in (("airlines", "carrier"), ("airports", "faa")):
        with year.joinpath(f"{file}.parquet").open("rb") as stream:
            rows = pyarrow.parquet.read_table(stream, columns=[code, "name"], use_threads=False)
        names.append(dict(zip(*_lists(rows, (code, "name")), strict=True)))
    return Names(airlines=names[0], airports=names[1])


def build_table(address: str, rows: Rows) -> Table:
    """Find out which day a table is about.

    Raises:
        DataError: it holds flights of several days.
    """
    dated = "date" in rows.column_names
    names = ("date",) if dated else ("year", "month", "day")
    days = sorted(set(_tuples(rows, names)))
    try:
        dates = [day[0] if dated else datetime.date(*day) for day in days]
    except ValueError as error:
        raise DataError(f"{address}: {'-'.join(map(str, days[-1]))} is no day") from error
    if len(dates) > 1:
        raise DataError(
            f"{address}: holds flights of {len(dates)} days, {dates[0]} to {dates[-1]};"
            " one day was expected"
        )
    return Table(address, dates[0], rows)


def build_flights(table: Table, names: Names) -> list[Flight]:
    """Turn predictions into flights with their reasons as text."""
    return [_flight(row, names) for row in table.rows.to_pylist()]


def _flight(row: Mapping[str, Any], names: Names) -> Flight:
    carrier, dest = row["carrier"], row["dest"]
    known = {
        "hour": str(row["hour"]),
        "origin": row["origin"],
        "airline": airline(carrier, names.airlines),
        "place": place(dest, names.airports),
    }
    contributions = {group: row[f"because_{group}"] for group in GROUPS}
    return Flight(
        hour=row["hour"],
        minute=row["sched_dep_time"] % _HUNDRED,
        origin=known["origin"],
        carrier=carrier,
        airline=known["airline"],
        number=row["flight"],
        dest=dest,
        place=known["place"],
        probability=row["probability"],
        reasons=tuple(reasons(known, contributions, MOST_REASONS)),
    )


def build_past_days(date: datetime.date, history: History) -> list[PastDay]:
    """Put together what was forecast and what happened on each day before `date`.

    Raises:
        ConfigError: a day is not before `date`, given twice, or missing in one of the options.
        DataError: the flights of a day are not the same ones.
    """
    by_date = {option: _by_date(option, tables, date) for option, tables in history.options.items()}
    dates = sorted({day for tables in by_date.values() for day in tables})
    lacking = [
        f"{day} lacks {' and '.join(missing)}"
        for day in dates
        if (missing := [option for option, tables in by_date.items() if day not in tables])
    ]
    if lacking:
        raise ConfigError(
            f"the past days are not complete: {'; '.join(lacking)}",
            hint="give --past, --baseline and --happened for each past day, or none of them",
        )
    return [_past_day(*(by_date[option][day] for option in by_date)) for day in dates]


def _by_date(
    option: str, tables: Sequence[Table], today: datetime.date
) -> dict[datetime.date, Table]:
    found: dict[datetime.date, Table] = {}
    for table in tables:
        if table.date >= today:
            raise ConfigError(
                f"{option} {table.address}: is about {table.date}, which is not before {today}",
                hint="PREDICTIONS are about the day of the page, the options about days before it",
            )
        if table.date in found:
            raise ConfigError(
                f"{option} {table.address}: is about {table.date},"
                f" and so is {found[table.date].address}",
                hint="give each day once",
            )
        found[table.date] = table
    return found


def _past_day(past: Table, baseline: Table, happened: Table) -> PastDay:
    tables = ((table.address, table.rows) for table in (past, baseline, happened))
    return PastDay(join_day(past.date, *tables), _weather(happened.rows))


def _weather(rows: Rows) -> str:
    """Describe a day's weather, from the hours in which flights departed."""
    if "weather_temp" not in rows.column_names:
        return ""
    names = [name for name in rows.column_names if name.startswith("weather_")]
    places = _tuples(rows, ("origin", "hour"))
    hours = dict(zip(places, _tuples(rows, names), strict=True))
    known = {
        name.removeprefix("weather_"): {
            hour: values[column] for hour, values in hours.items() if values[column] is not None
        }
        for column, name in enumerate(names)
    }
    return day_weather(known)


def _lists(rows: Rows, names: Sequence[str]) -> list[list[Any]]:
    return [rows.column(name).to_pylist() for name in names]


def _tuples(rows: Rows, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*_lists(rows, names), strict=True))
