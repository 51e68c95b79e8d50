"""Small days to make pages of: predictions, the baseline's, and what happened, without chance."""

import datetime
from pathlib import Path
from typing import Any

from tac.flights import GROUPS
from tac.flights.page_tables import History, Table, build_table
from tac.flights.schema import FLIGHTS, PREDICTIONS, WEATHER
from tac.flights.table import table_of, write_table

DAY = datetime.date(2023, 3, 1)
CARRIERS = ("B6", "DL", "UA", "YX", "9E")
ORIGINS = ("EWR", "JFK", "LGA")
PLACES = ("BOS", "MIA", "ORD", "LAX", "DEN", "CHO", "ATL")


def predicted(date: datetime.date = DAY, **changes: Any) -> dict[str, Any]:
    """One row of predictions: an evening flight to Miami, with what is different about it."""
    row = {
        "date": date,
        "carrier": "B6",
        "flight": 371,
        "tailnum": None,
        "origin": "JFK",
        "dest": "MIA",
        "sched_dep_time": 1745,
        "sched_arr_time": 2100,
        "hour": 17,
        "probability": 0.25,
        **{f"because_{group}": 0.0 for group in GROUPS},
        **changes,
    }
    if "sched_dep_time" in changes and "hour" not in changes:
        row["hour"] = row["sched_dep_time"] // 100
    return row


def predictions(rows: list[dict[str, Any]]) -> Any:
    """The table of such rows."""
    return table_of(PREDICTIONS, {c.name: [row[c.name] for row in rows] for c in PREDICTIONS})


def some_rows(date: datetime.date = DAY, count: int = 60) -> list[dict[str, Any]]:
    """A day of flights from early to late, likelier late the later they leave."""
    return [
        predicted(
            date,
            carrier=CARRIERS[number % 5],
            flight=100 + number,
            origin=ORIGINS[number % 3],
            dest=PLACES[number % 7],
            sched_dep_time=100 * (6 + 16 * number // count) + number % 60,
            probability=round(0.05 + 0.8 * number / count, 6),
            because_hour=round(2 * number / count - 1, 6),
            because_carrier=round(0.3 * (number % 5) - 0.5, 6),
        )
        for number in range(count)
    ]


def happened(rows: list[dict[str, Any]], *, weather: bool = True) -> Any:
    """What became of such rows: every third late, every tenth cancelled."""
    columns = (*FLIGHTS, *WEATHER) if weather else FLIGHTS
    outcomes = [_outcome(place, row) for place, row in enumerate(rows)]
    return table_of(columns, {c.name: [one[c.name] for one in outcomes] for c in columns})


def _outcome(place: int, row: dict[str, Any]) -> dict[str, Any]:
    delay = None if place % 10 == 9 else 40 if place % 3 == 0 else -5
    date, minute = row["date"], row["sched_dep_time"] % 100
    return {
        **row,
        "year": date.year,
        "month": date.month,
        "day": date.day,
        "minute": minute,
        "dep_time": None,
        "dep_delay": delay,
        "arr_time": None,
        "arr_delay": delay,
        "air_time": None,
        "distance": 500,
        "time_hour": datetime.datetime.combine(date, datetime.time(row["hour"]), datetime.UTC),
        "weather_temp": 50.0 + row["hour"],
        "weather_wind_speed": 9.0,
        "weather_wind_gust": 31.0,
        "weather_precip": 0.02,
        "weather_pressure": None,
        "weather_visib": 10.0,
    }


def some_day(date: datetime.date = DAY, count: int = 60) -> Table:
    """The predictions of a day, as the step reads them."""
    return build_table("today.parquet", predictions(some_rows(date, count)))


def some_history(days: int = 2, date: datetime.date = DAY, *, weather: bool = True) -> History:
    """The days before `date`, as the step reads them."""
    dates = [date - datetime.timedelta(days=back) for back in range(days, 0, -1)]
    rows = [some_rows(day) for day in dates]
    flat = [[{**row, "probability": 0.3} for row in day] for day in rows]
    return History(
        past=[build_table("past.parquet", predictions(day)) for day in rows],
        baseline=[build_table("baseline.parquet", predictions(day)) for day in flat],
        happened=[build_table("happened.parquet", happened(day, weather=weather)) for day in rows],
    )


def write_tables(folder: Path, tables: dict[str, Any]) -> None:
    """Write tables as Parquet files, by their names."""
    for name, table in tables.items():
        with (folder / name).open("wb") as file:
            write_table(file, ".parquet", table)
