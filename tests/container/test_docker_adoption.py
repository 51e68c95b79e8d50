"""Containers that outlive their driver, and drivers that share one: the work is done once."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tac import settings
from tac.runners.docker import DockerRunner
from tac.verdict import Reason, Verdict
from tests.support.docker_place import DockerPlace, at, message
from tests.support.processes import REPOSITORY, ignore, until

__all__ = ["at"]

WAITS = "echo begun; until [ -e $1/go ]; do sleep 0.1; done; echo so > $1/x; echo ended"


def waiting(at: DockerPlace) -> tuple[str, ...]:
    """A command that ends when `go` is there, and then counts itself."""
    return ("sh", "-c", WAITS, "sh", f"{at.path}/store")


def test_a_container_that_is_left_running_is_adopted_by_the_next_driver(at):
    at.set(TAC_ON_STOP="leave")
    first = threading.Thread(target=lambda: left.append(at.run(*waiting(at))))
    left: list[Verdict] = []
    first.start()
    found = at.container()
    until(lambda: "begun" in at.words, "the first word")
    at.stop.set()
    first.join(20)
    name = found["Name"].removeprefix("/")

    assert message(left[0]) == (
        f"step/x: left running after T s, in container/{name}\n"
        f"Hint: run the same command again: it goes on from there (`docker stop {name}` ends it)"
    )
    assert [each["State"]["Status"] for each in at.containers()] == ["running"]

    at.stop.clear()
    at.close()
    told: list[str] = []
    (at.path / "store" / "go").touch()
    verdict = at.run(*waiting(at), follow=told.append, attempt=2)

    assert verdict.reason is Reason.DONE
    assert told[-2:] == ["begun", "ended"]
    assert told[0].startswith(f"# adopted container {found['Id'][:12]}, ")


def test_an_unread_success_is_adopted_if_its_output_exists_and_run_again_if_not(at):
    output = f"{at.path}/store/x"
    at.set(TAC_ON_STOP="leave")
    (at.path / "store" / "go").parent.mkdir()
    for stays in (True, False):
        (at.path / "store" / "go").unlink(missing_ok=True)
        at.stop.clear()
        thread = threading.Thread(target=at.run, args=waiting(at))
        thread.start()
        found = at.container()
        at.stop.set()
        thread.join(20)
        (at.path / "store" / "go").touch()
        until(lambda: not any(c["State"]["Running"] for c in at.containers()), "its end")
        if not stays:
            (at.path / "store" / "x").unlink()
        at.stop.clear()
        at.log.unlink()

        verdict = at.run(*waiting(at), output=output)

        assert verdict.reason is Reason.DONE
        assert (found["Id"][:12] in at.words) == stays
        (at.path / "store" / "x").unlink()


def test_an_unread_failure_is_copied_to_the_log_and_the_step_runs_again(at):
    at.set(TAC_ON_STOP="leave")
    script = "until [ -e $1/go ]; do sleep 0.1; done; rm $1/again && echo once && exit 1; echo well"
    words = ("sh", "-c", script, "sh", f"{at.path}/store")
    thread = threading.Thread(target=at.run, args=words)
    thread.start()
    found = at.container()
    (at.path / "store" / "again").touch()
    at.stop.set()
    thread.join(20)
    (at.path / "store" / "go").touch()
    until(lambda: not any(c["State"]["Running"] for c in at.containers()), "its end")
    at.stop.clear()
    at.log.unlink()

    verdict = at.run(*words)

    assert verdict.reason is Reason.DONE
    left = found["Id"][:12]
    assert [line for line in at.words.splitlines() if not line.startswith("rm:")] == [
        f"# an earlier run left container {left}, which ended with exit code 1; its log:",
        "# once",
        "well",
    ]


DRIVER = """
import sys, threading
from pathlib import Path
from tac import settings
from tac.request import RunRequest
from tac.runners.docker import DockerRunner
name, log, *argv = sys.argv[1:]
request = RunRequest(name, tuple(argv), settings.child_environment(), Path(log))
verdict = DockerRunner().run(request, follow=lambda _: None, stop=threading.Event())
print(verdict.reason, flush=True)
"""


def driver(at: DockerPlace, *argv: str) -> "subprocess.Popen[str]":
    """A process that runs one command as `at` does."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, at.name, str(at.path / "driver.log"), *argv],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},  # noqa: TID251 # a test's own child
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_driver_that_is_killed_leaves_its_container_to_the_next(at):
    with driver(at, *waiting(at)) as first:
        found = at.container()
        first.send_signal(signal.SIGKILL)
    assert [each["State"]["Status"] for each in at.containers()] == ["running"]

    (at.path / "store" / "go").touch()
    told: list[str] = []
    verdict = at.run(*waiting(at), follow=told.append)

    assert verdict.reason is Reason.DONE
    assert told[0].startswith(f"# adopted container {found['Id'][:12]}, ")
    assert told[1:] == ["begun", "ended"]


def is_shared(log: Path) -> bool:
    """Whether its driver found the container of another."""
    return log.exists() and "# adopted container" in log.read_text()


