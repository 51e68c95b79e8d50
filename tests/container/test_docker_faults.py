"""A lost connection to the engine is not lost work."""

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from tac.store.s3_client import close_connections
from tac.verdict import Reason
from tests.support.docker_place import at, message, silence, wire
from tests.support.faults import Answer, Proxy, running_proxy
from tests.support.processes import until
from tests.support.s3 import Bucket, bucket, environment_of, s3_server

__all__ = ["at", "bucket", "s3_server", "silence", "wire"]

COUNTS = (
    "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.005; done; "
    "until [ -e $1/go ]; do sleep 0.1; done; echo end >&2; exit 65"
)


def has_heard(told: list[str], count: int) -> bool:
    return len(told) > count


def test_a_connection_that_is_cut_again_and_again_loses_and_repeats_nothing(at, wire):
    told: list[str] = []
    verdicts = []
    words = ("sh", "-c", COUNTS, "sh", f"{at.path}/store")
    thread = threading.Thread(target=lambda: verdicts.append(at.run(*words, follow=told.append)))
    thread.start()
    for heard in (5, 60, 150, 300):
        until(partial(has_heard, told, heard), f"line {heard}")
        wire.cut()
        wire.mend()
    (at.path / "store" / "go").touch()
    thread.join(60)

    assert verdicts[0].reason is Reason.BAD_DATA
    assert told == [f"line {number}" for number in range(400)] + ["end"]
    assert at.words.splitlines() == told
    assert wire.connections > 4


def test_a_container_that_ends_during_an_outage_of_the_engine_is_read_after_it(at, wire):
    script = "echo begun; until [ -e $1/go ]; do sleep 0.1; done; echo well"
    words = ("sh", "-c", script, "sh", f"{at.path}/store")
    told: list[str] = []
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(at.run(*words, follow=told.append)))
    thread.start()
    until(lambda: told == ["begun"], "the first word")
    wire.cut()
    (at.path / "store" / "go").touch()
    until(lambda: not at.containers()[0]["State"]["Running"], "its end")
    wire.mend()
    thread.join(60)

    assert verdicts[0].reason is Reason.DONE
    assert told == ["begun", "well"]


def test_a_long_outage_of_the_engine_ends_the_attempt_and_the_next_run_adopts_it(
    at, wire, monkeypatch
):
    monkeypatch.setattr("tac.runners.docker.attempt.OUTAGE_SECONDS", 0.5)
    script = "echo begun; until [ -e $1/go ]; do sleep 0.1; done; echo well"
    words = ("sh", "-c", script, "sh", f"{at.path}/store")
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(at.run(*words)))
    thread.start()
    found = at.container()
    until(lambda: "begun" in at.words, "the first word")
    wire.cut()
    thread.join(30)
    wire.mend()
    name = found["Name"].removeprefix("/")

    assert verdicts[0].reason is Reason.LOST
    assert "does not answer: Connection refused" in verdicts[0].detail
    assert verdicts[0].remedy == (
        f"container/{name} may still run, and the next run of the same command goes on with it; "
        f"log: {at.path}/x.log"
    )

    (at.path / "store" / "go").touch()
    again = at.run(*words, attempt=2)

    assert again.reason is Reason.DONE
    assert at.words.splitlines()[-2:] == ["begun", "well"]


def test_a_connection_that_dies_without_a_sign_is_replaced(at, silence, monkeypatch):
    monkeypatch.setattr("tac.runners.docker.attempt._SILENCE_SECONDS", 1.0)
    monkeypatch.setattr("tac.runners.docker.engine._ANSWER_SECONDS", 5)
    at.close()
    script = (
        "echo one; until [ -e $1/go ]; do sleep 0.1; done; "
        "echo two; until [ -e $1/end ]; do sleep 0.1; done; echo three"
    )
    told: list[str] = []
    verdicts = []
    words = ("sh", "-c", script, "sh", f"{at.path}/store")
    thread = threading.Thread(target=lambda: verdicts.append(at.run(*words, follow=told.append)))
    thread.start()
    until(lambda: told == ["one"], "the first word")
    silence()
    (at.path / "store" / "go").touch()
    until(lambda: told == ["one", "two"], "the second word, while it runs")
    (at.path / "store" / "end").touch()
    thread.join(60)

    assert verdicts[0].reason is Reason.DONE
    assert told == ["one", "two", "three"]


@pytest.fixture
def throttled(at, bucket: Bucket) -> Iterator[Proxy]:
    """A real S3 behind an address that can ask to slow down."""
    with running_proxy(bucket.server.endpoint) as proxy:
        at.set(TAC_ON_STOP="leave", **environment_of(proxy.endpoint))
        close_connections()
        yield proxy
        proxy.fault = lambda request: None
        at.close()
        close_connections()


SLOW_DOWN = "S3 asks to slow down (503)"
WAITS = "echo begun; until [ -e $1/go ]; do sleep 0.1; done"


def test_a_store_that_throttles_during_adoption_is_a_temporary_error(at, bucket, throttled):
    words, output = ("sh", "-c", WAITS, "sh", f"{at.path}/store"), bucket.address("x")
    thread = threading.Thread(target=at.run, args=words, kwargs={"output": output})
    thread.start()
    at.container()
    at.stop.set()
    thread.join(60)
    at.stop.clear()
    (at.path / "store" / "go").touch()
    until(lambda: not any(c["State"]["Running"] for c in at.containers()), "its end")
    throttled.fault = lambda request: Answer(503)

    verdict = at.run(*words, output=output)

    assert verdict.reason is Reason.TRY_AGAIN
    assert message(verdict) == (
        f"step/x: could not be started just now: {output}: {SLOW_DOWN}\n"
        f"Hint: try again later, or with fewer workers; log: {at.log}"
    )

    throttled.fault = lambda request: None
    assert at.run(*words, output=output).reason is Reason.DONE


def test_a_store_that_throttles_after_a_container_was_removed_is_a_temporary_error(
    at, bucket, throttled
):
    words, output = ("sh", "-c", WAITS, "sh", f"{at.path}/store"), bucket.address("x")
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(at.run(*words, output=output)))
    thread.start()
    found = at.container()
    until(lambda: "begun" in at.words, "the first word")
    throttled.fault = lambda request: Answer(503)
    at.engine.command("rm", "--force", found["Id"])
    thread.join(60)
    name = found["Name"].removeprefix("/")

    assert verdicts[0].reason is Reason.TRY_AGAIN
    assert message(verdicts[0]) == (
        f"step/x: lost after T s: container/{name} was removed before its result was read, "
        f"and whether it had done its work cannot be told: {output}: {SLOW_DOWN}\n"
        f"Hint: try again later, or with fewer workers; log: {at.log}"
    )
