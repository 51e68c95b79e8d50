"""Luigi's own pages in a browser, read as a person reads them: text, colours, lines.

The pages do not refresh themselves, but for the dialog of a status: every look loads anew.
"""

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.browser import chromium
from tests.support.processes import until

PICTURES = "TAC_TEST_PICTURES"
"""A variable that names the folder of the documents' pictures, for who wants them made anew."""

_SIZE = {"width": 1200, "height": 900}
_PATIENCE_MILLISECONDS = 20_000

# A node's colour is a word in the legend, which has a frame; a line ends where its nodes are.
_GRAPH = """() => {
  const legend = [...document.querySelectorAll("#graphPlaceholder rect ~ *")];
  const words = {};
  for (let i = 0; i < legend.length; i += 2)
    words[legend[i].getAttribute("fill")] = legend[i + 1].textContent;
  const nodes = {}, at = {};
  for (const link of document.querySelectorAll("a.graph-node-a")) {
    const node = link.parentNode, id = link.dataset.taskId;
    nodes[id] = [link.textContent, words[node.querySelector("circle").getAttribute("fill")]];
    at[node.getAttribute("transform").match(/[\\d.]+/g)] = id;
  }
  const end = (line, n) => at[[line.getAttribute("x" + n), line.getAttribute("y" + n)]];
  const lines = [...document.querySelectorAll("line.link")];
  return {nodes, edges: lines.map((line) => [end(line, 1), end(line, 2)])};
}"""


@dataclass(frozen=True)
class Graph:
    """What the page draws of a task and all that it needs."""

    nodes: dict[str, tuple[str, str]]
    """By its id, the name at each node, and the legend's word for its colour."""

    edges: list[tuple[str, str]]
    """Who needs whom."""

    @property
    def states(self) -> Counter[tuple[str, str]]:
        """How many nodes of a name have a colour."""
        return Counter(self.nodes.values())


class Dashboard:
    """luigid's pages."""

    def __init__(self, url: str, page: Page) -> None:
        self.url = url
        self.page = page
        self._visits = itertools.count(1)

    def graph(self, task_id: str) -> Graph:
        """Load the graph of a task."""
        self._load(f"tab=graph&taskId={quote(task_id)}")
        self.page.wait_for_load_state("networkidle")  # it is asked for, and drawn, three times
        read = self.page.evaluate(_GRAPH)
        nodes = {key: (name, state) for key, (name, state) in read["nodes"].items()}
        return Graph(nodes, [(task, need) for task, need in read["edges"]])

    def until_graph(
        self, task_id: str, wanted: dict[tuple[str, str], int], seconds: float
    ) -> Graph:
        """Load the graph until so many nodes of a name have such a colour."""
        seen: list[Graph] = []

        def is_as_wanted() -> bool:
            seen[:] = [self.graph(task_id)]
            return seen[0].states == wanted

        try:
            until(is_as_wanted, f"a graph of {wanted}", seconds)
        except pytest.fail.Exception:
            print(f"the page shows {seen[0].states}")
            raise
        return seen[0]

    def list(self, words: str = "") -> Locator:
        """Load the list of tasks, filter it as a person does, and return its rows."""
        self._load("tab=tasks&length=100")
        expect(self.page.locator(".status-info .info-box-number", has_text="?")).to_have_count(0)
        self.page.locator("#taskTable_filter input").fill(words)
        return self.page.locator("#taskTable tbody tr")

    def open_status(self, words: str, seconds: float) -> Locator:
        """Open the dialog with the status of the task that this text finds, once it has one."""
        button = self.page.locator("#taskTable .statusMessage")
        until(lambda: (self.list(words), button.count() == 1)[1], f"a status of {words}", seconds)
        button.click()
        return self.page.locator("#statusMessageModal")

    def open_error(self, row: Locator) -> Locator:
        """Open the dialog with what a failed task died of."""
        row.get_by_title("Show error").click()
        return self.page.locator("#errorModal")

    def picture(self, name: str, below: str) -> None:
        """Take a picture for the documents, down to the end of an element, if they are wanted."""
        folder = os.environ.get(PICTURES)  # noqa: TID251 # not a setting of tac's
        if not folder:
            return
        box = self.page.locator(below).bounding_box()
        assert box is not None, below
        height = min(box["y"] + box["height"], _SIZE["height"])
        clip = {"x": 0, "y": 0, "width": _SIZE["width"], "height": height}
        self.page.screenshot(path=Path(folder) / name, clip=clip, animations="disabled")

    def _load(self, fragment: str) -> None:
        # Another number each time: what follows the # alone would not load the page again.
        address = f"{self.url}/static/visualiser/index.html?{next(self._visits)}#{fragment}"
        self.page.goto(address)


@contextlib.contextmanager
def dashboard(url: str) -> Iterator[Dashboard]:
    """Open a browser for the pages of the luigid at `url`, and for nothing else."""

    def keep_to_it(route: Route) -> None:
        # The pages ask for a font from afar, and do without.
        if route.request.url.startswith(url):
            route.continue_()
        else:
            route.abort()

    with chromium() as browser:
        page = browser.new_page(viewport=_SIZE)
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        expect.set_options(timeout=_PATIENCE_MILLISECONDS)  # which that of the page does not reach
        page.route("**/*", keep_to_it)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        yield Dashboard(url, page)
        assert troubles == []
