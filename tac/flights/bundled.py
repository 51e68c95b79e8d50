"""The bundled year: one day of flights, with the weather of their hour, from files in the package.

The flights' times are local although tagged UTC; the weather's really are UTC.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tac.errors import ConfigError
from tac.flights import FIRST_DAY, LAST_DAY, ZONE
from tac.flights.schema import WEATHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tac.flights.table import Table

YEAR = Path(__file__).parent / "year"

_MICRO = 1_000_000  # timestamps are stored in microseconds


def read_bundled_day(day: datetime.date) -> Table:
    """Return the flights of `day`, with weather.

    Raises:
        ConfigError: the day is not in the year.
    """
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ConfigError(
            f"{day}: is not in the bundled year, which runs from {FIRST_DAY} to {LAST_DAY}",
            hint="take such a day from elsewhere: --source 'https://host/{date:%Y-%m-%d}.parquet'",
        )
    table = _flights_of(day)
    weather = _weather_of(day)
    places = zip(table["origin"].to_pylist(), table["hour"].to_pylist(), strict=True)
    nothing = (None,) * len(WEATHER)
    rows = [weather.get(place, nothing) for place in places]
    for column, values in zip(WEATHER, zip(*rows, strict=True), strict=True):
        table = table.append_column(column.name, _numbers(values))
    return table


# To and from numpy by hand: pyarrow's own conversions load pandas, which takes as long as the
# whole rest of a fetch.
def _integers(column: Any) -> Any:
    """Return the numbers of a column of 64 bit integers without nulls."""
    import numpy as np

    return np.concatenate(
        [
            np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset : chunk.offset + len(chunk)]
            for chunk in column.chunks
        ]
    )


def _numbers(values: Sequence[float | None]) -> Any:
    """Build a column of numbers, some of them null."""
    import numpy as np
    import pyarrow as pa

    known = np.array([value is not None for value in values])
    numbers = np.array([0.0 if value is None else value for value in values])
    buffers = [np.packbits(known, bitorder="little"), numbers]
    return pa.Array.from_buffers(
        pa.float64(), len(values), [pa.py_buffer(each) for each in buffers]
    )


def _flights_of(day: datetime.date) -> Any:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(YEAR / "flights.parquet")
    month = file.schema_arrow.names.index("month")
    parts = []
    for group in range(file.num_row_groups):
        months = file.metadata.row_group(group).column(month).statistics
        if months.min <= day.month <= months.max:
            dates = file.read_row_group(group, columns=["month", "day"], use_threads=False)
            wanted = _integers(dates["month"]) == day.month
            wanted &= _integers(dates["day"]) == day.day
            rows = np.flatnonzero(wanted)
            if len(rows):  # the file is sorted by date: they follow each other
                part = file.read_row_group(group, use_threads=False)
                parts.append(part.slice(rows[0], len(rows)))
    return pa.concat_tables(parts).combine_chunks()


def _weather_of(day: datetime.date) -> dict[tuple[str, int], tuple[float | None, ...]]:
    """Return the weather by origin and local hour."""
    import numpy as np
    import pyarrow.parquet

    zone = ZoneInfo(ZONE)
    begin, end = (
        datetime.datetime.combine(date, datetime.time(), zone).astimezone(datetime.UTC)
        for date in (day, day + datetime.timedelta(days=1))
    )
    names = [column.name.removeprefix("weather_") for column in WEATHER]
    file = pyarrow.parquet.ParquetFile(YEAR / "weather.parquet")
    table = file.read(columns=["origin", "time_hour", *names], use_threads=False)
    stored = _integers(table["time_hour"].cast("int64"))
    wanted = (stored >= begin.timestamp() * _MICRO) & (stored < end.timestamp() * _MICRO)
    found: dict[tuple[str, int], tuple[float | None, ...]] = {}
    for row in np.flatnonzero(wanted).tolist():
        local = datetime.datetime.fromtimestamp(stored[row] / _MICRO, zone)
        values = table.slice(row, 1).select(["origin", *names]).to_pylist()[0]
        # The hour that comes twice in autumn: no flight leaves in it, the first one will do.
        found.setdefault((values["origin"], local.hour), tuple(values[name] for name in names))
    return found