def test_drivers_that_want_the_same_share_one_container(at):
    script = "echo $$ >> $1/begun; until [ -e $1/go ]; do sleep 0.1; done; echo so > $1/x"
    words = ("sh", "-c", script, "sh", f"{at.path}/store")
    verdicts = []

    def run(number: int) -> None:
        command = at.command(*words, log=at.path / f"{number}.log", output=f"{at.path}/store/x")
        verdicts.append(runners[number].run(command, follow=ignore, stop=at.stop))

    settings.current.cache_clear()
    runners = [DockerRunner() for _ in range(4)]
    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    at.container()
    logs = [at.path / f"{number}.log" for number in range(4)]
    until(lambda: sum(map(is_shared, logs)) == 3, "all four")
    (at.path / "store" / "go").touch()
    for thread in threads:
        thread.join(30)
    for runner in runners:
        runner.close()

    assert [verdict.reason for verdict in verdicts] == [Reason.DONE] * 4
    assert len((at.path / "store" / "begun").read_text().splitlines()) == 1


STOPS = "trap 'exit 143' TERM; echo begun; while :; do sleep 0.1; done"
ON_REQUEST = (
    "step/x: stopped on request after T s\n"
    "Hint: run the same command again: what is finished is kept"
)


def test_a_driver_that_is_stopped_is_no_fault_of_a_step_that_it_shares(at):
    settings.current.cache_clear()
    stops = [threading.Event(), threading.Event()]
    runners = [DockerRunner(stop_grace_seconds=30), DockerRunner(stop_grace_seconds=30)]
    logs = [at.path / "0.log", at.path / "1.log"]
    verdicts: dict[int, Verdict] = {}

    def run(number: int) -> None:
        command = at.command("sh", "-c", STOPS, log=logs[number])
        verdicts[number] = runners[number].run(command, follow=ignore, stop=stops[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    threads[0].start()
    name = at.container()["Name"].removeprefix("/")
    threads[1].start()
    until(lambda: is_shared(logs[1]) and "begun" in logs[1].read_text(), "both drivers")
    stops[0].set()
    for thread in threads:
        thread.join(60)
    for runner in runners:
        runner.close()

    assert message(verdicts[0]) == ON_REQUEST
    assert verdicts[1].reason is Reason.LOST
    # Whoever reads it first removes it.
    assert message(verdicts[1]) in {
        f"step/x: lost after T s: another driver stopped container/{name}\n"
        f"Hint: TAC_ON_STOP=leave lets go on what drivers share; log: {logs[1]}",
        f"step/x: lost after T s: container/{name} was removed before its result was read\n"
        f"Hint: another driver or a person removed it; log: {logs[1]}",
    }


def test_a_container_that_another_driver_has_marked_did_not_end_by_itself(at):
    with at.running(STOPS) as verdicts:
        found = at.container()
        until(lambda: "begun" in at.words, "the first word")
        name = found["Name"].removeprefix("/")
        at.engine.command("rename", found["Id"], f"{name}-stopped")
        at.engine.command("stop", "--time=30", found["Id"], timeout=60)

    assert verdicts[0].reason is Reason.LOST
    assert message(verdicts[0]) == (
        f"step/x: lost after T s: another driver stopped container/{name}\n"
        f"Hint: TAC_ON_STOP=leave lets go on what drivers share; log: {at.log}"
    )


EATS = """
import pathlib, sys, time
print("begun", flush=True)
while not pathlib.Path(sys.argv[1], "go").exists():
    time.sleep(0.1)  # the test makes the file
bytearray(b"x") * (1 << 29)
"""


def test_what_is_said_of_a_container_of_another_attempt_names_it_and_its_own_limit(at):
    at.set(TAC_ON_STOP="leave")
    words = ("python", "-c", EATS, f"{at.path}/store")

    def leave(**more: Any) -> tuple[Verdict, str]:
        at.stop.clear()
        verdicts: list[Verdict] = []
        thread = threading.Thread(target=lambda: verdicts.append(at.run(*words, **more)))
        thread.start()
        name = at.container()["Name"].removeprefix("/")
        until(lambda: more["log"].exists() and "\nbegun" in more["log"].read_text(), "its word")
        at.stop.set()
        thread.join(60)
        return verdicts[0], name

    made, name = leave(attempt=2, memory="48Mi", log=at.path / "2.log")
    adopted, _ = leave(attempt=1, memory="2Gi", log=at.path / "1.log")
    at.stop.clear()
    (at.path / "store" / "go").touch()
    ended = at.run(*words, memory="2Gi")

    assert name.endswith("-2")
    assert [message(made), message(adopted)] == [
        f"step/x: left running after T s, in container/{name}\n"
        f"Hint: run the same command again: it goes on from there (`docker stop {name}` ends it)"
    ] * 2
    assert ended.reason is Reason.LOST
    assert message(ended) == (
        f"step/x: lost after T s: container/{name} ran out of memory, and had been given 48Mi\n"
        f"Hint: made anew it gets 2Gi; log: {at.log}"
    )
