import re

import pytest
from playwright.sync_api import Page, expect

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
ROWS = "table.flights tbody tr"

# Text over a background, both opaque; WCAG 2.1, 1.4.3: 4.5 to 1, or 3 to 1 for large text.
CONTRASTS = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  for (const e of document.querySelectorAll("body *:not(script):not(style)")) {
    const style = getComputedStyle(e);
    const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!text || style.color === "rgba(0, 0, 0, 0)" || !e.getClientRects().length) continue;
    const colour = e.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(numbers(colour)), light(ground(e))].sort((x, y) => y - x);
    const wanted = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    if ((a + 0.05) / (b + 0.05) < wanted) poor.add(e.tagName + "." + e.className);
  }
  return [...poor];
}"""


def visible_rows(page: Page) -> list[str]:
    """The text of each row that is shown."""
    rows = page.locator(f"{ROWS}:visible").all_inner_texts()
    return [re.sub(r"\s+", " ", row) for row in rows]


def test_typing_filters_the_flights(open_page):
    page = open_page(viewport=DESK)
    expect(page.locator(".count")).to_have_text("200 of 200 flights, about 90 of them late")
    page.get_by_label("Search").press_sequentially("jetblue MIAMI")
    expect(page.locator(".count")).to_have_text(re.compile(r"^\d of 200 flights"))
    rows = visible_rows(page)
    assert rows
    assert all("JetBlue" in row and "Miami" in row for row in rows)
    page.get_by_label("Search").fill("zeppelin")
    expect(page.locator(".count")).to_have_text("No flight fits; clear the search to see all.")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".count")).to_have_text("200 of 200 flights, about 90 of them late")


@pytest.mark.parametrize(
    ("label", "choice", "pattern"),
    [
        ("Airport", "LGA", r"^\d\d:\d\d LGA "),
        ("Hour", "17:00", r"^17:\d\d "),
        ("Carrier", "Delta", r" DL \d+ Delta "),
    ],
)
def test_choosing_filters_the_flights(open_page, label, choice, pattern):
    page = open_page(viewport=DESK)
    page.get_by_label(label, exact=True).select_option(label=choice)
    rows = visible_rows(page)
    assert 0 < len(rows) < 200
    assert all(re.search(pattern, row) for row in rows)


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_flights_are_sorted_by_what_is_chosen(open_page, viewport):
    page = open_page(viewport=viewport)
    page.get_by_label("Sort").select_option(label="chance")
    chances = [float(row.get_attribute("data-p")) for row in page.locator(ROWS).all()]
    assert chances == sorted(chances, reverse=True)
    page.get_by_label("Sort").select_option(label="time")
    times = page.locator(f"{ROWS} td:first-child").all_inner_texts()
    assert times == sorted(times)


def test_a_heading_sorts_and_turns_and_says_so(open_page):
    page = open_page(viewport=DESK)
    heading = page.locator("table.flights th", has_text=re.compile("^To$"))
    for order, turned in (("ascending", False), ("descending", True)):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == order
        places = page.locator(f"{ROWS} td:nth-child(4)").all_inner_texts()
        assert places == sorted(places, reverse=turned)


def test_a_cell_of_the_heat_map_leads_to_its_flights(open_page):
    page = open_page(viewport=DESK)
    cell = page.locator(".heat a[data-origin=LGA][data-hour='17']")
    count = int(cell.inner_text().split("/")[1])
    cell.click()
    expect(page.locator(".count")).to_have_text(re.compile(f"^{count} of 200 flights"))
    assert all(re.match(r"17:\d\d LGA ", row) for row in visible_rows(page))


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_scrolls_sideways(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_without_javascript_all_is_there_to_read(open_page, viewport):
    page = open_page(viewport=viewport, java_script_enabled=False)
    assert page.locator("form.filters").is_hidden()
    assert page.locator(f"{ROWS}:visible").count() == 200
    assert page.get_by_role("heading", name="How right were we?").is_visible()
    assert page.locator("ol.list li").count() == 25


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_every_word_stands_out_from_what_is_behind_it(open_page, scheme, viewport):
    page = open_page(viewport=viewport, color_scheme=scheme)
    page.locator("summary").click()
    assert page.evaluate(CONTRASTS) == []


def test_dark_mode_is_dark(open_page):
    grounds = [
        open_page(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert grounds == ["rgb(246, 247, 249)", "rgb(14, 19, 25)"]


def test_paper_shows_the_long_table_only_when_it_is_filtered(open_page):
    page = open_page(viewport=DESK, color_scheme="dark")
    page.emulate_media(media="print")
    table = page.locator("table.flights")
    assert table.is_hidden()
    assert page.locator(".paper").is_visible()
    page.emulate_media(media="screen")
    page.get_by_label("Airport", exact=True).select_option("LGA")
    page.emulate_media(media="print")
    assert table.is_visible()
    assert page.locator(".paper").is_hidden()
    assert page.locator("form.filters").is_hidden()
