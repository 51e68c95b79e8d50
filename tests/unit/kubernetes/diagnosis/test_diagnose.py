"""Every story that a real cluster told (tests/support/record.py), and what it is taken for."""

from dataclasses import replace

import pytest

from tac.exits import Ending
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage
from tac.verdict import Reason
from tests.support import recordings
from tests.support.diagnoses import (
    ACTOR,
    STOPPED,
    asked,
    big,
    cut_short,
    ended,
    gone,
    image,
    no_pod,
    running,
    scheduling,
    starting,
    without_chance,
)

REFUSED = "unexpected status from HEAD request to http://127.0.0.1:5999/v2/{}/nobody/manifests/made"
NOBODY = "127.0.0.1:9/nobody:made"
NO_ANSWER = (
    'failed to do request: Head "https://127.0.0.1:9/v2/nobody/manifests/made": '
    "dial tcp 127.0.0.1:9: connect: connection refused"
)
MOUNT = 'MountVolume.SetUp failed for volume "data" : '
SECURITY = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "main" '
    "must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
    '(container "main" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true '
    '(pod or container "main" must set securityContext.runAsNonRoot=true), seccompProfile (pod or '
    'container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")'
)
OVERHEAD = 'daemonset overhead={"cpu":"180m","memory":"504Mi","pods":"4"}'
NO_NODE = "Insufficient memory; the autoscaler adds no node: "

