"""What our tasks tell Luigi's dashboard."""

import luigi
import pytest

from tac import settings
from tac.errors import DataError
from tac.luigi_task import StoppableTask

LOG = "/logs/x.log"
LOGS = "kubectl --context c --namespace n logs --follow"


class Telling(StoppableTask):
    """A task in a worker that writes down what it hears."""

    def __init__(self, *values, **named):
        super().__init__(*values, **named)
        self.texts: list[str] = []
        self.percents: list[int] = []
        self.set_status_message = self.texts.append
        self.set_progress_percentage = self.percents.append


@pytest.fixture
def task():
    luigi.task_register.Register.clear_instance_cache()  # or it is that of the test before
    return Telling()


def test_a_line_of_progress_becomes_status_and_percentage(task):
    for line in ("$ python -m x", "reading", "[ 40 %] reading: a.parquet", "[100 %] done"):
        task.tell_progress(line, LOG)

    assert task.texts == [f"reading: a.parquet\nlog: {LOG}", f"done\nlog: {LOG}"]
    assert task.percents == [40, 100]


def test_the_status_says_where_a_step_runs_from_when_that_is_known(task):
    task.tell(f"log: {LOG}")
    task.tell_progress("[  0 %] waits for a node: Insufficient memory", LOG)
    task.tell_progress("# job/x-1 was there already", LOG)
    task.tell_progress("# pod/x-1-abcde on node-2", LOG)
    task.tell_progress("[ 40 %] reading", LOG)

    assert task.texts == [
        f"log: {LOG}",
        f"waits for a node: Insufficient memory\nlog: {LOG}",
        f"pod/x-1-abcde on node-2\nlog: {LOG}",
        f"reading\npod/x-1-abcde on node-2\nlog: {LOG}",
    ]


def test_the_next_attempt_is_elsewhere(task):
    task.tell_progress("# pod/x-1-abcde on node-2", LOG)
    task.tell("again in 5 s: step/x: evicted")
    task.tell_progress("[  0 %] waits for a node", LOG)

    assert task.texts[1:] == [
        "again in 5 s: step/x: evicted",
        f"waits for a node\nlog: {LOG}",
    ]


def test_no_text_is_html_in_the_dashboard(task):
    task.tell_progress("[  1 %] <img src=x onerror=alert(1)> and 3 < 4", LOG)

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


def test_outside_a_worker_there_is_nobody_to_tell():
    task = StoppableTask()

    task.tell("x")
    task.tell_progress("[ 40 %] reading", LOG)
    task.tell_progress("# pod/x-1-abcde on node-2", LOG)

    assert task.set_status_message is None


class _Reporter:
    """What tac's worker gives a task to tell its link by."""

    keeps_policy = True

    def __init__(self, links: list[str]) -> None:
        self._links = links

    def link(self, url: str) -> None:
        self._links.append(url)


def test_the_dashboard_links_to_where_a_browser_finds_the_log_if_that_is_set(task, monkeypatch):
    links: list[str] = []
    reporter = type(
        "Reporter", (), {"keeps_policy": True, "link": lambda _, url: links.append(url)}
    )
    task.set_tracking_url = reporter().link
    monkeypatch.setenv("TAC_LOG_URL", "https://logs.example/{namespace}/{pod}?live")
    settings.current.cache_clear()

    task.tell_progress(f"# pod/x-1-abcde on node-2: {LOGS} x-1-abcde", LOG)

    settings.current.cache_clear()
    assert links == ["https://logs.example/n/x-1-abcde?live"]
