"""What running tasks tell the scheduler: the last word of each kind, and none after the result."""

import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from tac.observer import Observer
from tac.worker.handles import FencedResults, Results
from tac.worker.status import Listeners, Reporter, StatusHub


def hub_that_sends(word):
    """A hub in the middle of sending a word of the task, until `busy` is set."""
    hub, sent, busy, on_its_way = StatusHub(), [], threading.Event(), threading.Event()

    def slow():
        on_its_way.set()
        busy.wait(10)
        sent.append(word)

    hub.post("task", "status", slow)
    assert on_its_way.wait(10)
    return hub, sent, busy


def test_the_latest_update_of_each_kind_is_sent():
    hub, all_sent, busy = StatusHub(), threading.Event(), threading.Event()
    sent: list[str] = []

    hub.post("other", "status", lambda: busy.wait(10))
    for word in ("one", "two", "three"):
        hub.post("task", "status", partial(sent.append, word))
    hub.post("task", "progress", all_sent.set)
    busy.set()

    assert all_sent.wait(10)
    assert sent == ["three"]
    hub.close()


def test_nothing_is_sent_for_a_task_after_it_was_forgotten():
    hub, sent, busy = hub_that_sends("slow")
    hub.post("task", "progress", lambda: sent.append("late"))
    forgetting = threading.Thread(target=hub.forget, args=("task",))
    forgetting.start()
    waited = forgetting.is_alive()
    busy.set()
    forgetting.join(10)
    hub.close()

    assert waited
    assert sent == ["slow"]


def test_the_latest_update_is_sent_before_a_flush_returns_and_after_one_being_sent():
    hub, sent, busy = hub_that_sends("slow")
    hub.post("task", "status", lambda: sent.append("last"))
    hub.post("task", "progress", lambda: sent.append("100 %"))
    hub.post("other", "status", lambda: None)
    flushing = threading.Thread(target=hub.flush, args=("task",))
    flushing.start()
    busy.set()
    flushing.join(10)
    said = list(sent)
    hub.close()

    assert said == ["slow", "last", "100 %"]


def test_one_result_of_an_attempt_is_taken_and_none_after_it_was_stopped():
    results = Results()
    first, stopped = (FencedResults(results, lambda: None) for _ in range(2))

    first.put(("a", "DONE", "", [], []))
    first.put(("a", "FAILED", "late", [], []))
    was_open = stopped.close()
    stopped.put(("b", "DONE", "late", [], []))

    assert was_open
    assert (results.get_nowait(), results.empty()) == (("a", "DONE", "", [], []), True)


class Heard(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def progressed(self, key, *, percent=None, text=None):
        self.all.append(percent if text is None else text)

    def linked(self, key, url):
        self.all.append(url)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def reporter(heard):
    hub = StatusHub()
    scheduler: Any = SimpleNamespace(
        set_task_status_message=lambda *_: None, set_task_progress_percentage=lambda *_: None
    )
    task: Any = SimpleNamespace(task_id="task")
    yield Reporter(scheduler, task, "worker", None, Listeners(heard, hub, lambda *_: None))
    hub.close()


@pytest.mark.parametrize(("told", "shown"), [(-5, 0), (0, 0), (40.7, 40), (100, 100), (1e9, 100)])
def test_a_percentage_is_one(reporter, heard, told, shown):
    reporter.update_progress_percentage(told)

    assert heard.all == [shown]


def test_status_messages_are_plain_and_bounded(reporter, heard):
    reporter.update_status_message("one\x1b]0;title\x07\r\ntwo\n" + "x" * 15_000_000)
    reporter.update_tracking_url("http://host/\x1b[1mlog\u202e")

    assert heard.all == [f"one\ntwo\n{'x' * 1991}…", "http://host/log"]
