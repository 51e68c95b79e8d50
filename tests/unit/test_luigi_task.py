"""What our tasks report to Luigi's dashboard."""

import threading
import time

import luigi
import pytest
from luigi import rpc

from tac import settings
from tac.errors import DataError
from tac.luigi_task import StoppableTask
from tac.progress import Location

LOG = "/logs/x.log"
LOGS = "kubectl --context c --namespace n logs --follow"


class Reporting(StoppableTask):
    """A task in a worker that keeps what it reports."""

    def __init__(self, *values, **named):
        super().__init__(*values, **named)
        self.texts: list[str] = []
        self.percents: list[int] = []
        self.set_status_message = self.texts.append
        self.set_progress_percentage = self.percents.append


def located(node: str = "") -> Location:
    """Return what a runner reports of a pod."""
    return Location("x-1-abcde", "n", f"pod/x-1-abcde on {node}: {LOGS} x-1-abcde")


@pytest.fixture
def task():
    luigi.task_register.Register.clear_instance_cache()  # or it is that of the test before
    return Reporting()


def test_a_line_of_progress_becomes_status_and_percentage(task):
    for line in ("$ python -m x", "reading", "[ 40 %] reading: a.parquet", "[100 %] done"):
        task.report_progress(line, LOG)

    assert task.texts == [f"reading: a.parquet\nlog: {LOG}", f"done\nlog: {LOG}"]
    assert task.percents == [40, 100]


def test_the_status_says_where_a_step_runs_from_when_that_is_known(task):
    task.report_status(f"log: {LOG}")
    task.report_progress("[  0 %] waits for a node: Insufficient memory", LOG)
    task.report_location(located("node-2"), LOG)
    task.report_progress("[ 40 %] reading", LOG)

    assert task.texts == [
        f"log: {LOG}",
        f"waits for a node: Insufficient memory\nlog: {LOG}",
        f"pod/x-1-abcde on node-2: {LOGS} x-1-abcde\nlog: {LOG}",
        f"reading\npod/x-1-abcde on node-2: {LOGS} x-1-abcde\nlog: {LOG}",
    ]


def test_the_next_attempt_is_on_another_node(task):
    task.report_location(located("node-2"), LOG)
    task.report_status("again in 5 s: step/x: evicted")
    task.report_progress("[  0 %] waits for a node", LOG)

    assert task.texts[1:] == [
        "again in 5 s: step/x: evicted",
        f"waits for a node\nlog: {LOG}",
    ]


def test_no_text_is_html_in_the_dashboard(task):
    task.report_progress("[  1 %] <img src=x onerror=alert(1)> and 3 < 4", LOG)

    assert task.texts == [f"< img src=x onerror=alert(1)> and 3 <  4\nlog: {LOG}"]


def test_a_failure_is_shown_with_its_hint(task):
    error = DataError("flights/2023-03-01.parquet: is empty", hint="fetch it again")

    assert task.on_failure(error) == ("flights/2023-03-01.parquet: is empty\nHint: fetch it again")
    assert task.on_failure(DataError("it is empty")) == "it is empty"


def test_a_bug_is_shown_with_its_traceback(task):
    try:
        raise ValueError("not a number")
    except ValueError as error:
        shown = task.on_failure(error)

    assert shown.startswith("Runtime error:\nTraceback (most recent call last):\n")
    assert shown.endswith("\nValueError: not a number\n")


def test_outside_a_worker_nothing_is_reported():
    task = StoppableTask()

    task.report_status("x")
    task.report_progress("[ 40 %] reading", LOG)
    task.report_location(located("node-2"), LOG)
    with task.limited_reports():
        task.report_progress("[ 50 %] reading", LOG)

    assert task.set_status_message is None


class Reporter:
    """What tac's worker gives a task to report its link with."""

    keeps_policy = True

    def __init__(self) -> None:
        self.links: list[str] = []

    def link(self, url: str) -> None:
        self.links.append(url)


@pytest.fixture
def links(task, monkeypatch):
    reporter = Reporter()
    task.set_tracking_url = reporter.link
    monkeypatch.setenv("TAC_LOG_URL", "https://logs.example/{namespace}/{pod}?live")
    settings.current.cache_clear()
    yield reporter.links
    settings.current.cache_clear()


def test_the_dashboard_links_to_where_a_browser_finds_the_log_if_that_is_set(task, links):
    task.report_location(located("node-2"), LOG)

    assert links == ["https://logs.example/n/x-1-abcde?live"]


def test_the_names_in_a_link_are_quoted(task, links):
    task.report_location(Location("../x?a=b#c", "n/m&o \n", "pod/x"), LOG)

    assert links == ["https://logs.example/n%2Fm%26o%20%0A/..%2Fx%3Fa%3Db%23c?live"]


@pytest.mark.parametrize(
    "line",
    [
        "# pod/evil",
        "# pod/evil on node-2",
        f"# pod/evil on node-2: {LOGS} evil",
        "# pod/../../evil: kubectl --namespace evil logs evil",
    ],
)
def test_no_line_of_a_log_places_a_link_or_a_pod(task, links, line):
    task.report_progress(line, LOG)
    task.report_progress("[ 40 %] reading", LOG)

    assert links == []
    assert task.texts == [f"reading\nlog: {LOG}"]


def test_what_a_step_reports_is_plain_and_bounded_in_the_dashboard(task):
    task.report_progress("[ 40 %] \x1b]0;title\x07\x1b[8mhidden\u202e\r" + "x" * 15_000_000, LOG)
    task.report_status(f"again in 5 s: \x1b[1m{'y' * 15_000_000}")

    assert task.texts == [
        f"hidden {'x' * 192}…\nlog: {LOG}",
        f"again in 5 s: {'y' * 1985}…",
    ]


@pytest.mark.parametrize("line", ["[999 %] x", "[101 %] x", "[-1 %] x", "[1e2 %] x", "[٤٠ %] x"])
def test_an_impossible_progress_is_not_reported(task, line):
    task.report_progress(line, LOG)

    assert (task.texts, task.percents) == ([], [])


def test_luigis_own_worker_does_not_get_every_line(task):
    began = time.monotonic()
    with task.limited_reports():
        for number in range(50_000):
            task.report_progress(f"[{number // 1000:3d} %] line {number}", LOG)
    took = time.monotonic() - began

    assert task.texts[-1] == f"line 49999\nlog: {LOG}"
    assert task.percents[-1] == 49
    assert len(task.texts) <= 2 + took  # one a second, the first, and the last


def test_luigis_own_worker_gets_the_last_line_although_no_other_follows(task):
    heard = threading.Event()
    task.set_progress_percentage = lambda percent: heard.set() if percent == 20 else None

    with task.limited_reports():
        task.report_progress("[ 10 %] one", LOG)
        task.report_progress("[ 20 %] two", LOG)

        assert heard.wait(30)


def test_an_unreachable_scheduler_fails_no_step(task, caplog):
    def unreachable(_):
        raise rpc.RPCError("\x1b[1mno luigid")

    task.set_status_message = unreachable

    with task.limited_reports():
        task.report_progress("[ 10 %] one", LOG)

    assert caplog.messages == ["a task's progress could not be reported: no luigid"]


def test_a_bug_is_plain_and_bounded_in_the_dashboard(task):
    try:
        raise ValueError("\x1b]0;title\x07" + "x" * 15_000_000)
    except ValueError as error:
        shown = task.on_failure(error)

    assert len(shown) == 20_000
    assert "\x1b" not in shown
    assert "\nValueError: xxx" in shown
