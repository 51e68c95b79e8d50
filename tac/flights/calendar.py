"""Days as people write them, in the zone where the flights leave."""

from __future__ import annotations

import datetime

from tac.errors import ConfigError
from tac.flights import ZONE

_ONE_DAY = datetime.timedelta(days=1)


def today(now: datetime.datetime | None = None) -> datetime.date:
    """Return the day it is in New York."""
    import zoneinfo

    zone = zoneinfo.ZoneInfo(ZONE)
    return (now.astimezone(zone) if now else datetime.datetime.now(zone)).date()


def parse_day(text: str, now: datetime.datetime | None = None) -> datetime.date:
    """Read `2023-03-01`, `today` or `yesterday`.

    Raises:
        ConfigError: it is none of these.
    """
    if text in {"today", "yesterday"}:
        return today(now) - (_ONE_DAY if text == "yesterday" else datetime.timedelta())
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 # a day has no zone
    except ValueError as error:
        raise ConfigError(
            f"{text!r}: is not a day",
            hint="write it like 2023-03-01, or say today or yesterday",
        ) from error


def refuse_future(day: datetime.date, now: datetime.datetime | None = None) -> None:
    """Refuse a day that has not begun in New York.

    Raises:
        ConfigError: it lies in the future.
    """
    this = today(now)
    if day > this:
        raise ConfigError(
            f"{day}: is in the future; in New York it is {this}",
            hint="--date yesterday is the last day that is over",
        )


def days_between(first: datetime.date, last: datetime.date, every: int = 1) -> list[datetime.date]:
    """Return every so many days, from `first` to at most `last`.

    Raises:
        ConfigError: there is none.
    """
    if every < 1:
        raise ConfigError(f"every {every} days: is not 1 or more")
    if first > last:
        raise ConfigError(f"{first} to {last}: the first day is after the last")
    return [first + ahead * _ONE_DAY for ahead in range(0, (last - first).days + 1, every)]
