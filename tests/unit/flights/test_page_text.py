import datetime

import pytest

from tac.flights import GROUPS
from tac.flights.page_tables import read_names
from tac.flights.page_text import (
    airline,
    day_weather,
    part_of_day,
    place,
    plural,
    reasons,
    sentence,
    short_date,
)

FLIGHT = {"hour": "18", "origin": "LGA", "airline": "JetBlue", "place": "Miami"}


@pytest.mark.parametrize(
    ("contributions", "text"),
    [
        ({"hour": 0.9}, ["evening departure"]),
        ({"carrier": 0.2}, ["JetBlue runs late these days"]),
        ({"carrier": -0.2}, ["JetBlue runs on time these days"]),
        ({"origin": 0.2}, ["LGA runs late these days"]),
        ({"dest": 0.2}, ["flights to Miami run late these days"]),
        ({"yesterday": 0.2}, ["yesterday was bad for JetBlue at LGA"]),
        ({"yesterday": -0.2}, ["yesterday went well for JetBlue at LGA"]),
        ({"flight": 0.2}, ["this flight was often late lately"]),
        ({"flight": -0.2}, ["this flight was mostly on time lately"]),
        ({"distance": 0.2}, ["its distance and planned time"]),
        ({"moon_phase": 0.2}, ["moon phase"]),
    ],
)
def test_each_group_has_its_phrase(contributions, text):
    assert reasons(FLIGHT, contributions, most=3) == text


def test_no_group_of_the_models_is_without_a_phrase():
    bare = [group for group in GROUPS if reasons(FLIGHT, {group: 1.0}, 1) == [group]]
    assert bare == []


@pytest.mark.parametrize(
    ("contributions", "text"),
    [
        ({"hour": 0.2, "carrier": 0.5, "yesterday": -0.3}, ["JetBlue runs late these days"]),
        ({"hour": -0.2, "carrier": 0.1, "origin": -0.1}, ["evening departure"]),
        ({"hour": 0.099}, []),
        ({}, []),
        ({"dest": 0.4, "carrier": 0.4}, ["JetBlue runs late these days"]),
    ],
    ids=["strongest", "towards on time", "too weak", "nothing", "ties by name"],
)
def test_the_strongest_reason_with_the_sign_of_the_sum_is_shown(contributions, text):
    assert reasons(FLIGHT, contributions, most=1) == text


@pytest.mark.parametrize(
    ("hour", "text"),
    [
        (5, "early"),
        (9, "morning"),
        (12, "afternoon"),
        (17, "evening"),
        (21, "late-evening"),
        (23, "late-evening"),
    ],
)
def test_hours_belong_to_parts_of_the_day(hour, text):
    assert part_of_day(hour) == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("BOS", "Boston"),
        ("ORD", "Chicago O'Hare"),
        ("MIA", "Miami"),
        ("IAH", "Houston Intercontinental"),
        ("PIT", "Pittsburgh"),
        ("DAL", "Dallas Love"),
        ("ACK", "Nantucket"),
        ("XXX", "XXX"),
    ],
)
def test_airports_have_the_names_that_a_desk_uses(code, text):
    assert place(code, read_names().airports) == text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("B6", "JetBlue"),
        ("UA", "United"),
        ("NK", "Spirit"),
        ("OO", "SkyWest"),
        ("9E", "Endeavor Air"),
        ("YX", "Republic Airline"),
        ("ZZ", "ZZ"),
    ],
)
def test_airlines_lose_their_legal_form(code, text):
    assert airline(code, read_names().airlines) == text


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({}, ""),
        ({"precip": {("JFK", 6): 0.0}}, "dry"),
        (
            {"precip": {("JFK", 6): 0.03}, "temp": {("JFK", 6): 60.0}},
            "a little rain (0.03 in), 60 to 60\u00a0°F",
        ),
        ({"precip": {("JFK", 6): 0.3, ("JFK", 7): 0.3, ("LGA", 6): 0.1}}, "rain or snow (0.60 in)"),
        (
            {"precip": {("JFK", 6): 1.0}, "temp": {("JFK", 6): 20.0}},
            "heavy snow (1.00 in), 20 to 20\u00a0°F",
        ),
        ({"visib": {("JFK", 6): 10.0, ("LGA", 6): 0.25}}, "visibility down to 0.25 mi"),
        (
            {"visib": {("JFK", 6): 10.0}, "wind_gust": {("JFK", 6): 12.0, ("JFK", 7): 41.4}},
            "gusts to 41 mph",
        ),
    ],
)
def test_weather_is_described_as_far_as_it_is_known(known, text):
    assert day_weather(known) == text


def test_numbers_and_lists_read_like_english():
    assert [plural(1, "day"), plural(7, "day"), plural(1200, "flight is", "flights are")] == [
        "1 day",
        "7 days",
        "1,200 flights are",
    ]
    assert [sentence(text) for text in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert short_date(datetime.date(2023, 3, 1)) == "Wed 1 Mar"
