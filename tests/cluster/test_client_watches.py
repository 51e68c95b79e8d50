"""Watches of a real API server: they last, they end, and they can be ended."""

import threading
import time
from functools import partial

import pytest

from tac.errors import ApiUnavailable, Expired, NotFound
from tac.kubernetes.client.api import KINDS
from tac.kubernetes.client.transport import Resource
from tests.support.cluster import Reader, is_reading
from tests.support.processes import until

LIVES = 60.0
AT_ONCE = 20.0
"""Far less than a watch lives, and more than a thread needs on a machine that is busy."""


def config_map(name, **data):
    return {"metadata": {"name": name}, "data": data}


def watched(client, seconds=LIVES):
    version = client.list("ConfigMap")["metadata"]["resourceVersion"]
    return client.watch("ConfigMap", resource_version=version, timeout_seconds=seconds)


def names(watch, count):
    """The type and the name of the next events, without bookmarks."""
    found = []
    for event in watch:
        if event["type"] != "BOOKMARK":
            found.append((event["type"], event["object"]["metadata"]["name"]))
        if len(found) == count:
            return found
    return found


def test_a_watch_tells_what_happens(client):
    with watched(client) as watch:
        client.create("ConfigMap", config_map("one"))
        client.patch("ConfigMap", "one", {"data": {"a": "1"}})
        client.delete("ConfigMap", "one")
        client.create("ConfigMap", config_map("two"))

        assert names(watch, 4) == [
            ("ADDED", "one"),
            ("MODIFIED", "one"),
            ("DELETED", "one"),
            ("ADDED", "two"),
        ]


def test_a_watch_selects_by_labels(client):
    version = client.list("ConfigMap")["metadata"]["resourceVersion"]
    asked = client.watch("ConfigMap", resource_version=version, labels="a=1", timeout_seconds=LIVES)
    with asked as watch:
        client.create("ConfigMap", config_map("other"))
        client.create("ConfigMap", {"metadata": {"name": "one", "labels": {"a": "1"}}})

        assert names(watch, 1) == [("ADDED", "one")]


def test_fifteen_silent_seconds_end_no_watch(client, api_namespace):
    # Nobody else makes anything in this namespace, so nothing keeps the connection busy.
    later = threading.Timer(15, lambda: client.create("ConfigMap", config_map("late")))
    with watched(client) as watch:
        began = time.monotonic()
        later.start()

        assert names(watch, 1) == [("ADDED", "late")]
        assert time.monotonic() - began > 14


def test_a_watch_ends_at_its_time(client):
    began = time.monotonic()
    events = list(watched(client, seconds=2))

    assert {event["type"] for event in events} <= {"BOOKMARK"}
    assert 1 < time.monotonic() - began < 15


def test_a_watch_brings_bookmarks(client):
    # The server sends one shortly before the end of a watch, if it has the time.
    bookmark = until(lambda: list(watched(client, seconds=5)), "a bookmark")[-1]

    assert bookmark["type"] == "BOOKMARK"
    assert int(bookmark["object"]["metadata"]["resourceVersion"]) > 0


def test_a_watch_that_another_thread_closes_ends_at_once(client):
    for _ in range(20):
        watch = watched(client)
        reader = Reader(watch)
        until(partial(is_reading, reader), "a thread that waits")
        watch.close()

        assert reader.ends_within(AT_ONCE)
        assert (reader.found, reader.error) == ([], None)
        assert list(watch) == []


def test_a_watch_that_is_closed_in_the_middle_of_events_ends_quietly(client):
    watch = watched(client)
    reader = Reader(watch)
    for number in range(200):
        client.patch("ConfigMap", "kube-root-ca.crt", {"metadata": {"labels": {"n": f"{number}"}}})
        if number == 100:
            until(lambda: reader.found, "an event")
            watch.close()

    assert reader.ends_within(AT_ONCE)
    assert reader.error is None


def test_an_unread_watch_can_be_closed(client):
    watch = watched(client)
    watch.close()
    watch.close()

    assert list(watch) == []


def test_a_watch_that_is_cut_says_so(by_wire, wire):
    version = by_wire.list("ConfigMap")["metadata"]["resourceVersion"]
    reader = Reader(by_wire.watch("ConfigMap", resource_version=version, timeout_seconds=LIVES))
    until(lambda: is_reading(reader), "a thread that waits")
    wire.cut()

    assert reader.ends_within(AT_ONCE)
    assert isinstance(reader.error, ApiUnavailable)
    assert reader.error.message == (
        f"configmaps in namespace {by_wire.place.namespace}: not watched: the API server "
        f"https://127.0.0.1:{wire.port} of context 't' does not answer: the connection was cut"
    )


def test_a_version_that_is_too_old_is_expired(client, cluster, api_namespace, monkeypatch):
    # The server remembers a new kind from its beginning on: the first version of all is too old.
    group = f"{api_namespace}.example"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"probes.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "probes", "kind": "Probe"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    monkeypatch.setitem(KINDS, "Probe", Resource(f"{group}/v1", "probes"))
    cluster.kubectl("create", "-f", "-", given=definition)
    try:
        cluster.kubectl("wait", "--for=condition=Established", "crd", f"probes.{group}")
        until(lambda: is_served(client), "the new kind")
        with pytest.raises(Expired) as caught:
            list(client.watch("Probe", resource_version="1", timeout_seconds=LIVES))
    finally:
        cluster.kubectl("delete", "crd", f"probes.{group}", "--wait=false")

    assert caught.value.status == 410
    assert caught.value.message.startswith(
        f"probes.{group} in namespace {api_namespace}: not watched: too old resource version: 1 ("
    )


def is_served(client):
    """Whether a new kind is listed and watched: not before the server has a memory for it."""
    try:
        version = client.list("Probe")["metadata"]["resourceVersion"]
        list(client.watch("Probe", resource_version=version, timeout_seconds=1))
    except (NotFound, ApiUnavailable):
        return False
    return True
