"""What a recorded story turns into when it goes on, or when one thing in it is another."""

import copy
from dataclasses import replace

import pytest

from tac.kubernetes.diagnosis.diagnose import diagnose
from tac.kubernetes.diagnosis.stage import STAGE_TIMEOUT_SECONDS, Diagnosis, Stage
from tac.verdict import Reason
from tests.support import recordings
from tests.support.diagnoses import STOPPED, big, cut_short, ended, gone, no_pod, without_chance

# What becomes of a story when nothing more is heard.


@pytest.mark.parametrize("story", ["node-lost", "node-lost-at-start"])
def test_a_pod_past_its_grace_period_without_an_end_is_lost_with_its_node(story):
    found = recordings.read(story).diagnose(later_seconds=60)

    assert without_chance(found) == Diagnosis(
        stage=Stage.NODE_SILENT,
        reason=Reason.NODE_LOST,
        detail="node/NODE: it does not answer, its pod was to terminate by TIME",
    )


def test_a_pod_that_was_deleted_by_hand_on_a_lost_node_is_lost_too():
    found = recordings.read("pod-being-deleted").diagnose(later_seconds=60)

    assert (found.stage, found.reason) == (Stage.NODE_SILENT, Reason.NODE_LOST)


def test_a_job_that_was_deleted_on_a_lost_node_is_deleted():
    recording = recordings.read("pod-being-deleted")

    found = replace(recording, job=None, was=recording.job).diagnose(later_seconds=60)

    assert without_chance(found) == gone("job/story-1", None)


def test_who_cancelled_a_job_is_known_after_it_was_deleted_with_its_pod():
    recording = recordings.read("cancelled")

    found = replace(recording, job=None, was=recording.job, pods=[]).diagnose()

    assert without_chance(found) == cut_short(Reason.CANCELLED, "host-7", None, Stage.DELETED)


def test_a_job_that_was_never_seen_does_not_exist():
    found = replace(recordings.read("running"), job=None, pods=[], events=[]).diagnose()

    assert (found.stage, found.reason) == (Stage.DELETED, Reason.LOST)


def test_a_job_that_was_made_just_now_waits_for_its_pod():
    recording = replace(recordings.read("quota-used-up"), events=[])

    assert without_chance(recording.diagnose()) == no_pod()


def test_a_pod_that_was_made_just_now_waits_for_a_node():
    recording = copy.deepcopy(recordings.read("unschedulable-memory"))
    recording.pods[0]["status"] = {"phase": "Pending"}

    assert without_chance(replace(recording, events=[]).diagnose()) == big("")


def test_a_pod_that_its_node_prepares_without_a_word_of_trouble_starts():
    recording = copy.deepcopy(recordings.read("missing-secret-volume"))
    recording.pods[0]["status"]["conditions"] = []

    assert without_chance(replace(recording, events=[]).diagnose()) == Diagnosis(
        stage=Stage.STARTING
    )


def test_a_pod_that_its_node_has_not_seen_yet_starts():
    recording = copy.deepcopy(recordings.read("running"))
    recording.pods[0]["status"] = {"phase": "Pending"}

    assert without_chance(replace(recording, events=[]).diagnose()) == Diagnosis(
        stage=Stage.STARTING
    )


# What this cluster could not be brought to say; each changes one thing in a recording.


def changed(story, change):
    recording = copy.deepcopy(recordings.read(story))
    change(recording.pods[0])
    return without_chance(recording.diagnose())


@pytest.mark.parametrize("reason", ["ContainerStatusUnknown", "Unknown"])
def test_a_container_that_its_node_has_forgotten_is_lost_with_it(reason):
    def forget(pod):
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = reason

    assert changed("exit-137", forget) == cut_short(
        Reason.NODE_LOST,
        "node/NODE: it does not know how the pod ended",
        replace(STOPPED, exit_code=137),
    )


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("TerminationByKubelet", Reason.EVICTED),
        ("DeletionByTaintManager", Reason.EVICTED),
        ("DeletionByPodGC", Reason.NODE_LOST),
        ("SomethingNew", Reason.EVICTED),
    ],
)
def test_whoever_disturbs_a_pod_says_so_in_its_condition(condition, reason):
    def disturb(pod):
        held = pod["status"]["conditions"]
        next(each for each in held if each["type"] == "DisruptionTarget")["reason"] = condition

    assert changed("evicted-api", disturb) == cut_short(reason, "node/NODE: Eviction API: evicting")


