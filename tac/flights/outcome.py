"""Predictions of a day joined with its outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tac.errors import DataError
from tac.flights import LATE_MINUTES
from tac.flights.predictions import identities, show_flight
from tac.flights.scores import ScoredDay

if TYPE_CHECKING:
    import datetime

    from tac.flights.table import Table

Named = tuple[str, "Table"]


def join_day(date: datetime.date, model: Named, baseline: Named, happened: Named) -> ScoredDay:
    """Return the flights of `date` that arrived, with both models' predictions.

    Raises:
        DataError: the three are not about the same day and flights.
    """
    said = _probabilities(*model, date)
    rate = _probabilities(*baseline, date)
    if different := sorted(set(said) ^ set(rate)):
        raise DataError(
            f"{baseline[0]}: is not about the same flights as {model[0]}: {len(different)} are in"
            f" one of them only, such as {show_flight(different[0])}"
        )
    delays = _delays(happened[1])
    known = [flight for flight in said if delays.get(flight) is not None]
    if not known:
        raise DataError(
            f"{happened[0]}: tells the outcome of none of the {len(said)} flights in {model[0]}"
        )
    return ScoredDay(
        date=date,
        late=np.array([delays[flight] > LATE_MINUTES for flight in known], dtype=float),
        model=np.array([said[flight] for flight in known]),
        baseline=np.array([rate[flight] for flight in known]),
        without_outcome=len(said) - len(known),
    )


def _probabilities(name: str, table: Table, date: datetime.date) -> dict[Any, float]:
    found = dict(zip(identities(table), table.column("probability").to_pylist(), strict=True))
    other = [flight for flight in found if flight[0] != date]
    if other:
        raise DataError(f"{name}: is not about {date}: it has {show_flight(other[0])}")
    if len(found) != table.num_rows:
        raise DataError(f"{name}: {table.num_rows - len(found)} flights are there twice")
    return found


def _delays(table: Table) -> dict[Any, Any]:
    import datetime

    columns = ("year", "month", "day", "carrier", "flight", "origin", "sched_dep_time", "arr_delay")
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    return {(datetime.date(*row[:3]), *row[3:7]): row[7] for row in rows}
