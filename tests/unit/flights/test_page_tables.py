import dataclasses
import datetime
from typing import Any

import pyarrow as pa
import pytest

from tac.errors import ConfigError, DataError
from tac.flights.page_tables import (
    History,
    Names,
    Table,
    build_flights,
    build_past_days,
    build_table,
)
from tests.support.pages import DAY, happened, predicted, predictions, some_history, some_rows

YESTERDAY = DAY - datetime.timedelta(days=1)
NAMES = Names(airlines={"B6": "JetBlue Airways"}, airports={})


def table(rows: list[dict[str, Any]], address: str = "table.parquet") -> Table:
    return build_table(address, predictions(rows))


def test_a_flight_has_its_time_its_names_and_its_reasons():
    [flight] = build_flights(table([predicted(because_carrier=0.3, sched_dep_time=905)]), NAMES)
    assert dataclasses.asdict(flight) == {
        "hour": 9,
        "minute": 5,
        "origin": "JFK",
        "carrier": "B6",
        "airline": "JetBlue",
        "number": 371,
        "dest": "MIA",
        "place": "MIA",
        "probability": 0.25,
        "reasons": ("JetBlue runs late these days",),
    }


def test_late_is_more_than_fifteen_minutes_and_cancelled_is_no_outcome():
    rows = [predicted(YESTERDAY, flight=number) for number in (1, 2, 3, 4)]
    flights = happened(rows)
    delays = flights.column("arr_delay").type
    arrived = flights.set_column(
        flights.column_names.index("arr_delay"),
        "arr_delay",
        [pa.array([15, 16, None, -20], delays)],
    )
    [day] = build_past_days(
        DAY,
        History([table(rows)], [table(rows)], [build_table("happened.parquet", arrived)]),
    )
    assert (day.day.late.tolist(), day.day.without_outcome) == ([0, 1, 0], 1)


def test_an_unreported_flight_has_no_outcome():
    rows = some_rows(YESTERDAY, 20)
    history = History(
        [table(rows)], [table(rows)], [build_table("h.parquet", happened(rows).slice(0, 8))]
    )
    [day] = build_past_days(DAY, history)
    assert (day.flights, day.day.without_outcome) == (8, 12)


@pytest.mark.parametrize(
    ("weather", "words"),
    [(True, "rain (0.32 in), gusts to 31 mph, 56 to 71\u00a0°F"), (False, "")],
)
def test_weather_is_shown_if_the_flights_have_it(weather, words):
    [day] = build_past_days(DAY, some_history(1, weather=weather))
    assert day.weather == words


def test_without_past_days_there_are_none():
    assert build_past_days(DAY, History()) == []


def test_a_table_of_several_days_is_refused():
    rows = [predicted(DAY), predicted(YESTERDAY)]
    with pytest.raises(DataError) as refused:
        table(rows)
    assert refused.value.message == (
        "table.parquet: holds flights of 2 days, 2023-02-28 to 2023-03-01; one day was expected"
    )


def test_a_date_that_is_none_is_refused():
    flights = happened(some_rows(YESTERDAY, 3))
    days = flights.column("day")
    wrong = flights.set_column(2, "day", [pa.array([31] * len(days), days.type)])
    with pytest.raises(DataError) as refused:
        build_table("h.csv", wrong)
    assert refused.value.message == "h.csv: 2023-2-31 is no day"


def without(history: History, **options: list[Table]) -> History:
    return dataclasses.replace(history, **options)


def _incomplete() -> History:
    history = some_history(3)
    return without(history, baseline=[*history.baseline[1:]], happened=[history.happened[1]])


def _today_as_past():
    return without(some_history(1), past=[table(some_rows(DAY))])


def _twice():
    history = some_history(1)
    return without(history, past=[*history.past, table(some_rows(YESTERDAY), "again.parquet")])


@pytest.mark.parametrize(
    ("history", "message", "hint"),
    [
        (
            _incomplete,
            "the past days are not complete: 2023-02-26 lacks --baseline and --happened;"
            " 2023-02-28 lacks --happened",
            "give --past, --baseline and --happened for each past day, or none of them",
        ),
        (
            _today_as_past,
            "--past table.parquet: is about 2023-03-01, which is not before 2023-03-01",
            "PREDICTIONS are about the day of the page, the options about days before it",
        ),
        (
            _twice,
            "--past again.parquet: is about 2023-02-28, and so is past.parquet",
            "give each day once",
        ),
    ],
)
def test_days_that_do_not_match_are_refused(history, message, hint):
    with pytest.raises(ConfigError) as refused:
        build_past_days(DAY, history())
    assert (refused.value.message, refused.value.hint) == (message, hint)


def _other_baseline():
    return without(some_history(1), baseline=[table(some_rows(YESTERDAY)[2:], "b.parquet")])


def _other_flights():
    strangers = [{**row, "flight": row["flight"] + 5000} for row in some_rows(YESTERDAY)]
    return without(some_history(1), happened=[build_table("h.parquet", happened(strangers))])


def _double():
    return without(some_history(1), past=[table([predicted(YESTERDAY)] * 2, "p.parquet")])


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (
            _other_baseline,
            "b.parquet: is not about the same flights as past.parquet: 2 are in one of them only,",
        ),
        (_other_flights, "h.parquet: tells the outcome of none of the 60 flights in past.parquet"),
        (_double, "p.parquet: 1 flights are there twice"),
    ],
)
def test_flights_that_do_not_match_are_refused(history, message):
    with pytest.raises(DataError) as refused:
        build_past_days(DAY, history())
    assert refused.value.message.startswith(message)
