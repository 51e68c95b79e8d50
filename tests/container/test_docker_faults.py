"""A lost connection to the engine is not lost work."""

import threading
from functools import partial

from tac.verdict import Reason
from tests.support.docker_place import at, wire
from tests.support.processes import until

__all__ = ["at", "wire"]

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


def test_a_container_that_ends_while_the_engine_is_away_is_read_when_it_is_back(at, wire):
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


def test_an_engine_that_stays_away_is_given_up_and_the_next_run_goes_on(at, wire, monkeypatch):
    monkeypatch.setattr("tac.runners.docker.attempt._AWAY_SECONDS", 0.5)
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
