from typing import Any

import pytest

from tac.flights.page_day import Flight, Group, build_day, heat
from tests.support.pages import DAY


def flight(time: int = 1745, probability: float = 0.25, **changes: Any) -> Flight:
    values: dict[str, Any] = {
        "origin": "JFK",
        "carrier": "B6",
        "airline": "JetBlue",
        "number": 371,
        "dest": "MIA",
        "place": "Miami",
        **changes,
    }
    return Flight(hour=time // 100, minute=time % 100, probability=probability, **values)


def test_expected_late_flights_are_the_sum_of_chances():
    day = build_day(DAY, [flight(probability=p) for p in (0.5, 0.3, 0.1)])
    assert day.total.flights == 3
    assert [day.total.expected, day.total.share] == pytest.approx([0.9, 0.3])


def test_flights_are_in_the_order_of_their_departure():
    day = build_day(
        DAY, [flight(1830), flight(605), flight(1805, number=2), flight(1805, number=1)]
    )
    assert [(one.time, one.number) for one in day.flights] == [
        ("06:05", 371),
        ("18:05", 1),
        ("18:05", 2),
        ("18:30", 371),
    ]


@pytest.mark.parametrize(
    ("chances", "likely", "listed"),
    [
        ([0.6] * 3 + [0.2] * 100, 3, 12),
        ([0.6] * 14 + [0.2] * 100, 14, 14),
        ([0.6] * 70, 70, 25),
        ([0.2] * 100, 0, 12),
        ([0.2] * 4, 0, 4),
    ],
    ids=["filled up", "all likely", "too many", "none likely", "a small day"],
)
def test_the_list_is_neither_too_short_nor_too_long(chances, likely, listed):
    day = build_day(DAY, [flight(probability=p, number=n) for n, p in enumerate(chances)])
    assert (day.likely, len(day.listed)) == (likely, listed)


def test_the_list_begins_with_the_likeliest_and_ties_go_by_time():
    day = build_day(DAY, [flight(900, 0.3), flight(700, 0.5), flight(600, 0.3), flight(800, 0.9)])
    assert [one.time for one in day.listed] == ["08:00", "07:00", "06:00", "09:00"]


def test_every_hour_has_every_airport_also_where_nothing_leaves():
    day = build_day(DAY, [flight(605), flight(830, 0.5, origin="EWR")])
    assert [(row.label, row.cells, row.all.flights) for row in day.rows] == [
        ("06:00", (Group("EWR", 0, 0), Group("JFK", 1, 0.25)), 1),
        ("07:00", (Group("EWR", 0, 0), Group("JFK", 0, 0)), 0),
        ("08:00", (Group("EWR", 1, 0.5), Group("JFK", 0, 0)), 1),
    ]


def test_the_worst_hours_have_enough_flights_and_are_in_the_order_of_the_day():
    shares = {6: 0.1, 9: 0.4, 12: 0.2, 17: 0.5, 20: 0.3}
    flights = [flight(hour * 100, p, number=n) for hour, p in shares.items() for n in range(5)]
    day = build_day(DAY, [*flights, flight(2300, 0.9)])
    assert day.worst_hours == ("09:00", "17:00", "20:00")
    assert [(one.code, one.worst and one.worst.name) for one in day.airports] == [("JFK", "17:00")]


def test_an_airport_with_few_flights_has_no_worst_hour():
    day = build_day(DAY, [flight(600), flight(700)])
    assert ([one.worst for one in day.airports], day.worst_hours) == ([None], ())


def test_carriers_are_listed_worst_first():
    day = build_day(DAY, [flight(probability=0.1), flight(carrier="DL"), flight(carrier="AA")])
    assert [one.name for one in day.carriers] == ["AA", "DL", "B6"]


@pytest.mark.parametrize(
    ("share", "step"), [(0.0, 0), (0.0999, 0), (0.1, 1), (0.35, 3), (0.4999, 4), (0.5, 5), (1.0, 5)]
)
def test_shares_have_six_colours(share, step):
    assert heat(share) == step
