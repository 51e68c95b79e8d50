"""One list and one watch a kind, however many wait; and what happens when watches do not last."""

import json
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from tac import names
from tac.errors import Forbidden
from tac.kubernetes.client.api import Client
from tac.kubernetes.manifests.defaults import numbered
from tac.kubernetes.watch.reflector import Reflector
from tests.support.api_proxy import Answer, Asked
from tests.support.kubernetes_place import SELECTOR, at, proxy, step_image
from tests.support.processes import until

__all__ = ["at", "proxy", "step_image"]

LISTED_SECONDS = 20.0
EXPIRED = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "message": "too old resource version: 1 (2)",
    "reason": "Expired",
    "code": 410,
}


def job(name, work="0123456789ab", attempt=1):
    """A Job of which nothing comes: it is suspended."""
    labels = {**names.MANAGED, names.WORK: work, names.ATTEMPT: str(attempt)}
    container = {"name": "a", "image": "nobody:none"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


@pytest.fixture
def reflector(proxy, at):
    """A reflector behind the proxy, which has listed what is there."""
    with closing(Client(namespace=at.namespace)) as client:
        reflector = Reflector(client)
        reflector.wait_until_listed(LISTED_SECONDS)
        try:
            yield reflector
        finally:
            reflector.close()
            at.kubectl("delete", "job", "--all", "--wait=false")


def known(reflector):
    return sorted(view.job["metadata"]["name"] for view in reflector.jobs())


def watches(proxy):
    return [asked for asked in proxy.asked if asked.is_watch]


def lists(proxy):
    return [asked for asked in proxy.asked if asked.method == "GET" and not asked.is_watch]


def test_what_was_deleted_while_the_watch_was_cut_is_known_when_it_is_back(reflector, at, proxy):
    at.client.create("Job", job("one"))
    until(lambda: known(reflector) == ["one"], "the Job")
    proxy.cut()
    at.client.delete("Job", "one")
    at.client.create("Job", job("two"))
    proxy.mend()

    until(lambda: known(reflector) == ["two"], "what happened meanwhile")
    assert len(lists(proxy)) == 2  # it went on from the last version, and listed nothing again


def test_an_expired_version_lists_again_and_finds_what_was_deleted(reflector, at, proxy):
    at.client.create("Job", job("one"))
    until(lambda: known(reflector) == ["one"], "the Job")
    expired: list[Asked] = []

    def fault(asked):
        if asked.is_watch and "/jobs?" in asked.path and not expired:
            expired.append(asked)
            return Answer(410, json.dumps(EXPIRED).encode())
        return None

    proxy.cut()
    proxy.fault = fault
    at.client.delete("Job", "one")
    proxy.mend()

    until(lambda: known(reflector) == [], "the deletion")
    assert len(expired) == 1
    assert len(lists(proxy)) == 3


def test_a_version_that_is_too_old_in_the_middle_of_a_watch_lists_again(reflector, at, proxy):
    event = json.dumps({"type": "ERROR", "object": EXPIRED}).encode() + b"\n"
    once: list[Asked] = []

    def fault(asked):
        if asked.is_watch and "/jobs?" in asked.path and not once:
            once.append(asked)
            return Answer(200, event)
        return None

    proxy.fault = fault
    proxy.cut_connections()
    until(lambda: len(lists(proxy)) == 3, "another list")
    at.client.create("Job", job("one"))

    until(lambda: known(reflector) == ["one"], "the Job")


@pytest.mark.parametrize(
    "answer",
    [Answer(200, b""), Answer(410, json.dumps(EXPIRED).encode()), Answer(503, b"no")],
    ids=["ends at once", "always too old", "unavailable"],
)
def test_watches_that_never_last_are_not_asked_for_without_end(proxy, at, answer):
    proxy.fault = lambda asked: answer if asked.is_watch else None
    with closing(Client(namespace=at.namespace)) as client:
        reflector = Reflector(client)
        reflector.wait_until_listed(LISTED_SECONDS)
        began, before = time.monotonic(), len(proxy.asked)
        until(lambda: time.monotonic() - began > 6, "six seconds")
        asked = len(proxy.asked) - before
        reflector.close()

    # Pauses of 0.1, 0.2, 0.4 … 3.2 s: six each of two watches, and as many lists where it lists.
    assert 4 <= asked <= 2 * 2 * 7


def test_a_missing_right_is_raised_in_all_waiting_threads(at):
    at.kubectl("create", "serviceaccount", "half")
    role = ("create", "role", "half", "--verb=get,list,watch", "--resource=jobs.batch")
    at.kubectl(*role)
    at.kubectl(
        "create", "rolebinding", "half", "--role=half", f"--serviceaccount={at.namespace}:half"
    )
    token = at.kubectl("create", "token", "half").strip()
    config = at.cluster.write_config(at.path / "half", user={"token": token})
    at.set(KUBECONFIG=str(config))
    with closing(Client(namespace=at.namespace)) as client:
        reflector = Reflector(client)
        with pytest.raises(Forbidden) as caught:
            reflector.wait_until_listed(LISTED_SECONDS)
        reflector.close()
    at.set(KUBECONFIG=at.cluster.environment["KUBECONFIG"])

    assert caught.value.message.startswith(f"pods in namespace {at.namespace}: not listed: ")


def test_a_reflector_is_closed_at_once_and_its_threads_end(reflector, proxy):
    until(lambda: len(watches(proxy)) == 2, "both watches")
    began = time.monotonic()
    reflector.close()

    assert time.monotonic() - began < 4
    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith("watch of")] == []


