"""One day of flights, checked: the schema, the date, and that no flight is in it twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tac.errors import DataError
from tac.flights import BUNDLED
from tac.flights.schema import FLIGHTS, IDENTITY, SCHEDULE, WEATHER
from tac.flights.source import address_of, read_source
from tac.flights.table import Table, check_table, first_duplicate, read_table, suffix_of
from tac.redaction import redacted

if TYPE_CHECKING:
    import datetime

_DATE = ("year", "month", "day")
_BY_SCHEDULE = ("sched_dep_time", "origin", "carrier", "flight")


def read_day(source: str, day: datetime.date, *, schedule: bool = False) -> Table:
    """Return the flights of `day` with their outcomes, or its `schedule` without any.

    Raises:
        DataError: the source's file is not one day of flights, or another day.
    """
    columns = SCHEDULE if schedule else (*FLIGHTS, *WEATHER)
    if source == BUNDLED:
        from tac.flights.bundled import read_bundled_day

        name = f"the bundled year, {day}"
        table = check_table(name, read_bundled_day(day), columns)
    else:
        address = address_of(source, day)
        name = redacted(address)
        suffix_of(name)  # before a download that could not be read
        table = read_table(name, read_source(address), columns)
    check_day(name, table, day)
    if schedule:
        # Sources list flights as they left, cancelled ones last: the order would leak outcomes.
        table = table.sort_by([(column, "ascending") for column in _BY_SCHEDULE])
    return table


def check_day(name: str, table: Table, day: datetime.date) -> None:
    """Refuse a table that holds another day, or one flight twice.

    Raises:
        DataError: it does.
    """
    dates = list(zip(*(table.column(part).to_pylist() for part in _DATE), strict=True))
    wanted = (day.year, day.month, day.day)
    wrong = [row for row, date in enumerate(dates, start=1) if date != wanted]
    if wrong:
        found = "{:04d}-{:02d}-{:02d}".format(*dates[wrong[0] - 1])
        raise DataError(
            f"{name}: is not {day}: {len(wrong)} of {len(dates)} rows are of other days,"
            f" first {found} in row {wrong[0]}"
        )
    _refuse_other_days(name, table, day)
    refuse_duplicates(name, table)


def _refuse_other_days(name: str, table: Table, day: datetime.date) -> None:
    """Refuse timestamps of other days: a source may have counted them in another unit.

    The day before and the day after are allowed: sources write times of New York and of UTC.
    """
    timestamps = table.column("time_hour")
    # As dates: pyarrow loads pandas to convert timestamps.
    for row, date in enumerate(timestamps.cast("date32").to_pylist()):
        if abs((date - day).days) > 1:
            raise DataError(
                f"{name}: column 'time_hour' is {timestamps[row].as_py()} in row {row + 1} of"
                f" {table.num_rows}; it must be a timestamp of {day}"
            )


def refuse_duplicates(name: str, table: Table) -> None:
    """Refuse a table that holds one flight twice.

    Raises:
        DataError: it does.
    """
    dates = ("date",) if "date" in table.column_names else _DATE
    rows = first_duplicate(table, (*dates, *IDENTITY[1:]))
    if rows:
        flight = table.slice(rows[0] - 1, 1).to_pylist()[0]
        raise DataError(
            f"{name}: flight {flight['carrier']} {flight['flight']} from {flight['origin']} at"
            f" {flight['sched_dep_time']:04d} is there twice, in rows {rows[0]} and {rows[1]}"
        )
