"""What is killed under a limit perhaps ran out of memory, unless the API says why it was."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tac.kubernetes.diagnosis.verdicts import conclude
from tac.kubernetes.place import Place
from tac.verdict import Phase, Reason
from tests.support import recordings
from tests.support.recordings import always_the_same

LOG = "/logs/x.log"
PLACE = Place("dc", "flights", "https://k.example")


def conclusion(found):
    return conclude(found, ("reading", "Error: this"), place=PLACE, log=LOG)


def killed(found, *, limit="64Mi"):
    """What a node that says `Error` tells of a container with a limit that was killed."""
    return replace(found, ending=replace(found.ending, memory_limit=limit))


def test_a_container_with_a_limit_that_was_killed_for_no_reason_perhaps_ran_out_of_memory():
    verdict = conclusion(killed(recordings.read("exit-137").diagnose()))

    assert (verdict.phase, verdict.reason) == (Phase.RUNNING, Reason.PERHAPS_OUT_OF_MEMORY)
    assert always_the_same(verdict.message("x")) == (
        "step/x: killed by exit code 137 (SIGKILL) in job/story-1 after T s, under a memory limit "
        "of 64Mi and for no reason that is given, perhaps out of memory: this\n"
        "Hint: if it ran out, give it more memory, in its task or by TAC_MEMORY (now 64Mi); "
        "if not, its node or a person killed it: "
        f"`kubectl --context dc --namespace flights events --for pod/POD`; log: {LOG}"
    )


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        ("pod-deleted-deaf", Reason.LOST),
        ("evicted-api", Reason.EVICTED),
        ("evicted-disk", Reason.OUT_OF_DISK),
        ("preempted", Reason.PREEMPTED),
        ("deadline", Reason.DEADLINE),
        ("cancelled", Reason.CANCELLED),
        ("job-deleted-stopped", Reason.LOST),
    ],
)
def test_a_kill_with_a_reason_in_the_api_is_not_taken_for_a_lack_of_memory(story, reason):
    recording = recordings.read(story)
    for pod in recording.pods:  # what was told to stop did not, and was killed under a limit
        pod["spec"]["containers"][0]["resources"] = {"limits": {"memory": "64Mi"}}
        for status in pod["status"].get("containerStatuses", ()):
            status["state"] = {"terminated": {**status["state"]["terminated"], "exitCode": 137}}

    assert conclusion(recording.diagnose(later_seconds=60)).reason is reason


@pytest.mark.parametrize(
    ("exit_code", "seconds", "reason"),
    [
        (137, 0, Reason.LOST),
        (137, 30, Reason.LOST),
        (137, -1, Reason.PERHAPS_OUT_OF_MEMORY),  # it had ended when it was deleted
        (1, 0, Reason.BUG),
    ],
)
def test_a_pod_that_was_deleted_by_force_was_killed_for_that(exit_code, seconds, reason):
    """Without a grace is deleted what runs, by force, and what has ended already."""
    recording = recordings.read("pod-deleted-deaf")
    (pod,) = recording.pods
    (container,) = pod["spec"]["containers"]
    container["resources"] = {"limits": {"memory": "64Mi"}}
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    ended["exitCode"] = exit_code
    told = datetime.fromisoformat(ended["finishedAt"]) - timedelta(seconds=seconds)
    pod["metadata"]["deletionTimestamp"] = told.isoformat()
    pod["metadata"]["deletionGracePeriodSeconds"] = 0

    assert conclusion(recording.diagnose()).reason is reason
