"""The day ahead as the page shows it: totals, hours, airports, carriers, flights.

Pure: from a list of flights to what the template prints. A number of late flights that is expected
is the sum of chances, which is right on average even where no single flight is likely to be late.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tac.flights.page_text import clock

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable, Sequence

LIKELY = 0.5
"""The chance from which a flight is more likely late than not."""

MOST_LISTED, FEWEST_LISTED = 25, 12
"""How long the list of the likeliest flights may and shall be."""

_HEAT_EDGES = (0.1, 0.2, 0.3, 0.4, 0.5)
_FEWEST_FLIGHTS = 5  # below, an hour's share says more about one flight than about the hour


@dataclass(frozen=True)
class Flight:
    """One flight of the day, its chance to be late, and the reasons as text."""

    hour: int
    minute: int
    origin: str
    carrier: str
    airline: str
    number: int
    dest: str
    place: str
    probability: float
    reasons: tuple[str, ...] = ()

    @property
    def time(self) -> str:
        """The scheduled departure."""
        return clock(self.hour, self.minute)


@dataclass(frozen=True)
class Group:
    """Some flights of the day taken together."""

    name: str
    flights: int
    expected: float

    @property
    def share(self) -> float:
        """The share of its flights that will probably be late."""
        return self.expected / self.flights if self.flights else 0.0

    @property
    def heat(self) -> int:
        """The step of the colour scale."""
        return heat(self.share)


@dataclass(frozen=True)
class HeatRow:
    """One hour at every airport, and all together."""

    hour: int
    cells: tuple[Group, ...]
    all: Group

    @property
    def label(self) -> str:
        """The hour as a clock shows it."""
        return clock(self.hour, 0)


@dataclass(frozen=True)
class Airport:
    """One airport's day and its worst hour, if an hour has enough flights to say so."""

    code: str
    day: Group
    worst: Group | None


@dataclass(frozen=True)
class DayAhead:
    """Everything that the page shows about the day ahead."""

    date: datetime.date
    flights: tuple[Flight, ...]
    total: Group
    likely: int
    listed: tuple[Flight, ...]
    airports: tuple[Airport, ...]
    carriers: tuple[Group, ...]
    rows: tuple[HeatRow, ...]
    worst_hours: tuple[str, ...]

    @property
    def busiest(self) -> int:
        """The flights of the hour that has most."""
        return max((row.all.flights for row in self.rows), default=1)


def heat(share: float) -> int:
    """Return the step of the colour scale, 0 to 5, that a share falls into."""
    return sum(share >= edge for edge in _HEAT_EDGES)


def build_day(date: datetime.date, flights: Iterable[Flight]) -> DayAhead:
    """Sum up the day."""
    by_time = tuple(sorted(flights, key=_by_time))
    origins = sorted({flight.origin for flight in by_time})
    rows = _rows(by_time, origins)
    likeliest = sorted(by_time, key=lambda flight: (-flight.probability, *_by_time(flight)))
    likely = sum(flight.probability >= LIKELY for flight in by_time)
    return DayAhead(
        date=date,
        flights=by_time,
        total=_group("all", by_time),
        likely=likely,
        listed=tuple(likeliest[: min(max(likely, FEWEST_LISTED), MOST_LISTED)]),
        airports=tuple(_airport(by_time, origin) for origin in origins),
        carriers=_worst_first(_groups(by_time, lambda flight: flight.carrier)),
        rows=rows,
        worst_hours=_worst_hours(rows),
    )


def _by_time(flight: Flight) -> tuple[int, int, str, str, int]:
    return flight.hour, flight.minute, flight.origin, flight.carrier, flight.number


def _group(name: str, flights: Sequence[Flight]) -> Group:
    return Group(name, len(flights), sum(flight.probability for flight in flights))


def _groups(flights: Iterable[Flight], key: Callable[[Flight], str]) -> list[Group]:
    members: dict[str, list[Flight]] = defaultdict(list)
    for flight in flights:
        members[key(flight)].append(flight)
    return [_group(name, members[name]) for name in sorted(members)]


def _worst_first(groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple(sorted(groups, key=lambda group: (-group.share, group.name)))


def _airport(flights: Sequence[Flight], origin: str) -> Airport:
    own = [flight for flight in flights if flight.origin == origin]
    hours = _groups(own, lambda flight: clock(flight.hour, 0))
    worst = _worst_first(hour for hour in hours if hour.flights >= _FEWEST_FLIGHTS)
    return Airport(origin, _group(origin, own), worst[0] if worst else None)


def _rows(flights: Sequence[Flight], origins: Sequence[str]) -> tuple[HeatRow, ...]:
    if not flights:
        return ()
    rows = []
    for hour in range(flights[0].hour, flights[-1].hour + 1):
        now = [flight for flight in flights if flight.hour == hour]
        cells = (
            _group(origin, [flight for flight in now if flight.origin == origin])
            for origin in origins
        )
        rows.append(HeatRow(hour, tuple(cells), _group("all", now)))
    return tuple(rows)


def _worst_hours(rows: Iterable[HeatRow], most: int = 3) -> tuple[str, ...]:
    """Name the hours with the largest shares, in the order of the day."""
    enough = [row for row in rows if row.all.flights >= _FEWEST_FLIGHTS]
    worst = sorted(enough, key=lambda row: (-row.all.share, row.hour))[:most]
    return tuple(row.label for row in sorted(worst, key=lambda row: row.hour))
