"""The tables between the steps: their columns, in order, with types and ranges. Plain data.

The columns of the flights keep the names of their source, so that another source's file can be
read without a mapping.
"""

from __future__ import annotations

from dataclasses import dataclass

from tac.flights import GROUPS


@dataclass(frozen=True)
class Column:
    """One column: `kind` is int64, float64, string, bool, date or timestamp."""

    name: str
    kind: str
    nullable: bool = False
    lowest: float | None = None
    highest: float | None = None
    required: bool = True


def _clock(name: str, *, nullable: bool = False) -> Column:
    return Column(name, "int64", nullable, 0, 2400)


_FLIGHT_NUMBER = Column("flight", "int64", lowest=1, highest=99_999)
_MINUTES = 7 * 24 * 60  # nothing is a week late

FLIGHTS = (
    Column("year", "int64", lowest=1987, highest=2200),  # the statistics begin in 1987
    Column("month", "int64", lowest=1, highest=12),
    Column("day", "int64", lowest=1, highest=31),
    _clock("dep_time", nullable=True),
    _clock("sched_dep_time"),
    Column("dep_delay", "int64", nullable=True, lowest=-_MINUTES, highest=_MINUTES),
    _clock("arr_time", nullable=True),
    _clock("sched_arr_time"),
    Column("arr_delay", "int64", nullable=True, lowest=-_MINUTES, highest=_MINUTES),
    Column("carrier", "string"),
    _FLIGHT_NUMBER,
    Column("tailnum", "string", nullable=True),
    Column("origin", "string"),
    Column("dest", "string"),
    Column("air_time", "int64", nullable=True, lowest=1, highest=_MINUTES),
    Column("distance", "int64", lowest=1, highest=20_000),
    Column("hour", "int64", lowest=0, highest=23),
    Column("minute", "int64", lowest=0, highest=59),
    Column("time_hour", "timestamp"),
)
"""One day of what happened, as its source wrote it."""

WEATHER = tuple(
    Column(f"weather_{name}", "float64", nullable=True, required=False)
    for name in ("temp", "wind_speed", "wind_gust", "precip", "pressure", "visib")
)
"""The weather at the origin in the hour of the scheduled departure; a source may lack it."""

OUTCOMES = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")
"""The columns that are not known on the morning of a day."""

SCHEDULE = tuple(column for column in FLIGHTS if column.name not in OUTCOMES)
"""One day as it was planned."""

IDENTITY = ("date", "carrier", "flight", "origin", "sched_dep_time")
"""The columns that identify a flight."""

KEYS = (
    Column("date", "date"),
    Column("carrier", "string"),
    _FLIGHT_NUMBER,
    Column("tailnum", "string", nullable=True),
    Column("origin", "string"),
    Column("dest", "string"),
    _clock("sched_dep_time"),
    _clock("sched_arr_time"),
    Column("hour", "int64", lowest=0, highest=23),
)
"""The columns that name a flight, in features and predictions alike."""

LATE = Column("late", "bool", nullable=True)

CONTRIBUTIONS = tuple(Column(f"because_{group}", "float64") for group in GROUPS)
"""In log-odds: how far each group of features moves a flight away from a typical one."""

PREDICTIONS = (*KEYS, Column("probability", "float64", lowest=0, highest=1), *CONTRIBUTIONS)