STORIES = {
    "succeeded": ended(0),
    "succeeded-job": ended(0),
    "succeeded-deleted": ended(0),
    "succeeded-just-deleted": ended(0),
    "succeeded-pod-deleted": Diagnosis(stage=Stage.ENDED, ending=Ending(exit_code=0)),
    "running": running(),
    "exit-1": ended(1),
    "exit-1-job": ended(1),
    "exit-2": ended(2),
    "exit-65": ended(65),
    "exit-75": ended(75),
    "exit-137": ended(137),
    "exit-143": ended(143),
    "oom-killed": ended(137, oom_killed=True, memory_limit="64Mi"),
    "oom-killed-child": ended(1, oom_killed=True, memory_limit="64Mi"),
    # Images.
    "pulling": image('Pulling image "198.51.100.1/nobody:made"', "198.51.100.1/nobody:made"),
    "err-image-pull": image(NO_ANSWER, NOBODY),
    "image-pull-back-off": image(NO_ANSWER, NOBODY),
    "registry-busy": image(
        f"{REFUSED.format(429)}: 429 Too Many Requests", "127.0.0.1:5999/429/nobody:made"
    ),
    "registry-broken": image(
        f"{REFUSED.format(503)}: 503 Service Unavailable", "127.0.0.1:5999/503/nobody:made"
    ),
    "image-unauthorized": image(
        f"{REFUSED.format(401)}: 401 Unauthorized",
        "127.0.0.1:5999/401/nobody:made",
        permanent=True,
    ),
    "image-denied": image(
        f"{REFUSED.format(403)}: 403 Forbidden denied: denied",
        "127.0.0.1:5999/403/nobody:made",
        permanent=True,
    ),
    "image-not-found": image(
        "127.0.0.1:5999/404/nobody:made: not found",
        "127.0.0.1:5999/404/nobody:made",
        permanent=True,
    ),
    "err-image-never-pull": image(
        'Container image "docker.io/library/nobody:made" is not present with pull policy of Never',
        "docker.io/library/nobody:made",
        permanent=True,
    ),
    "invalid-image-name": image(
        'Failed to apply default image tag "No/Such:a:name": '
        "couldn't parse image name "
        '"No/Such:a:name": invalid reference format: repository name (Such) must be lowercase',
        "No/Such:a:name",
        permanent=True,
    ),
    # What a container needs and is not there.
    "missing-secret": starting('secret "keys" not found', permanent=True),
    "missing-secret-key": starting(
        "couldn't find key nothing in Secret tac-story-missing-secret-key/keys", permanent=True
    ),
    "missing-secret-volume": Diagnosis(
        stage=Stage.STARTING, detail=f'{MOUNT}secret "keys" not found', permanent=True
    ),
    "missing-config-map": starting('configmap "settings" not found', permanent=True),
    "run-as-root": starting(
        "container has runAsNonRoot and image will run as root", permanent=True
    ),
    "missing-program": replace(
        ended(128),
        reason=Reason.CANNOT_START,
        detail='exec: "/nothing": stat /nothing: no such file or directory',
    ),
    # No node.
    "unschedulable-memory": big("Insufficient memory"),
    "unschedulable-processors": scheduling("Insufficient cpu", cpu="400"),
    "unschedulable-selector": scheduling("node(s) didn't match Pod's node affinity/selector"),
    "unschedulable-volume": scheduling('persistentvolumeclaim "data" not found'),
    "scheduling-gated": scheduling(
        "Scheduling is blocked due to non-empty scheduling gates", makes_progress=True
    ),
    "refused-by-node": cut_short(
        Reason.EVICTED,
        "node/NODE: Pod was rejected: Node didn't have enough resource: memory, "
        "requested: 4398046511104, used: 0, capacity: 25171644416",
        ending=None,
    ),
    "autoscaler-brings-a-node": big(
        "Insufficient memory; the autoscaler: pod triggered scale-up: [{workers 2->3 (max: 5)}]",
        makes_progress=True,
    ),
    "autoscaler-brought-none": big("Insufficient memory"),
    "autoscaler-cannot": big(
        f"{NO_NODE}2 Insufficient memory, 1 node(s) had untolerated taint {{gpu: true}}",
        permanent=True,
    ),
    "autoscaler-cannot-any-more": big(f"{NO_NODE}1 in backoff after failed scale-up"),
    "autoscaler-at-its-largest": big(
        f"{NO_NODE}1 Insufficient memory, 1 max node group size reached"
    ),
    "autoscaler-without-a-reason": big("Insufficient memory; the autoscaler adds no node:"),
    "karpenter-brings-a-node": big(
        "Insufficient memory; the autoscaler: Pod should schedule on: nodeclaim/default-x7k2p",
        makes_progress=True,
    ),
    "karpenter-cannot": big(
        f'{NO_NODE}incompatible with nodepool "arm", {OVERHEAD}, did not tolerate '
        f'arch=arm64:NoSchedule; incompatible with nodepool "default", {OVERHEAD}, no instance '
        "type has enough resources",
        permanent=True,
    ),
    "karpenter-at-its-limit": big(
        f'{NO_NODE}incompatible with nodepool "arm", {OVERHEAD}, did not tolerate '
        "arch=arm64:NoSchedule; all available instance types exceed limits for nodepool "
        '"default"'
    ),
    # No pod.
    "suspended": no_pod("Job suspended", makes_progress=True),
    "quota-used-up": asked(
        "exceeded quota: memory, requested: requests.memory=64Mi, used: requests.memory=64Mi, "
        "limited: requests.memory=100Mi",
        makes_progress=True,
    ),
    "quota-too-small": asked(
        "exceeded quota: memory, requested: requests.memory=64Mi, used: requests.memory=0, "
        "limited: requests.memory=10Mi",
        permanent=True,
    ),
    "quota-wants-requests": asked(
        "failed quota: memory: must specify requests.memory for: main", memory="", permanent=True
    ),
    "limit-range": asked(
        "maximum memory usage per Container is 10Mi, but limit is 64Mi", permanent=True
    ),
    "pod-security": asked(SECURITY, memory="", permanent=True),
    "missing-priority": asked(
        "no PriorityClass with name nobody was found", memory="", permanent=True
    ),
    # The one of a new namespace comes a moment later by itself.
    "missing-service-account": asked(
        "error looking up service account tac-story-missing-service-account/nobody: "
        'serviceaccount "nobody" not found',
        memory="",
    ),
    # The platform's doing, and a limit of the step's own.
    "evicted-api": cut_short(Reason.EVICTED, "node/NODE: Eviction API: evicting"),
    "preempted": cut_short(
        Reason.PREEMPTED,
        "node/NODE: default-scheduler: preempting to accommodate a higher priority pod",
    ),
    "evicted-disk": cut_short(
        Reason.OUT_OF_DISK,
        "node/NODE: Pod ephemeral local storage usage exceeds the total limit of containers 10Mi.",
    ),
    "evicted-volume": cut_short(
        Reason.OUT_OF_DISK, 'node/NODE: Usage of EmptyDir volume "data" exceeds the limit "10Mi".'
    ),
    "node-lost": running("terminating"),
    "node-lost-at-start": running("terminating"),
    # Somebody's doing.
    "pod-being-deleted": running("terminating"),
    "pod-deleted": gone("pod/POD"),
    "pod-deleted-deaf": gone("pod/POD", replace(STOPPED, exit_code=137)),
    "pod-deleted-job": gone("the pod of job/story-1", None),
    "job-deleted": running(),
    "job-deleted-stopped": gone("job/story-1"),
    "job-deleted-foreground": gone("job/story-1"),
    "job-deleted-pod-gone": gone("job/story-1", None),
    "job-orphaned": running(),
    "cancelled": cut_short(Reason.CANCELLED, "host-7", stage=Stage.DELETED),
    "deadline": cut_short(Reason.DEADLINE, "its activeDeadlineSeconds is 2"),
    "deadline-job": cut_short(Reason.DEADLINE, "its activeDeadlineSeconds is 2", None),
    "deadline-of-pod": cut_short(Reason.DEADLINE, "the activeDeadlineSeconds of its pod is 2"),
    # Several containers.
    "init-runs": replace(
        starting("init container prepare runs", makes_progress=True), container="prepare"
    ),
    "init-fails": ended(3, "prepare"),
    "native-sidecar": ended(0, "main"),
    "sidecar-goes-on": ended(3, "main"),
    "sidecar-fails": ended(4, "proxy"),
    "one-of-two-done": running(),
    # Kubernetes tries again by itself.
    "job-tries-again": running("pod/POD failed with exit code 1, and the Job may make another"),
    "job-gave-up": ended(1),
    "crash-loop": replace(
        running("failed with exit code 1, is started again in a while"),
        container="main",
        image=ACTOR,
    ),
    "failure-policy": ended(3),
}


@pytest.mark.parametrize("story", STORIES)
def test_each_story_has_its_diagnosis(story):
    assert without_chance(recordings.read(story).diagnose()) == STORIES[story]


def test_every_recorded_story_has_a_row():
    assert recordings.names() == set(STORIES)


@pytest.mark.parametrize("story", STORIES)
def test_a_diagnosis_names_the_job_and_its_pod_and_node(story):
    recording = recordings.read(story)
    found = recording.diagnose()
    pods = {(pod["metadata"]["name"], pod["spec"].get("nodeName", "")) for pod in recording.pods}

    assert found.job == "story-1"
    assert (found.pod, found.node) in (pods or {("", "")})


@pytest.mark.parametrize("story", STORIES)
def test_without_events_nothing_is_over_that_was_not_and_nothing_else_succeeds(story):
    recording = recordings.read(story)
    found, blind = recording.diagnose(), replace(recording, events=[]).diagnose()

    assert (blind.over, blind.reason, blind.ending) == (found.over, found.reason, found.ending)
