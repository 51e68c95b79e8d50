"""From ten days of flights and one schedule to the table that models learn from.

Pure. What a feature may know: the schedule, and the outcomes of the ten days of the window. Never
an outcome of its own day, which is why a flight of the window is described by the nine other days.
Records are centred on the mean of their day: a feature that identifies the day makes a model learn
the days, and none of them comes again. For the same reason no feature is constant within a
day (the weekday alone costs 0.03 AUC).
The tail number is not used: a plane is changed because the one before it is late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from tac.flights import LATE_MINUTES, WINDOW_DAYS
from tac.flights.schema import FLIGHTS, KEYS, LATE, SCHEDULE, Column
from tac.flights.table import Table, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Frame: TypeAlias = Any  # pandas.DataFrame; pandas' own types are not checked here
Array: TypeAlias = Any

GROUP_OF = {
    "time": "hour",
    "time_squared": "hour",
    "hour_record": "hour",
    "congestion": "hour",
    "carrier_record": "carrier",
    "carrier_origin_record": "carrier",
    "carrier_hour_delay": "carrier",
    "from_ewr": "origin",
    "from_jfk": "origin",
    "origin_hour_record": "origin",
    "dest_record": "dest",
    "carrier_dest_record": "dest",
    "carrier_dest_delay": "dest",
    "distance_log": "distance",
    "distance_squared": "distance",
    "route_gain": "distance",
    "carrier_yesterday": "yesterday",
    "origin_yesterday": "yesterday",
    "carrier_origin_yesterday": "yesterday",
    "flight_record": "flight",
    "flight_delay": "flight",
    "flight_gain": "flight",
}
"""Every feature, and the group that explains it to a person."""

FEATURES = (*KEYS, LATE, *(Column(name, "float64") for name in GROUP_OF))
"""The columns of the feature table."""

_DECIMALS = 6  # as predictions: the last bits of a sum depend on the processor
_NOON = 13.0
_HOUR_PRIOR = 5.0  # flights: a day has some fifty in an hour
_TYPICAL_DISTANCE = 6.7  # the logarithm of 800 miles


@dataclass(frozen=True)
class _History:
    """The flights of window and day: `day` counts from 0 to WINDOW_DAYS, the day to predict."""

    day: Array
    known: Array

    def centred(self, values: Array) -> Array:
        """Subtract from each value the mean of its day; 0 where nothing is known."""
        count = np.bincount(self.day[self.known], minlength=WINDOW_DAYS + 1)
        total = np.bincount(self.day[self.known], values[self.known], WINDOW_DAYS + 1)
        mean = total / np.maximum(count, 1)
        return np.where(self.known, np.nan_to_num(values) - mean[self.day], 0.0)

    def beyond_hour(self, values: Array, hour: Array) -> Array:
        """Subtract the mean of the day, and most of what its hour had on top of that.

        Both are the day's own: another day's hour would carry that day's outcomes into this one.
        """
        centred = self.centred(values)
        cell = hour * (WINDOW_DAYS + 1) + self.day
        count = np.bincount(cell[self.known], minlength=int(cell.max()) + 1)
        total = np.bincount(cell[self.known], centred[self.known], len(count))
        return np.where(self.known, centred - (total / (count + _HOUR_PRIOR))[cell], 0.0)

    def record(self, codes: Array, values: Array, prior: float) -> Array:
        """Return each flight's mean of `values` over its group on the other days, shrunk to 0."""
        total, count = self._sums(codes, values)
        others = total.sum(axis=1)[codes] - total[codes, self.day]
        return others / (count.sum(axis=1)[codes] - count[codes, self.day] + prior)

    def yesterday(self, codes: Array, values: Array, prior: float) -> Array:
        """Return the mean over its group on the day before, shrunk to 0; 0 on the first day."""
        total, count = self._sums(codes, values)
        before = np.maximum(self.day - 1, 0)
        return np.where(self.day > 0, total[codes, before] / (count[codes, before] + prior), 0.0)

    def _sums(self, codes: Array, values: Array) -> tuple[Array, Array]:
        days = WINDOW_DAYS + 1
        groups = int(codes.max()) + 1
        cell = (codes * days + self.day)[self.known]
        total = np.bincount(cell, values[self.known], groups * days).reshape(groups, days)
        return total, np.bincount(cell, minlength=groups * days).reshape(groups, days)


