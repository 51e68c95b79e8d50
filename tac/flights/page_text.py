"""The text of the page: places, times, weather, and why a flight will probably be late.

Pure: no table is read here.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Collection, Mapping, Sequence

SMALLEST_REASON = 0.1
"""Log-odds below which a contribution is not shown: it moves the odds by a tenth."""

_DRY, _WET, _VERY_WET = 0.01, 0.1, 0.75  # inches a day: a gauge's step; wet roads; gutters run over
_NO_SNOW, _NO_RAIN = 39, 30  # Fahrenheit: snow melts on its way above, rain freezes below
_POOR_VISIBILITY = 3.0  # miles, below which pilots fly by instruments

AIRPORTS = {"EWR": "Newark", "JFK": "Kennedy", "LGA": "LaGuardia"}

# Airports whose official name hides the place that passengers and desks call them by.
_PLACES = {
    "ABQ": "Albuquerque",
    "ANC": "Anchorage",
    "ATL": "Atlanta",
    "AUS": "Austin",
    "BDL": "Hartford",
    "BGM": "Binghamton",
    "BHM": "Birmingham",
    "BOS": "Boston",
    "BQN": "Aguadilla",
    "BTV": "Burlington",
    "BUF": "Buffalo",
    "BUR": "Burbank",
    "BWI": "Baltimore",
    "BZN": "Bozeman",
    "CAE": "Columbia",
    "CHS": "Charleston",
    "CLE": "Cleveland",
    "CLT": "Charlotte",
    "CMH": "Columbus",
    "CVG": "Cincinnati",
    "DAY": "Dayton",
    "DCA": "Washington Reagan",
    "DFW": "Dallas Fort Worth",
    "DTW": "Detroit",
    "EGE": "Eagle County",
    "FLL": "Fort Lauderdale",
    "GRR": "Grand Rapids",
    "GSO": "Greensboro",
    "GSP": "Greenville",
    "HDN": "Steamboat Springs",
    "HNL": "Honolulu",
    "HOU": "Houston Hobby",
    "HYA": "Hyannis",
    "IAD": "Washington Dulles",
    "IAH": "Houston Intercontinental",
    "ILM": "Wilmington",
    "IND": "Indianapolis",
    "ITH": "Ithaca",
    "JAX": "Jacksonville",
    "LAS": "Las Vegas",
    "LAX": "Los Angeles",
    "LEX": "Lexington",
    "LIT": "Little Rock",
    "MCI": "Kansas City",
    "MDT": "Harrisburg",
    "MHT": "Manchester",
    "MKE": "Milwaukee",
    "MSN": "Madison",
    "MSP": "Minneapolis",
    "MSY": "New Orleans",
    "OAK": "Oakland",
    "OGG": "Kahului, Maui",
    "OKC": "Oklahoma City",
    "OMA": "Omaha",
    "ORH": "Worcester",
    "PHX": "Phoenix",
    "PSE": "Ponce",
    "PVD": "Providence",
    "PWM": "Portland, Maine",
    "PDX": "Portland, Oregon",
    "ROA": "Roanoke",
    "ROC": "Rochester",
    "RSW": "Fort Myers",
    "SAV": "Savannah",
    "SCE": "State College",
    "SDF": "Louisville",
    "SJC": "San Jose",
    "SJU": "San Juan",
    "SLC": "Salt Lake City",
    "SNA": "Orange County",
    "STL": "St. Louis",
    "STT": "St. Thomas",
    "SYR": "Syracuse",
    "TVC": "Traverse City",
    "TYS": "Knoxville",
    "VPS": "Destin",
    "XNA": "Northwest Arkansas",
}

_TAIL = re.compile(
    r"( (Greater|Memorial|Metropolitan|Municipal|Regional|National|International|Airport|Field))+$"
)
_COMPANY = re.compile(r"( (Inc|Co|Corp|Ltd)\.?| Air ?[Ll]ines| Airways| Airlines)+$")


def place(code: str, names: Mapping[str, str]) -> str:
    """Name an airport as a desk calls it; its code if it has no other name."""
    return _PLACES.get(code) or _TAIL.sub("", names.get(code, "")) or code


def airline(code: str, names: Mapping[str, str]) -> str:
    """Name an airline without its legal form."""
    return _COMPANY.sub("", names.get(code, "")) or code


def clock(hour: int, minute: int) -> str:
    """Write a time of day."""
    return f"{hour:02d}:{minute:02d}"


def long_date(date: datetime.date) -> str:
    """Write a date with its weekday."""
    return f"{date:%A}, {date.day} {date:%B %Y}"


def short_date(date: datetime.date) -> str:
    """Write a date for a table."""
    return f"{date:%a} {date.day} {date:%b}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def sentence(parts: Sequence[str]) -> str:
    """Join phrases with commas and a final "and"."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def percent(share: float) -> str:
    """Write a share in whole percent; the space does not break."""
    return f"{share * 100:.0f}\u00a0%"


