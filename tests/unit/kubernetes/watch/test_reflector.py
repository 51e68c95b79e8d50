"""What a reflector makes of lists and events, in whatever order two watches tell them."""

import itertools
from typing import Any

import pytest

from tac import names
from tac.kubernetes.watch.reflector import Reflector

WORK = "0123456789ab"
NOBODY: Any = None  # whom a reflector whose feeds never begin asks


def job(uid="j", version=1, *, attempt=1, **more):
    labels = {names.WORK: WORK, names.ATTEMPT: str(attempt)}
    metadata = {
        "name": f"x-{attempt}",
        "uid": uid,
        "labels": labels,
        "resourceVersion": f"{version}",
    }
    return {"kind": "Job", "metadata": {**metadata, **more}, "spec": {"backoffLimit": 0}}


def pod(uid="p", version=1, *, of="j", phase="Running"):
    metadata = {
        "name": uid,
        "uid": uid,
        "resourceVersion": f"{version}",
        "ownerReferences": [{"kind": "Job", "uid": of}],
    }
    return {
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": []},
        "status": {"phase": phase},
    }


def event(uid="e", about="p", version=1):
    metadata = {"uid": uid, "resourceVersion": f"{version}"}
    return {"kind": "Event", "metadata": metadata, "involvedObject": {"uid": about}}


@pytest.fixture
def reflector():
    return Reflector(NOBODY)


def test_an_event_without_a_reason_or_a_message_has_empty_ones(reflector):
    tell(reflector, "ADDED", job())
    tell(reflector, "ADDED", event(about="j"))

    [known] = reflector.events(["j"])
    assert (known["reason"], known["message"]) == ("", "")


def tell(reflector, kind, thing):
    reflector.apply({"type": kind, "object": thing})


def names_of(things):
    return [thing["metadata"]["name"] for thing in things]


def test_pods_that_are_listed_before_their_job_are_kept_although_they_have_ended(reflector):
    reflector.replace("Pod", [pod(phase="Failed")], "5")
    reflector.replace("Job", [job()], "5")

    assert names_of(reflector.pods_of("j")) == ["p"]


def test_attempts_come_in_their_order_whatever_their_names(reflector):
    reflector.replace("Job", [job(f"j{n}", attempt=n) for n in (10, 9, 2, 1)], "5")

    assert names_of(reflector.jobs_of(WORK)) == ["x-1", "x-2", "x-9", "x-10"]


def test_what_is_older_than_what_is_known_changes_nothing(reflector):
    with reflector.following(job(version=7)) as uid:
        tell(reflector, "MODIFIED", job(version=3, annotations={"old": "yes"}))

        assert "annotations" not in reflector.see(uid).job["metadata"]


def test_a_job_that_is_deleted_before_it_is_followed_is_known_by_what_it_was(reflector):
    made = job()
    reflector.add(made)
    tell(reflector, "DELETED", job(version=9))
    reflector.add(made)  # the answer to its creation is older than the watch by now

    assert reflector.jobs_of(WORK) == []
    with reflector.following(made) as uid:
        view = reflector.see(uid)
        assert (view.job, view.was) == (None, made)
    assert reflector._entries == {}


def test_a_late_event_of_a_deleted_job_is_ignored(reflector):
    tell(reflector, "ADDED", job(version=1))
    tell(reflector, "DELETED", job(version=5))
    tell(reflector, "MODIFIED", job(version=4))

    assert reflector.jobs_of(WORK) == []


def test_another_job_of_the_same_name_is_another_job(reflector):
    with reflector.following(job("j1")) as first:
        tell(reflector, "DELETED", job("j1", version=2))
        tell(reflector, "ADDED", job("j2", version=3))
        tell(reflector, "ADDED", pod("p2", 4, of="j2"))

        assert reflector.see(first).job is None
        assert reflector.see(first).pods == ()
        assert [each["metadata"]["uid"] for each in reflector.jobs_of(WORK)] == ["j2"]


def test_a_list_shows_what_was_deleted_without_a_watch(reflector):
    with reflector.following(job()) as uid:
        tell(reflector, "ADDED", pod(version=2))
        reflector.replace("Pod", [], "9")
        reflector.replace("Job", [], "9")

        view = reflector.see(uid)
        assert (view.job, view.pods, view.was["metadata"]["uid"]) == (None, (), "j")


def test_a_list_that_is_older_than_a_job_does_not_hide_it(reflector):
    reflector.add(job(version=12))
    reflector.replace("Job", [], "9")

    assert names_of(reflector.jobs_of(WORK)) == ["x-1"]


def test_the_end_of_a_pod_is_known_also_after_it_was_deleted(reflector):
    with reflector.following(job()) as uid:
        tell(reflector, "ADDED", pod(version=2))
        tell(reflector, "DELETED", pod(version=3, phase="Succeeded"))
        tell(reflector, "DELETED", job(version=4))

        assert [each["status"]["phase"] for each in reflector.see(uid).pods] == ["Succeeded"]


def test_nothing_is_kept_of_deleted_jobs_in_whatever_order_their_events_arrive(reflector):
    ends = [
        ("MODIFIED", pod(version=5, phase="Succeeded")),
        ("DELETED", pod(version=6, phase="Succeeded")),
        ("MODIFIED", job(version=5)),
        ("DELETED", job(version=6)),
        ("ADDED", event()),
        ("DELETED", event()),
    ]
    told = 0
    for order in itertools.permutations(range(len(ends))):
        # Each watch tells its own in their order; between two watches there is none.
        if all(order.index(number) < order.index(number + 1) for number in (0, 2, 4)):
            reflector = Reflector(NOBODY)
            tell(reflector, "ADDED", job())
            tell(reflector, "ADDED", pod())
            for number in order:
                tell(reflector, *ends[number])
            told += 1

            assert (reflector._entries, reflector._events) == ({}, {}), order
    assert told == 90


def test_a_list_of_events_tells_which_are_over(reflector):
    reflector.replace("Event", [event("a"), event("b", "q")], "5")
    reflector.replace("Event", [event("b", "q")], "6")

    assert reflector._events.keys() == {"q"}


def test_whoever_waits_is_woken_by_what_happens_to_that_job_alone(reflector):
    with reflector.following(job("j1")) as first, reflector.following(job("j2", attempt=2)):
        before = reflector.see(first)
        tell(reflector, "ADDED", pod("p2", 3, of="j2"))
        assert reflector.see(first).revision == before.revision

        tell(reflector, "ADDED", pod("p1", 4, of="j1"))
        assert reflector.see(first).revision != before.revision
