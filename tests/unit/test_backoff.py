"""Backoff: pauses that double, differ by chance, and end with a timeout. No test here waits."""

import pytest

from tac import backoff
from tac.backoff import Backoff, retry_on
from tac.errors import ApiUnavailable


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(backoff, "time", clock)
    return clock


@pytest.fixture
def no_jitter(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)


class Server:
    """A server that fails so often, then answers."""

    def __init__(self, failures, retry_after_seconds=None):
        self.left, self.asked = failures, 0
        self.retry_after_seconds = retry_after_seconds

    def __call__(self):
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            raise ApiUnavailable(
                "https://k.example: away", retry_after_seconds=self.retry_after_seconds
            )
        return "answer"


def pauses(backoff, number):
    return [backoff.next() for _ in range(number)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]),
        ({"first_seconds": 0.2, "longest_seconds": 1}, [0.2, 0.4, 0.8, 1, 1]),
    ],
)
def test_each_pause_is_twice_the_one_before_up_to_the_longest(no_jitter, given, expected):
    assert pauses(Backoff(**given), len(expected)) == expected


def test_pauses_start_over_after_a_reset(no_jitter):
    given = Backoff()
    pauses(given, 5)
    given.reset()

    assert pauses(given, 2) == [0.1, 0.2]


def test_each_pause_is_up_to_a_quarter_longer_or_shorter_by_chance():
    given = pauses(Backoff(longest_seconds=0.1), 1000)

    assert 0.075 <= min(given) < 0.08
    assert 0.12 < max(given) <= 0.125


@pytest.mark.parametrize(("asked", "pause"), [(None, 0.1), (0.0, 0.1), (0.05, 0.1), (7.0, 7.0)])
def test_retry_after_is_never_undercut(no_jitter, asked, pause):
    assert Backoff().next(asked) == pause


def test_a_call_is_tried_again_until_it_returns(clock, no_jitter):
    server = Server(3)

    assert retry_on(ApiUnavailable, server, lambda: 10) == "answer"
    assert clock.slept == [0.1, 0.2, 0.4]


def test_the_last_try_is_at_the_timeout(clock, no_jitter):
    server = Server(99)
    with pytest.raises(ApiUnavailable, match="away"):
        retry_on(ApiUnavailable, server, lambda: 1)

    assert clock.slept == pytest.approx([0.1, 0.2, 0.4, 0.3])
    assert server.asked == 5


def test_without_time_a_call_is_made_once(clock):
    server = Server(99)
    with pytest.raises(ApiUnavailable):
        retry_on(ApiUnavailable, server, lambda: 0)

    assert (server.asked, clock.slept) == (1, [])


def test_a_timeout_may_become_shorter_while_it_runs(clock, no_jitter):
    timeouts = [300, 300, 0]
    with pytest.raises(ApiUnavailable):
        retry_on(ApiUnavailable, Server(99), lambda: timeouts.pop(0))

    assert clock.slept == [0.1, 0.2]


def test_a_server_that_asks_for_more_time_than_is_left_is_given_up_at_once(clock):
    with pytest.raises(ApiUnavailable):
        retry_on(ApiUnavailable, Server(99, retry_after_seconds=60), lambda: 59)

    assert clock.slept == []


def test_a_server_is_asked_again_after_its_retry_after(clock):
    assert retry_on(ApiUnavailable, Server(2, retry_after_seconds=7), lambda: 59) == "answer"
    assert clock.slept == [7, 7]


def test_another_exception_is_raised_at_once(clock):
    def call():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        retry_on((ApiUnavailable, OSError), call, lambda: 10)

    assert clock.slept == []


def test_each_failure_is_reported_with_its_number(clock):
    told = []

    retry_on(
        ApiUnavailable,
        Server(3),
        lambda: 10,
        on_failure=lambda error, number: told.append((error.message, number)),
    )

    assert told == [("https://k.example: away", number) for number in (1, 2, 3)]


def test_on_failure_may_raise_and_so_end_it(clock):
    def final(error, number):
        raise error

    with pytest.raises(ApiUnavailable):
        retry_on(ApiUnavailable, Server(1), lambda: 10, on_failure=final)

    assert clock.slept == []
