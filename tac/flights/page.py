"""The page about one day, for an airport's operations desk: one HTML file without any other.

The same inputs give the same bytes: no clock, no random numbers, no order that a set decides.
"""

from __future__ import annotations

import importlib.resources
import math
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

import tac
from tac.flights import charts
from tac.flights.page_day import build_day, heat
from tac.flights.page_past import build_past
from tac.flights.page_tables import build_flights, build_past_days, read_names
from tac.flights.page_text import AIRPORTS, long_date, percent, plural, sentence, short_date
from tac.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tac.flights.page_day import DayAhead
    from tac.flights.page_past import Past
    from tac.flights.page_tables import History, Table

_TEMPLATES = importlib.resources.files("tac.flights.templates")


def build_page(predictions: Table, history: History) -> str:
    """Write the page about the day of `predictions`.

    Raises:
        ConfigError, DataError: the tables do not belong together.
    """
    flights = build_flights(predictions, read_names())
    day = build_day(predictions.date, flights)
    past = build_past(build_past_days(predictions.date, history))
    return render_page(day, past, {flight.carrier: flight.airline for flight in flights})


def render_page(day: DayAhead, past: Past | None, airlines: Mapping[str, str]) -> str:
    """Write the page; `airlines` names every carrier of the day."""
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(_template),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_plain,
    )
    environment.filters.update(
        decimals=_decimals,
        heat=heat,
        long_date=long_date,
        percent=percent,
        plural=plural,
        sentence=sentence,
        short_date=short_date,
        whole=_whole,
    )
    return environment.get_template("page.html.j2").render(
        version=tac.__version__,
        day=day,
        past=past,
        weather=past is not None and any(one.weather for one in past.days),
        airlines=airlines,
        airport_names=AIRPORTS,
        codes=[airport.code for airport in day.airports],
        width=charts.WIDTH,
        height=charts.HEIGHT,
        # Our own files, without a character of data in them.
        style=Markup(_template("page.css").strip()),  # noqa: S704
        script=Markup(_template("page.js").strip()),  # noqa: S704
    )


def _plain(value: object) -> object:
    """Make all text plain where it enters the template; Markup is tac's own."""
    return plain(value, limit=None, lines=True) if type(value) is str else value


def _template(name: str) -> str:
    return _TEMPLATES.joinpath(name).read_text(encoding="utf-8")


def _whole(share: float) -> str:
    return f"{share * 100:.0f}"


def _decimals(value: float, places: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{places}f}"