def test_nothing_is_kept_of_deleted_jobs(reflector, at):
    for number in range(20):
        at.client.create("Job", job(f"j{number}"))
    until(lambda: len(known(reflector)) == 20, "the Jobs")
    reflector.events([])  # from now on it listens to events, too
    at.kubectl("delete", "job", "--all")

    until(lambda: reflector._entries == {}, "that all is forgotten")


def test_the_time_is_that_of_the_api_server_whatever_this_machine_takes_for_it(proxy, at):
    empty = json.dumps({"metadata": {"resourceVersion": "1"}, "items": []}).encode()
    with closing(Client(namespace=at.namespace)) as client:
        client.list("Job")
        assert abs(client.now() - datetime.now(UTC)) < timedelta(seconds=60)

        proxy.fault = lambda _: Answer(200, empty, "Wed, 01 Mar 2023 00:00:00 GMT")
        client.list("Job")
        assert client.now().isoformat().startswith("2023-03-01T00:00:0")

        proxy.fault = lambda _: Answer(200, empty, "at noon")
        client.list("Job")
        assert client.now().isoformat().startswith("2023-03-01T00:00:0")


WAITERS = 500
SILENT_SECONDS = 8.0


def test_five_hundred_waiting_jobs_cost_two_watches_and_little_time(at, proxy, monkeypatch):
    monkeypatch.setattr("tac.kubernetes.watch.list_watch.WATCH_SECONDS", 600)  # none ends meanwhile
    at.set(TAC_ON_STOP="leave")
    runner = at.runner
    commands = [
        at.command("true", number, log=at.path / f"{number}.log") for number in range(WAITERS)
    ]
    for command in commands:  # they are created, and suspended by a queue
        _, manifest = runner._prepare(command)
        manifest = numbered(manifest, 1)
        manifest["spec"]["suspend"] = True
        at.client.create("Job", manifest)
    proxy.asked.clear()
    verdicts: list[object] = []

    def run(command):
        verdicts.append(runner.run(command, follow=lambda _: None, stop=at.stop))

    threads = [threading.Thread(target=run, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    waiting = [at.path / f"{number}.log" for number in range(WAITERS)]
    until(
        lambda: all(path.exists() and b"adopted job/" in path.read_bytes() for path in waiting),
        "all",
    )
    # After five seconds they want to know why nothing happens: one list and watch for them all.
    until(lambda: any("/events?" in asked.path for asked in watches(proxy)), "events")
    kinds = sorted(asked.path.partition("?")[0].rpartition("/")[2] for asked in watches(proxy))
    asked, cpu, began = len(proxy.asked), time.process_time(), time.monotonic()
    until(lambda: time.monotonic() - began > SILENT_SECONDS, "some silent seconds")
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    at.stop.set()
    for thread in threads:
        thread.join(60)

    assert kinds == ["events", "jobs", "pods"]
    assert len(lists(proxy)) == 3
    assert len(proxy.asked) == asked
    assert len(verdicts) == WAITERS
    print(f"{WAITERS} waiting Jobs: {share:.0%} of a processor")
    at.kubectl("delete", "job", "--all", "--wait=false")
    until(lambda: at.client.list("Job", labels=SELECTOR)["items"] == [], "the end of all", 60)
