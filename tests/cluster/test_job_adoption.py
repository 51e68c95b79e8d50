"""Jobs that outlive their driver, and drivers that share one: the work is done once."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tac import names, runners
from tac.step_task import StepTask
from tac.target import in_store
from tac.verdict import Reason
from tests.support.kubernetes_place import (
    DEADLINE_SECONDS,
    WAITS,
    KubernetesPlace,
    at,
    message,
    proxy,
    step_image,
    words_of,
)
from tests.support.processes import ignore, until

__all__ = ["at", "proxy", "step_image"]

WAITING = ("sh", "-c", f"{WAITS} echo ended")


def killed(at, *words, output=""):
    """A driver that was killed while its command ran; the pod of that command."""
    with at.driver(("x", output, *words)) as driver:
        pod = at.pod()
        until(lambda: "begun" in driver_log(at), "the first word", DEADLINE_SECONDS)
        driver.kill()
        driver.wait()
    at.log.rename(at.path / "first.log")
    return pod["metadata"]["name"]


def driver_log(at):
    return at.log.read_text() if at.log.exists() else ""


def failing(at):
    """A script that fails the first time; what tells is the number of its Job, by its pod."""
    return ("sh", "-c", f"{WAITS} case $HOSTNAME in *-1-*) echo no; exit 65;; esac; echo well")


def test_a_driver_that_is_killed_leaves_its_job_to_the_next(at):
    pod = killed(at, *WAITING)
    told: list[str] = []
    verdicts = []
    thread = threading.Thread(
        target=lambda: verdicts.append(at.run(*WAITING, follow=told.append)), daemon=True
    )
    thread.start()
    until(lambda: "begun" in told, "what was said before", DEADLINE_SECONDS)
    at.go(pod)
    thread.join(DEADLINE_SECONDS)

    assert verdicts[0].reason is Reason.DONE
    assert re.fullmatch(r"# adopted job/[a-z0-9-]+-1", told[0])
    assert told[1].startswith(f"# pod/{pod} on ")
    assert told[2:] == ["begun", "ended"]
    assert at.made_pods() == [pod]


def test_an_unread_success_is_adopted(at):
    pod = killed(at, *WAITING)
    at.go(pod)
    at.until_finished("Complete")

    verdict = at.run(*WAITING)

    assert verdict.reason is Reason.DONE
    assert at.notes[0] == "# adopted job/x-1"
    assert at.words == "begun\nended\n"
    assert at.made_pods() == [pod]


@pytest.mark.parametrize("stays", [True, False])
def test_a_success_counts_if_its_output_is_there_and_is_done_again_if_not(at, stays):
    output = at.path / "store" / "x.csv"
    words = ("sh", "-c", f"case $HOSTNAME in *-1-*) {WAITS} esac; echo ended")
    pod = killed(at, *words, output=str(output))
    output.parent.mkdir(exist_ok=True)
    at.go(pod)
    at.until_finished("Complete")
    if stays:
        output.touch()

    def publish(line: str) -> None:
        if line == "ended":
            output.touch()

    verdict = at.run(*words, output=str(output), follow=publish)

    assert verdict.reason is Reason.DONE
    assert ("# adopted job/x-1" in at.notes) == stays
    assert len(at.made_pods()) == (1 if stays else 2)
    assert at.boxes() == []
    if not stays:
        assert at.notes[0].startswith("# pod/x-2-POD on ")
    at.close()
    at.until_empty()


def test_an_unread_failure_is_kept_and_the_next_attempt_does_the_work(at):
    words = failing(at)
    pod = killed(at, *words)
    at.go(pod)
    first = at.until_finished("Failed")["metadata"]["uid"]
    with at.running(words[2]) as verdicts:
        at.go()

    assert verdicts[0].reason is Reason.DONE
    notes = at.notes
    assert notes[0] == "# job/x-1 of an earlier run had failed"
    assert notes[1].startswith("# all that is known of it: ")
    assert notes[2].startswith("# pod/x-2-POD on ")
    assert at.words == "begun\nwell\n"
    (box,) = at.boxes()
    assert (box["job"]["metadata"]["uid"], box["verdict"]) == (first, None)
    assert list(box["logs"].values()) == ["begun\nno\n"]
    at.close()
    at.until_empty()


def test_numbers_grow_and_never_collide(at):
    numbers = []
    uids = set()
    for _ in range(4):
        at.sh("exit 65")
        job = max(at.jobs(), key=lambda job: int(job["metadata"]["labels"][names.ATTEMPT]))
        numbers.append(job["metadata"]["name"].rpartition("-")[2])
        uids.add(job["metadata"]["uid"])

    assert numbers == ["1", "2", "3", "4"]
    assert len(uids) == 4
    assert len(at.boxes()) == 4
    at.close()
    at.until_empty()


def test_a_job_that_is_being_deleted_is_not_adopted(at):
    pod = killed(at, *WAITING)
    # A finalizer keeps it in the state in which it is being deleted.
    job = at.job()["metadata"]["name"]
    hold = {"metadata": {"finalizers": ["tac/test"]}}
    at.client.patch("Job", job, hold)
    at.kubectl("delete", "job", job, "--wait=false")
    until(lambda: at.job()["metadata"].get("deletionTimestamp"), "the deletion")
    try:
        with at.running(WAITING[2]) as verdicts:
            at.go(at.pod(but_not=pod)["metadata"]["name"])
        assert verdicts[0].reason is Reason.DONE
        assert at.notes[0].startswith("# pod/x-2-POD on ")
    finally:
        at.client.patch("Job", job, {"metadata": {"finalizers": None}})


def test_another_job_of_the_same_name_is_left_alone(at, proxy):
    with at.running("echo on; sleep 600") as verdicts:
        at.pod()
        job = at.job()["metadata"]
        manifest = {
            "metadata": {"name": job["name"], "labels": job["labels"]},
            "spec": {
                "suspend": True,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [{"name": "step", "image": "nobody:none"}],
                    }
                },
            },
        }
        proxy.cut()  # two requests long: a driver that is told to stop waits for two seconds
        at.client.delete("Job", job["name"])
        other = at.client.create("Job", manifest)["metadata"]["uid"]
        at.stop.set()
        proxy.mend()

    assert verdicts[0].reason is Reason.STOPPED
    left = at.client.read("Job", job["name"])["metadata"]
    assert left["uid"] == other
    assert names.CANCELLED_BY not in left.get("annotations", {})
    at.kubectl("delete", "job", job["name"])


def test_drivers_that_want_the_same_share_one_job(at):
    runners = [at.new_runner() for _ in range(4)]
    output = at.path / "store" / "x.csv"
    output.parent.mkdir(exist_ok=True)
    verdicts = []

    def run(number: int) -> None:
        log = at.path / f"{number}.log"
        command = at.command(*WAITING, log=log, output=str(output))
        verdicts.append(runners[number].run(command, follow=ignore, stop=at.stop))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    logs = [at.path / f"{number}.log" for number in range(4)]
    until(lambda: all(log.exists() and "begun" in log.read_text() for log in logs), "all four", 90)
    output.touch()
    at.go()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    for runner in runners:
        runner.close()

    assert [verdict.reason for verdict in verdicts] == [Reason.DONE] * 4
    assert sum("# adopted job/" in log.read_text() for log in logs) == 3
    assert len(at.made_pods()) == 1
    at.until_empty()


def test_a_forked_process_has_a_connection_of_its_own_and_leaves_nothing(at):
    commands = [(f"x{number}", "", "sh", "-c", f"echo {number}") for number in range(3)]
    with at.driver(*commands, mode="forked") as driver:
        driver.wait(DEADLINE_SECONDS)

    for number in range(3):
        assert (at.path / f"x{number}.verdict").read_text().startswith(f"step/x{number}: done ")
        assert words_of(at.path / f"x{number}.log") == f"{number}\n"
    at.until_empty()


def test_a_process_that_was_forked_deletes_what_has_failed(at):
    with at.driver(("x", "", "sh", "-c", "echo so; exit 1"), mode="forked") as driver:
        driver.wait(DEADLINE_SECONDS)

    assert (at.path / "x.verdict").read_text().startswith("step/x: failed with exit code 1 ")
    assert len(at.boxes()) == 1
    at.until_empty()


@pytest.mark.parametrize("kind", ["job", "pod"])
def test_what_is_deleted_by_hand_is_lost_and_retried_once(at, kind):
    with at.running("echo on; trap 'exit 143' TERM; while :; do sleep 0.1; done") as verdicts:
        pod = at.pod()["metadata"]["name"]
        name = at.job()["metadata"]["name"] if kind == "job" else pod
        at.kubectl("delete", kind, name, "--wait=false")

    what = {"job": "job/x-1", "pod": "pod/x-1-POD"}[kind]
    assert message(verdicts[0]) == (
        f"step/x: lost after T s: {what} was deleted, by whom is not known\n"
        f"Hint: another driver or a person deleted it; log: {at.log}"
    )
    assert verdicts[0].reason is Reason.LOST
    assert [box["verdict"]["reason"] for box in at.boxes()] == ["lost"]
    at.close()
    at.until_empty()


class Waits(StepTask):
    """A task whose step waits, and whose output the test makes."""

    def output(self):
        return in_store("x.csv")

    def command(self):
        return WAITING


@contextmanager
def waiting_task(at: KubernetesPlace) -> Iterator[list[BaseException]]:
    """Run one; the list holds what it raised after the block."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            Waits().run()
        except BaseException as error:  # noqa: BLE001 # the test looks at it
            errors.append(error)

    with runners.using(at.new_runner()):
        thread = threading.Thread(target=run)
        thread.start()
        yield errors
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive(), "the task still runs"


def test_a_task_whose_job_is_deleted_by_hand_tries_once_more(at):
    with waiting_task(at) as errors:
        first = at.pod()["metadata"]["name"]
        at.kubectl("delete", "job", "--all", "--wait=false")
        second = at.pod(but_not=first)["metadata"]["name"]
        (at.path / "store" / "x.csv").touch()
        at.go(second)

    assert errors == []
    assert at.made_pods() == sorted([first, second])
    assert [box["verdict"]["reason"] for box in at.boxes()] == ["lost"]
    at.until_empty()


def test_a_task_whose_job_is_deleted_again_gives_up(at):
    with waiting_task(at) as errors:
        first = at.pod()["metadata"]["name"]
        at.kubectl("delete", "job", "--all", "--wait=false")
        at.pod(but_not=first)
        at.kubectl("delete", "job", "--all", "--wait=false")

    assert len(errors) == 1
    assert " was deleted, by whom is not known" in str(errors[0])
    assert len(at.boxes()) == 2
    at.until_empty()
