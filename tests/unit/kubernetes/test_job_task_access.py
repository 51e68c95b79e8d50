"""The ways to an API server that Luigi's class knows beside ours, and how signals end its tasks."""

import signal
import threading

import pytest
import yaml

from tac.errors import ConfigError
from tac.kubernetes.access import IN_CLUSTER
from tac.kubernetes.kubeconfig import find_access
from tac.kubernetes.signals import stopped_by_signals

IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def nothing(_name):
    """An environment without a variable."""


def write_config(path, name):
    document = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example"}}],
        "users": [{"name": name, "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.fixture
def account(tmp_path):
    """The folder that a pod has of its service account."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("t")
    (folder / "namespace").write_text("own\n")
    return folder


def test_a_file_that_is_named_is_the_only_one(tmp_path, account):
    named, usual = write_config(tmp_path / "a", "one"), write_config(tmp_path / "b", "two")
    variables = {"KUBECONFIG": usual, **IN_A_POD}

    found = find_access(path=named, variable=variables.get, service_account=account)

    assert found.place.context == "one"
    with pytest.raises(ConfigError, match="no API server is configured"):
        find_access(path=f"{named}.x", variable=variables.get, service_account=account)


def test_a_file_may_be_named_by_the_home(tmp_path, account, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_config(tmp_path / "a", "one")

    found = find_access(path="~/a", variable=nothing, service_account=account)

    assert found.place.context == "one"


def test_in_a_pod_its_own_account_counts_if_that_is_wanted(tmp_path, account):
    variables = {"KUBECONFIG": write_config(tmp_path / "a", "one"), **IN_A_POD}

    found = find_access(in_pod=True, variable=variables.get, service_account=account)

    assert (found.place.context, found.place.namespace) == (IN_CLUSTER, "own")


def test_where_no_pod_is_its_account_cannot_count(tmp_path):
    nowhere = tmp_path / "none"

    with pytest.raises(ConfigError) as caught:
        find_access(in_pod=True, variable=nothing, service_account=nowhere)

    assert caught.value.message == (
        "context 'in-cluster': this is not a pod with the token of a service account"
    )


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