def test_a_pod_that_an_overloaded_node_has_evicted_says_what_it_lacked():
    def press(pod):
        pod["status"]["message"] = "The node was low on resource: memory. "

    assert changed("evicted-disk", press) == cut_short(
        Reason.EVICTED, "node/NODE: The node was low on resource: memory."
    )


def test_a_pod_that_failed_without_a_word_says_that_there_is_none():
    def forget(pod):
        pod["status"] = {"phase": "Failed"}

    assert changed("exit-1", forget) == cut_short(
        Reason.EVICTED, "node/NODE: it does not say why", None
    )


def test_a_failure_before_the_pod_was_terminating_is_its_own():
    def end_earlier(pod):
        state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        state["exitCode"], state["finishedAt"] = 1, "2020-01-01T00:00:00Z"

    assert changed("evicted-api", end_earlier) == ended(1)


def test_a_success_within_the_second_in_which_its_pod_was_deleted_is_none():
    def succeed(pod):
        state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        end = pod["metadata"]["deletionTimestamp"]
        state["exitCode"], state["finishedAt"] = 0, end

    assert changed("pod-deleted", succeed) == gone("pod/POD", replace(STOPPED, exit_code=0))


def test_an_image_that_is_called_forbidden_may_still_come():
    def call(pod):
        name = "127.0.0.1:9/forbidden:not-found"
        pod["spec"]["containers"][0]["image"] = name
        waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
        waiting["message"] = f"{name}: i/o timeout"

    found = changed("image-not-found", call)

    assert (found.stage, found.permanent) == (Stage.IMAGE, False)


def test_a_registry_that_refuses_once_is_asked_again():
    recording = copy.deepcopy(recordings.read("image-not-found"))
    for event in recording.events:
        event["count"] = 1

    assert not recording.diagnose().permanent


def test_the_certificates_that_a_new_namespace_gets_in_a_moment_are_no_missing_config_map():
    recording = copy.deepcopy(recordings.read("missing-secret-volume"))
    for event in recording.events:
        event["message"] = event["message"].replace('secret "keys"', 'configmap "kube-root-ca.crt"')

    assert without_chance(recording.diagnose()) == Diagnosis(stage=Stage.STARTING)


def test_several_causes_are_counted():
    def say(pod):
        pod["status"]["conditions"][0]["message"] = (
            "0/5 nodes are available: 1 node(s) had untolerated taint {a.b/c: d}, 2 Insufficient "
            "cpu, 2 Insufficient memory. preemption: 0/5 nodes are available: 5 No preemption "
            "victims found for incoming pod."
        )

    assert changed("unschedulable-memory", say) == big(
        "1 node(s) had untolerated taint {a.b/c: d}, 2 Insufficient cpu, 2 Insufficient memory"
    )


@pytest.mark.parametrize(
    ("wanted", "had", "permanent"),
    [
        ("requests.cpu=500m", "requests.cpu=1", False),
        ("requests.cpu=1500m", "requests.cpu=1", True),
        ("pods=1,requests.memory=1Gi", "pods=10,requests.memory=1000Mi", True),
        ("pods=1,requests.memory=1G", "pods=10,requests.memory=1Gi", False),
        ("count/jobs.batch=1", "count/jobs.batch=1k", False),
        ("requests.memory=1Gi", "requests.memory=2e9", False),  # not read: it may fit
    ],
)
def test_a_quota_that_is_too_small_for_one_pod_is_not_waited_for(wanted, had, permanent):
    recording = copy.deepcopy(recordings.read("quota-used-up"))
    for event in recording.events:
        event["message"] = (
            f'Error creating: pods "x" is forbidden: exceeded quota: all, requested: {wanted}, '
            f"used: {had}, limited: {had}"
        )

    found = recording.diagnose()

    assert (found.permanent, found.makes_progress) == (permanent, not permanent)


def test_of_several_pods_the_one_that_succeeded_counts_else_the_last():
    good, bad = recordings.read("succeeded"), recordings.read("job-gave-up")
    pods = [*bad.pods, *good.pods]

    found = diagnose(bad.job, pods, [], now=bad.now)

    assert (found.pod, found.ending and found.ending.exit_code) == (
        good.pods[0]["metadata"]["name"],
        0,
    )
    assert (
        bad.diagnose().pod
        == max(bad.pods, key=lambda pod: pod["metadata"]["creationTimestamp"])["metadata"]["name"]
    )


def test_only_pending_stages_have_a_timeout():
    assert set(STAGE_TIMEOUT_SECONDS) == {
        Stage.NO_POD,
        Stage.SCHEDULING,
        Stage.IMAGE,
        Stage.STARTING,
    }