def build_features(days: Sequence[Table], schedule: Table) -> Table:
    """Return the keys, `late` and the features of ten days' flights and of the day to predict.

    `days` are tables of flights, oldest first; `schedule` is that of the day after the last.
    """
    import pyarrow as pa

    happened = [table.select([column.name for column in FLIGHTS]) for table in days]
    planned = schedule.select([column.name for column in SCHEDULE])
    together = pa.concat_tables([*happened, planned], promote_options="default")
    frame = together.to_pandas()
    day = np.repeat(np.arange(len(days) + 1), [table.num_rows for table in (*days, schedule)])
    delay, departed = frame["arr_delay"].to_numpy(), frame["dep_delay"].to_numpy()
    # Cancelled and diverted flights have no delay on arrival: they are in no record and no label.
    known = ~np.isnan(delay)
    values = _features(frame, _History(day, known), delay, delay - departed)
    for column in KEYS:
        if column.name != "date":
            values[column.name] = together.column(column.name).combine_chunks()
    values["date"] = pd.to_datetime(frame[["year", "month", "day"]]).dt.date.tolist()
    late = (delay > LATE_MINUTES).tolist()
    values["late"] = [late[row] if known[row] else None for row in range(len(late))]
    return table_of(FEATURES, values)


def _codes(frame: Frame, *names: str) -> Array:
    """Number the groups that flights with equal `names` form."""
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in names:
        own, values = pd.factorize(frame[name])
        codes = codes * len(values) + own
    return pd.factorize(codes)[0]


def _features(frame: Frame, history: _History, delay: Array, gain: Array) -> dict[str, Any]:
    time = frame["hour"].to_numpy() + frame["minute"].to_numpy() / 60
    distance = np.log(frame["distance"].to_numpy())
    origin = frame["origin"].to_numpy()
    hour, carrier = _codes(frame, "hour"), _codes(frame, "carrier")
    carrier_origin = _codes(frame, "carrier", "origin")
    carrier_dest, flight = (
        _codes(frame, "carrier", "dest"),
        _codes(frame, "carrier", "flight", "origin"),
    )
    route = _codes(frame, "carrier", "origin", "dest")

    was_late = np.where(delay > LATE_MINUTES, 1.0, 0.0)
    late, late_beyond_hour = history.centred(was_late), history.beyond_hour(was_late, hour)
    # In hours and clipped: how late says more than whether, but one disaster is no record.
    late_by = np.clip(delay, -30, 90) / 60
    late_by_beyond_hour = history.beyond_hour(late_by, hour)
    gained = history.centred(np.clip(gain, -60, 60) / 30)
    values = {
        "time": time,
        "time_squared": (time - _NOON) ** 2 / 30,
        "hour_record": history.record(hour, late, 50),
        "congestion": _congestion(frame, history.day),
        "carrier_record": history.record(carrier, late, 50),
        "carrier_origin_record": history.record(carrier_origin, late, 50),
        "carrier_hour_delay": history.record(
            _codes(frame, "carrier", "hour"), history.centred(late_by), 15
        ),
        "from_ewr": np.where(origin == "EWR", 1.0, 0.0),
        "from_jfk": np.where(origin == "JFK", 1.0, 0.0),
        "origin_hour_record": history.record(_codes(frame, "origin", "hour"), late, 30),
        "dest_record": history.record(_codes(frame, "dest"), late_beyond_hour, 40),
        "carrier_dest_record": history.record(carrier_dest, late_beyond_hour, 20),
        "carrier_dest_delay": history.record(carrier_dest, late_by_beyond_hour, 15),
        "distance_log": distance,
        "distance_squared": (distance - _TYPICAL_DISTANCE) ** 2,
        "route_gain": history.record(route, gained, 4),
        "carrier_yesterday": history.yesterday(carrier, late_beyond_hour, 30),
        "origin_yesterday": history.yesterday(_codes(frame, "origin"), late_beyond_hour, 30),
        "carrier_origin_yesterday": history.yesterday(carrier_origin, late_beyond_hour, 20),
        "flight_record": history.record(flight, late_beyond_hour, 6),
        "flight_delay": history.record(flight, late_by_beyond_hour, 3),
        "flight_gain": history.record(flight, gained, 2),
    }
    return {name: np.round(values[name], _DECIMALS) + 0.0 for name in GROUP_OF}


def _congestion(frame: Frame, day: Array) -> Array:
    """Return how many flights leave the same airport in the same hour, in thirties."""
    cell = _codes(frame, "origin", "hour") * (WINDOW_DAYS + 1) + day
    return np.bincount(cell)[cell] / 30
