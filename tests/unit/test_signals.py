"""How signals end a task where nobody else takes care of them."""

import signal
import threading

import pytest

from tac.signals import stopped_by_signals


@pytest.fixture
def by_default():
    """Signals as a program finds them at first."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("by_default")
def test_ctrl_c_stops_what_runs_before_it_ends_the_program():
    stop, reached = threading.Event(), []

    def run():
        with stopped_by_signals(stop):
            signal.raise_signal(signal.SIGINT)
            reached.append(stop.is_set())

    with pytest.raises(KeyboardInterrupt):
        run()
    assert reached == [True]


@pytest.mark.usefixtures("by_default")
def test_a_second_ctrl_c_ends_it_at_once():
    def run():
        with stopped_by_signals(threading.Event()):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        run()


@pytest.mark.usefixtures("by_default")
def test_signals_are_afterwards_as_they_were():
    with stopped_by_signals(threading.Event()):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("by_default")
def test_a_signal_that_somebody_takes_care_of_stays_his():
    came, stop = [], threading.Event()
    signal.signal(signal.SIGTERM, lambda number, _: came.append(number))

    with stopped_by_signals(stop):
        signal.raise_signal(signal.SIGTERM)

    assert came == [signal.SIGTERM]
    assert not stop.is_set()


@pytest.mark.usefixtures("by_default")
def test_in_a_thread_no_signal_is_touched():
    found = []

    def run():
        with stopped_by_signals(threading.Event()):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(5)

    assert found == [signal.SIG_DFL]