def part_of_day(hour: int) -> str:
    """Name the part of the day that a departure belongs to."""
    for before, name in ((9, "early"), (12, "morning"), (17, "afternoon"), (21, "evening")):
        if hour < before:
            return name
    return "late-evening"


def _departure(flight: Mapping[str, str], *, late: bool) -> str:
    del late  # the hour is what it is
    return f"{part_of_day(int(flight['hour']))} departure"


def _distance(flight: Mapping[str, str], *, late: bool) -> str:
    del flight, late  # length and slack together: only the sign of the number tells the direction
    return "its distance and planned time"


def _itself(flight: Mapping[str, str], *, late: bool) -> str:
    del flight
    return f"this flight was {'often late' if late else 'mostly on time'} lately"


def _runs(who: Callable[[Mapping[str, str]], str]) -> Callable[..., str]:
    def phrase(flight: Mapping[str, str], *, late: bool) -> str:
        return f"{who(flight)} {'late' if late else 'on time'} these days"

    return phrase


def _yesterday(flight: Mapping[str, str], *, late: bool) -> str:
    how = "was bad" if late else "went well"
    return f"yesterday {how} for {flight['airline']} at {flight['origin']}"


_PHRASES: dict[str, Callable[..., str]] = {
    "hour": _departure,
    "distance": _distance,
    "carrier": _runs(lambda flight: f"{flight['airline']} runs"),
    "origin": _runs(lambda flight: f"{flight['origin']} runs"),
    "dest": _runs(lambda flight: f"flights to {flight['place']} run"),
    "yesterday": _yesterday,
    "flight": _itself,
}


def reasons(flight: Mapping[str, str], contributions: Mapping[str, float], most: int) -> list[str]:
    """Say why a flight's chance differs from a typical one's, the strongest reason first.

    Only reasons that point where their sum points: a flight is late because of what makes it late.
    """
    late = math.fsum(contributions.values()) >= 0
    signed = [(value if late else -value, group) for group, value in contributions.items()]
    strong = sorted((-value, group) for value, group in signed if value >= SMALLEST_REASON)
    return [say_why(group, flight, late=late) for _, group in strong[:most]]


def say_why(group: str, flight: Mapping[str, str], *, late: bool) -> str:
    """Describe one group of features; a group without a phrase by its name."""
    phrase = _PHRASES.get(group)
    return phrase(flight, late=late) if phrase else group.replace("_", " ")


def day_weather(known: Mapping[str, Mapping[tuple[str, int], float]]) -> str:
    """Say what of a day's weather matters to flights: inches, miles, miles an hour, Fahrenheit.

    `known` has the values by airport and hour for `precip`, `visib`, `wind_gust` and `temp`, as far
    as there are any.
    """
    parts = []
    temperatures = known.get("temp", {}).values()
    if rain := known.get("precip"):
        airports = sorted({airport for airport, _ in rain})
        wettest = max(_total(rain, airport) for airport in airports)
        parts.append(_rain(wettest, _water(temperatures)))
    if (visibility := known.get("visib")) and min(visibility.values()) < _POOR_VISIBILITY:
        parts.append(f"visibility down to {min(visibility.values()):.2g} mi")
    if gusts := known.get("wind_gust"):
        parts.append(f"gusts to {max(gusts.values()):.0f} mph")
    if temperatures:
        parts.append(f"{min(temperatures):.0f} to {max(temperatures):.0f}\u00a0°F")
    return ", ".join(parts)


def _total(rain: Mapping[tuple[str, int], float], airport: str) -> float:
    return math.fsum(inches for (where, _), inches in rain.items() if where == airport)


def _water(temperatures: Collection[float]) -> str:
    if temperatures and min(temperatures) > _NO_SNOW:
        return "rain"
    return "snow" if temperatures and max(temperatures) < _NO_RAIN else "rain or snow"


def _rain(inches: float, water: str) -> str:
    if inches < _DRY:
        return "dry"
    amount = "heavy " if inches >= _VERY_WET else "a little " if inches < _WET else ""
    return f"{amount}{water} ({inches:.2f} in)"
