"""Predictions: from a fitted model and a feature table to the table a step writes; and their mean.

Six decimals are written: what lies beyond them depends on the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tac.errors import DataError
from tac.flights.schema import CONTRIBUTIONS, IDENTITY, KEYS, PREDICTIONS
from tac.flights.table import Table, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tac.flights.models import Model

DECIMALS = 6


def _rounded(values: Any) -> Any:
    return np.round(values, DECIMALS) + 0.0  # no -0.0, which is written as another number


def predict(model: Model, features: Table) -> Table:
    """Return what `model` says about the flights of the table whose outcome is not known."""
    flights = flights_to_predict(features)
    values = {column.name: flights.column(column.name).combine_chunks() for column in KEYS}
    values["probability"] = _rounded(model.probabilities(flights))
    for group, contribution in model.contributions(flights).items():
        values[f"because_{group}"] = _rounded(contribution)
    return table_of(PREDICTIONS, values)


def flights_to_predict(features: Table) -> Table:
    """Return the flights of the last day of a feature table.

    Raises:
        DataError: their outcome is in the table.
    """
    import pyarrow.compute as pc

    dates = features.column("date")
    last = pc.max(dates)
    flights = features.filter(pc.equal(dates, last))
    if known := flights.num_rows - flights.column("late").null_count:
        raise DataError(
            f"the features: {known} of {flights.num_rows} flights of their last day, {last}, are"
            " known to be late or not: there is nothing to predict",
            hint="python -m tac.transform OUT DAY… --schedule S leaves the last day open",
        )
    return flights


def identities(table: Table) -> list[tuple[Any, ...]]:
    """Return the keys of each flight of a table."""
    return list(zip(*(table.column(name).to_pylist() for name in IDENTITY), strict=True))


def show_flight(identity: tuple[Any, ...]) -> str:
    """Name a flight in a message."""
    date, carrier, flight, origin, departure = identity
    return f"{carrier} {flight} from {origin} on {date} at {departure:04d}"


def average(tables: Sequence[tuple[str, Table]]) -> Table:
    """Return the mean of several models' predictions; each comes with the name messages call it.

    Raises:
        DataError: they are not about the same flights.
    """
    first_name, first = tables[0]
    wanted = identities(first)
    parts = []
    for name, table in tables:
        found = identities(table)
        if found != wanted:
            _refuse_other_flights(first_name, wanted, name, found)
            place = {flight: row for row, flight in enumerate(found)}
            table = table.take([place[flight] for flight in wanted])  # noqa: PLW2901 # in the first one's order
        parts.append(table)
    values = {column.name: first.column(column.name).combine_chunks() for column in KEYS}
    for name in ("probability", *(column.name for column in CONTRIBUTIONS)):
        columns = [table.column(name).to_numpy() for table in parts]
        values[name] = _rounded(np.mean(columns, axis=0))
    return table_of(PREDICTIONS, values)


def _refuse_other_flights(
    first_name: str, wanted: list[tuple[Any, ...]], name: str, found: list[tuple[Any, ...]]
) -> None:
    missing, more = set(wanted) - set(found), set(found) - set(wanted)
    if not missing and not more:
        return
    shown = min(missing or more)
    verb = "lacks" if missing else "has"
    raise DataError(
        f"{name}: is not about the same flights as {first_name}: {len(missing)} of its"
        f" {len(wanted)} flights are missing, {len(more)} are new;"
        f" {name} {verb} {show_flight(shown)}"
    )
