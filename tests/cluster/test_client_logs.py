"""What containers say, through a real API server and its kubelets."""

import pytest

from tac.errors import ApiUnavailable, Invalid, NotFound
from tests.support.cluster import Reader, is_reading
from tests.support.processes import until

AT_ONCE = 20.0
"""Far less than a container sleeps, and more than a thread needs on a machine that is busy."""


def pod(name, image, *words):
    container = {"name": "a", "image": image, "imagePullPolicy": "Never", "args": list(words)}
    return {
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def test_a_log_is_followed_while_it_grows_and_to_its_end(client, actor):
    client.create("Pod", pod("one", actor, "print=a", "sleep=10", "print=b", "sleep=1", "print=c"))
    until(lambda: has_begun(client), "a container that runs")
    with client.follow_log("one", "a", timestamps=False) as log:
        pieces = iter(log)
        first = next(pieces)
        running = client.read("Pod", "one")["status"]["phase"]
        rest = list(pieces)

    assert (first, running) == (b"a\n", "Running")
    assert first + b"".join(rest) == b"a\nb\nc\n"


def has_begun(client):
    statuses = client.read("Pod", "one")["status"].get("containerStatuses") or [{}]
    return "waiting" not in statuses[0].get("state", {"waiting": {}})


def test_a_log_that_another_thread_closes_ends_at_once_even_before_its_first_word(client, actor):
    client.create("Pod", pod("one", actor, "sleep=60"))
    until(lambda: has_begun(client), "a container that runs")
    log = client.follow_log("one", "a")
    reader = Reader(log)
    until(lambda: is_reading(reader) and log._own._socket(), "a thread that waits")
    log.close()

    assert reader.ends_within(AT_ONCE)
    assert (reader.found, reader.error) == ([], None)


def test_a_log_whose_connection_is_cut_says_so(by_wire, wire, actor):
    by_wire.create("Pod", pod("one", actor, "print=a", "sleep=60"))
    until(lambda: has_begun(by_wire), "a container that runs")
    reader = Reader(by_wire.follow_log("one", "a", timestamps=False))
    until(lambda: reader.found == [b"a\n"], "the first word")
    wire.cut()

    assert reader.ends_within(AT_ONCE)
    assert isinstance(reader.error, ApiUnavailable)
    assert reader.error.message.startswith(
        f"pod/one in namespace {by_wire.place.namespace}: its log was not read: the API server"
    )
    assert reader.error.message.endswith("does not answer: the connection was cut")


def test_a_silent_container_is_given_up_after_a_while(client, actor, monkeypatch):
    monkeypatch.setattr("tac.kubernetes.client.api._FOLLOW_SILENT_SECONDS", 1.0)
    client.create("Pod", pod("one", actor, "sleep=60"))
    until(lambda: has_begun(client), "a container that runs")
    with pytest.raises(ApiUnavailable, match=r"(?m)does not answer: nothing for 1 s$"):
        list(client.follow_log("one", "a"))


def test_a_log_is_read_from_a_time_on_and_from_its_end(client, actor):
    client.create("Pod", pod("one", actor, "print=a", "sleep=2", "print=b", "print=c"))
    until(lambda: client.read("Pod", "one")["status"]["phase"] == "Succeeded", "its end")
    lines = client.read_log("one", "a", timestamps=True).splitlines()
    times = [line.split()[0].decode() for line in lines]

    assert [line.split()[1] for line in lines] == [b"a", b"b", b"c"]
    assert client.read_log("one", "a") == b"a\nb\nc\n"
    assert client.read_log("one", "a", tail_lines=1) == b"c\n"
    assert client.read_log("one", "a", tail_lines=0) == b""
    assert client.read_log("one", "a", limit_bytes=3) == b"a\nb"
    assert client.read_log("one", "a", since_time=times[0]) == b"a\nb\nc\n"
    assert client.read_log("one", "a", since_time=times[1]) == b"b\nc\n"


def test_a_log_of_nothing(client, actor, api_namespace):
    client.create("Pod", pod("one", "tac-test/none:none", "sleep=60"))
    until(
        lambda: client.read("Pod", "one")["status"].get("containerStatuses"),
        "a kubelet that knows it",
    )
    with pytest.raises(NotFound) as no_pod:
        client.read_log("two", "a")
    with pytest.raises(Invalid) as no_container:
        list(client.follow_log("one", "b"))
    with pytest.raises(Invalid) as not_begun:
        client.read_log("one", "a")

    assert no_pod.value.message == (
        f"pod/two in namespace {api_namespace}: its log was not read: there is no such pod, "
        'or no such namespace: pods "two" not found'
    )
    assert no_container.value.message == (
        f"pod/one in namespace {api_namespace}: its log was not read: "
        "container b is not valid for pod one"
    )
    assert not_begun.value.message.startswith(
        f"pod/one in namespace {api_namespace}: its log was not read: "
        'container "a" in pod "one" is '  # waiting to start, or not available
    )
