"""How signals end a task where no other handler is set."""

import os
import signal
import threading

import pytest

from tac.signals import Terminated, interrupted_again, raised_signals, stopped_by_signals


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
def test_a_signal_that_has_a_handler_keeps_it():
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


@pytest.mark.usefixtures("by_default")
@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_under_tac_run_the_first_signal_is_an_exception_and_the_second_ends_the_process(
    number, raised
):
    def run():
        with raised_signals():
            try:
                signal.raise_signal(number)
            finally:
                handlers.extend(map(signal.getsignal, (signal.SIGTERM, signal.SIGINT)))

    handlers: list[object] = []
    with pytest.raises(KeyboardInterrupt) as caught:
        run()

    assert caught.type is raised
    assert handlers == [signal.SIG_DFL, signal.SIG_DFL]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("by_default")
def test_another_ctrl_c_is_waited_for_and_no_longer_than_it_says():
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()

    assert interrupted_again(60)
    timer.join(5)
    assert not interrupted_again(0.01)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
