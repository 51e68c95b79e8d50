"""Ten days and the schedule of the day after them, recognised and ordered by their dates."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from tac.errors import DataError
from tac.flights import WINDOW_DAYS
from tac.flights.day import check_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tac.flights.table import Table


def day_of(name: str, table: Table) -> datetime.date:
    """Return the one day that a table of flights is about.

    Raises:
        DataError: it is about several, or holds one flight twice.
    """
    year, month, day = (table.column(part)[0].as_py() for part in ("year", "month", "day"))
    try:
        found = datetime.date(year, month, day)
    except ValueError as error:
        raise DataError(f"{name}: {year}-{month:02d}-{day:02d} in row 1 is not a day") from error
    check_day(name, table, found)
    return found


def order_days(days: Sequence[tuple[str, Table]], schedule: tuple[str, Table]) -> list[Table]:
    """Return the tables of the ten days before the schedule's, oldest first.

    Raises:
        DataError: a day is missing, given twice, or not before the schedule's.
    """
    target = day_of(*schedule)
    wanted = [target - datetime.timedelta(days=back) for back in range(WINDOW_DAYS, 0, -1)]
    found: dict[datetime.date, tuple[str, Table]] = {}
    for name, table in days:
        day = day_of(name, table)
        if day in found:
            raise DataError(f"{name}: is {day}, and so is {found[day][0]}")
        if day >= target:
            raise DataError(f"{name}: is {day}, which is not before the schedule's day, {target}")
        if day < wanted[0]:
            raise DataError(
                f"{name}: is {day}, which is more than {WINDOW_DAYS} days before {target}"
            )
        found[day] = name, table
    missing = [str(day) for day in wanted if day not in found]
    if missing:
        raise DataError(
            f"the days before {target}: {', '.join(missing)} missing"
            f" ({wanted[0]} to {wanted[-1]} are needed)",
            hint=f"python -m tac.fetch {missing[0]}.parquet --date {missing[0]}",
        )
    return [found[day][1] for day in wanted]
