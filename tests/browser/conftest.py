"""A real Chromium that may not reach any network, and a report to look at."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tac.flights.page import build_page
from tests.support.browser import chromium
from tests.support.pages import some_day, some_history

Opener = Callable[..., Page]
PATIENCE_MILLISECONDS = 20_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of the system, or else the one that Playwright installed."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)  # which that of a page does not reach
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about 200 flights, with three days behind it."""
    file = tmp_path_factory.mktemp("report") / "page.html"
    file.write_text(build_page(some_day(count=200), some_history(3)), encoding="utf-8")
    return file


@pytest.fixture
def open_page(browser: Browser, report: Path) -> Iterator[Opener]:
    """Open the page; at the end, whatever it complained of or asked for fails the test."""
    contexts, troubles = [], []

    def refuse(route: Route, request: Request) -> None:
        if request.url.startswith("file:"):
            route.continue_()
            return
        troubles.append(f"asked for {request.url}")
        route.abort()

    def opener(**options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.route("**/*", refuse)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("console", lambda message: troubles.append(f"said {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"failed: {error}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        return page

    asked: list[str] = []
    yield opener
    for context in contexts:
        context.close()
    assert troubles == []
    assert {url.partition("#")[0] for url in asked} <= {report.as_uri()}
