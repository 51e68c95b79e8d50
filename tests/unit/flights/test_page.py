import html.parser
import re
from typing import Any

import pytest

import tac
from tac.flights.page import build_page
from tac.flights.page_tables import History, build_table
from tests.support.hostile import unseen
from tests.support.pages import predicted, predictions, some_day, some_history, some_rows

HOSTILE = "<script>alert('&\"')</script>"


class Outline(html.parser.HTMLParser):
    """What of a page a test asks for: its tags, their attributes, its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in {"style", "script"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words)).strip()

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def page_of(rows: list[dict[str, Any]], history: History | None = None) -> str:
    return build_page(build_table("today.parquet", predictions(rows)), history or History())


def test_the_same_tables_give_the_same_bytes():
    assert build_page(some_day(), some_history()) == build_page(some_day(), some_history())


@pytest.mark.parametrize("name", ["carrier", "dest", "origin"])
def test_no_character_that_is_not_seen_reaches_the_page(name):
    hidden = "A\x1b[1m\u202e\x00\u200bZ"

    page = page_of([{**predicted(because_carrier=1.0, because_origin=0.9), name: hidden}])

    assert unseen(page) == set()
    assert "AZ" in page


def test_the_order_of_the_rows_does_not_matter():
    assert page_of(some_rows()) == page_of(some_rows()[::-1])


@pytest.mark.parametrize("history", [some_history(), History()], ids=["past", "no past"])
def test_the_page_needs_nothing_else(history):
    page = build_page(some_day(), history)
    outside = re.findall(r"https?:|\bsrc=|url\(|@import|<link|<iframe|<base|\bfetch\(", page)
    assert outside == []
    hrefs = {attrs["href"] or "" for _, attrs in Outline(page).tags if "href" in attrs}
    assert {href[0] for href in hrefs} == {"#"}
    ids = {attrs.get("id") for _, attrs in Outline(page).tags}
    assert {href.removeprefix("#") for href in hrefs} <= ids


def test_the_page_says_what_made_it():
    page = build_page(some_day(), some_history(3))
    assert f'<meta name="generator" content="tac {tac.__version__}">' in page
    assert (
        f"Made by tac {tac.__version__} from the predictions for 2023-03-01, and from predictions"
        " and flights of 2023-02-26 to 2023-02-28 (3 days)." in Outline(page).text
    )


def test_the_page_begins_with_the_day_and_its_late_flights():
    text = Outline(build_page(some_day(count=200), some_history())).text
    assert "Wednesday, 1 March 2023 About 90 of 200 flights will probably arrive late" in text
    assert "Worst departure hours: 19:00, 20:00 and 21:00." in text


@pytest.mark.parametrize("name", ["carrier", "origin", "dest"])
def test_names_are_escaped(name):
    page = page_of([{**predicted(because_carrier=1.0, because_origin=0.9), name: HOSTILE}])
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(" in page
    assert Outline(page).count("script") == 1


def test_a_page_without_past_says_so():
    outline = Outline(page_of(some_rows()))
    assert "There is nothing to look back on" in outline.text
    assert outline.count("svg") == 0


@pytest.mark.parametrize(
    ("chances", "words"),
    [
        ([0.2] * 30, "No flight is more likely late than not today; these come closest."),
        ([0.7], "The 1 flight that is more likely late than not."),
        ([0.7] * 15, "The 15 flights that are more likely late than not."),
        ([0.7] * 2 + [0.2] * 30, "2 flights are more likely late than not; the next likeliest"),
        ([0.7] * 60, "The 25 likeliest of 60 flights that are more likely late than not."),
    ],
)
def test_the_list_says_what_it_lists(chances, words):
    rows = [predicted(flight=place + 1, probability=p) for place, p in enumerate(chances)]
    assert words in Outline(page_of(rows)).text


def test_past_days_are_shown_as_text_and_numbers():
    outline = Outline(build_page(some_day(), some_history(2)))
    assert "In the last 2 days we expected 47 late flights of 108; 36 came late" in outline.text
    assert "rain (0.32 in), gusts to 31 mph, 56 to 71 °F" in outline.text
    assert outline.count("svg") == 2


def test_weather_has_no_column_when_there_is_none():
    assert "Weather" not in Outline(build_page(some_day(), some_history(weather=False))).text


def test_the_page_can_be_read_by_a_machine_that_reads_to_people():
    outline = Outline(build_page(some_day(), some_history()))
    assert outline.count("h1") == 1
    assert outline.count("caption") == outline.count("table") == 6
    assert ("html", {"lang": "en"}) in outline.tags
    images = [attrs for _, attrs in outline.tags if attrs.get("role") == "img"]
    assert len(images) == 3
    assert all(image.get("aria-label") for image in images)


def test_every_flight_is_in_the_table_once():
    page = page_of(some_rows(count=60))
    assert len(re.findall(r"<tr data-p=", page)) == 60


def test_twelve_hundred_flights_are_less_than_600_kilobytes():
    page = build_page(some_day(count=1200), some_history())
    assert len(page.encode()) < 600_000
