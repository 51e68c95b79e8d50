"""An API server that goes away and comes back: the pod goes on without it, and so does its step."""

import re
import threading
import time
from dataclasses import replace

from tac.kubernetes.attempt.session_pool import SessionKey
from tac.kubernetes.diagnosis.stage import Stage
from tac.verdict import Reason
from tests.support.api_proxy import Answer, Asked
from tests.support.kubernetes_place import (
    DEADLINE_SECONDS,
    WAITS,
    at,
    message,
    proxy,
    said,
    step_image,
)
from tests.support.processes import until

__all__ = ["at", "proxy", "step_image"]

AWAY_SECONDS = 20.0


def test_a_short_outage_of_the_server_is_waited_for_silently(at, proxy, caplog):
    told: list[str] = []
    with at.running(f"{WAITS} echo end", follow=told.append) as verdicts:
        until(lambda: "begun" in told, "the first word", DEADLINE_SECONDS)
        proxy.cut()
        until(
            lambda: at.session.reflector.unreachable_seconds() > AWAY_SECONDS,
            "its absence",
            60,
        )
        at.go()
        until(lambda: at.pods()[0]["status"]["phase"] == "Succeeded", "its end", 60)
        proxy.mend()

    assert verdicts[0].reason is Reason.DONE
    assert said(told) == ["begun", "end"]
    assert len(at.notes) == 1
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_a_long_outage_of_the_server_ends_the_attempt_and_the_next_run_adopts_its_job(at, proxy):
    at.timeouts = replace(at.timeouts, api_unreachable_timeout_seconds=1.0)
    at.close()
    words = ("sh", "-c", f"{WAITS} echo end")
    with at.running(words[2]) as verdicts:
        pod = at.pod()["metadata"]["name"]
        until(lambda: "begun" in at.words, "the first word", DEADLINE_SECONDS)
        proxy.cut()
    proxy.mend()
    # Until then the same second of patience would be over for the next run, too.
    until(lambda: at.session.reflector.unreachable_seconds() == 0, "its return")
    job = at.job()["metadata"]["name"]

    assert verdicts[0].reason is Reason.LOST
    assert re.fullmatch(
        r"the API server of t has not answered for \d+ s", verdicts[0].detail.partition(": ")[2]
    )
    assert verdicts[0].remedy == (
        f"job/{job} may still run, and the next run of the same command goes on with it; "
        f"log: {at.log}"
    )

    at.go()
    again = at.run(*words, attempt=2)

    assert again.reason is Reason.DONE
    assert at.words == "begun\nend\n"
    assert at.made_pods() == [pod]


def test_a_job_is_not_given_up_because_the_watches_tell_nothing(at, proxy):
    # A pod that is there may take longer to begin.
    at.timeouts = replace(at.timeouts, stages={**dict.fromkeys(Stage, 30.0), Stage.NO_POD: 10.0})
    over = threading.Event()

    def silence(asked: Asked) -> None:
        if asked.is_watch:
            over.wait(60)

    proxy.fault = silence
    try:
        verdict = at.sh("echo end")
    finally:
        over.set()

    assert verdict.reason is Reason.DONE
    assert "[  0 %] pending: waiting for its pod\n" in at.log.read_text()
    assert at.words == "end\n"
    assert len(at.made_pods()) == 1


def test_a_refusal_in_the_middle_is_not_believed_at_once(at, proxy):
    refusals: list[str] = []
    body = b'{"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}'

    def refuse(asked: Asked) -> Answer | None:
        # As an API server that starts anew does, until it knows its roles.
        if asked.is_watch and began.is_set() and len(refusals) < 3:
            refusals.append(asked.path)
            return Answer(403, body)
        return None

    began = threading.Event()
    proxy.fault = refuse
    with at.running(f"{WAITS} echo end") as verdicts:
        pod = at.pod()["metadata"]["name"]
        until(lambda: "begun" in at.words, "the first word", DEADLINE_SECONDS)
        began.set()
        proxy.cut_connections()
        until(lambda: len(refusals) == 3, "the refusals", DEADLINE_SECONDS)
        at.go(pod)

    assert verdicts[0].reason is Reason.DONE
    assert at.made_pods() == [pod]


def test_a_refusal_after_a_long_outage_is_not_final_at_once(at, proxy, monkeypatch):
    monkeypatch.setattr("tac.kubernetes.watch.list_watch.REFUSAL_SECONDS", 3.0)
    refused: set[str] = set()
    body = b'{"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}'

    def refuse(asked: Asked) -> Answer | None:
        what = asked.path.partition("?")[0]
        if not asked.is_watch or what in refused:
            return None
        refused.add(what)
        return Answer(403, body)

    with at.running(f"{WAITS} echo end") as verdicts:
        pod = at.pod()["metadata"]["name"]
        at.until_it_said("begun")
        proxy.cut()
        reflector = at.session.reflector
        until(lambda: reflector.unreachable_seconds() > 4, "a long time away", DEADLINE_SECONDS)
        proxy.fault = refuse
        proxy.mend()
        until(lambda: len(refused) == 2, "a refusal of each watch", DEADLINE_SECONDS)
        at.go(pod)

    assert verdicts[0].reason is Reason.DONE
    assert at.made_pods() == [pod]


def test_an_unreachable_server_at_the_end_is_waited_for_once_and_not_for_each_job(
    at, proxy, monkeypatch
):
    for number in range(5):
        assert at.sh(f"exit 1 # {number}").reason is Reason.BUG
    monkeypatch.setattr("tac.kubernetes.attempt.cleaner._CLOSE_SECONDS", 7.0)
    proxy.cut()

    began = time.monotonic()
    at.close()

    # Each of the five would wait for six seconds: 0.1, 0.2 and so on to 3.2.
    assert time.monotonic() - began < 20
    proxy.mend()
    assert len(at.jobs()) == 5
    at.kubectl("delete", "jobs", "--all")


def test_a_job_whose_creation_was_not_answered_is_found_and_not_made_twice(at, proxy):
    created: list[dict[str, object]] = []

    def create_and_forget(asked):
        if asked.method == "POST" and not at.jobs():
            at.client.create("Job", created[0])  # which makes no detour
            proxy.cut_connections()

    client = at.runner._session_of(SessionKey()).client
    create = client.create

    def remember(kind, manifest):
        created.append(manifest)
        return create(kind, manifest)

    client.create = remember
    proxy.fault = create_and_forget

    verdict = at.sh("echo so")

    assert verdict.reason is Reason.DONE
    assert len(created) == 2
    assert at.notes[0] == "# adopted job/x-1"
    assert len(at.made_pods()) == 1


def test_an_unreachable_server_is_waited_for_no_longer_than_the_grace_of_a_stopped_step(at, proxy):
    with at.running("echo on; sleep 600") as verdicts:
        at.pod()
        until(lambda: at.log.exists() and "on\n" in at.words, "the first word", DEADLINE_SECONDS)
        proxy.cut()
        began = time.monotonic()
        at.stop.set()
    took = time.monotonic() - began
    proxy.mend()
    at.stop.clear()

    assert verdicts[0].reason is Reason.STOPPED
    first, hint = message(verdicts[0]).splitlines()
    assert first.startswith("step/x: stop requested after T s, and job/x-1 may still run: ")
    assert hint.endswith("`kubectl --context C --namespace NS delete job x-1` ends it")
    assert took < 15
    at.kubectl("delete", "job", "--all")
