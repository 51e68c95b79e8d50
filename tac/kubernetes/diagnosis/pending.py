"""Why a pod is not there yet, or does not run yet, and whether waiting can help."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tac.errors import cut
from tac.kubernetes.diagnosis.autoscaler import ScaleUp, scale_up_of
from tac.kubernetes.diagnosis.pod_status import ContainerStatus, containers_of
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage
from tac.kubernetes.objects import condition_of, time_of
from tac.quantities import amounts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

from tac.kubernetes.objects import Object

# What the kubelet waits for where it is the image: pkg/kubelet/images/types.go.
_IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
_HOPELESS_IMAGE_REASONS = {"ErrImageNeverPull", "InvalidImageName"}

# What a registry answers when it is well, and does not have the image or does not give it to us.
# Once is not enough: a mirror may fetch it first, and a node's right to ask may come late.
_REFUSED = re.compile(
    r"not found|manifest unknown|repository does not exist|access denied|authorization failed"
    r"|unauthorized|forbidden",
    re.IGNORECASE,
)
_REFUSALS = 2

_BACKS_OFF = "CrashLoopBackOff"

# Every namespace gets this ConfigMap, a moment after it is made.
_COMES_BY_ITSELF = "kube-root-ca.crt"
_NOT_THERE = re.compile(r"(?:secret|configmap) \"(?P<name>[^\"]+)\" not found")
_HOPELESS_CONFIG = re.compile(
    _NOT_THERE.pattern + r"|couldn't find key|runAsNonRoot|no command specified"
)

_NEVER_ADMITTED = re.compile(
    r"violates PodSecurity|must specify|(?:maximum|minimum) \S+ usage|no PriorityClass"
)
_QUOTA = re.compile(r"exceeded quota: [^,]+, requested: (?P<want>\S+), .*limited: (?P<have>\S+)")
_FORBIDDEN = re.compile(r"Error creating: (?:pods \S+ is forbidden: )?")
_FORM_OF_A_REFUSAL = re.compile(
    r"^(?:Back-off pulling image \S+: )?(?:ErrImagePull: )?(?:rpc error: code = \w+ desc = )?"
    r"(?:failed to pull and unpack image \S+: )?(?:failed to resolve (?:image|reference \S+): )?"
    r"|(?<=image will run as root) \(pod: .*\)$"
)
_NODES = re.compile(r"\d+/\d+ nodes are available: ")
_COUNTED = re.compile(r", (?=\d+ )")


def seen_at(event: Object) -> datetime:
    """Return when an event was last seen."""
    series = event.get("series") or {}
    text = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return time_of(text or event["metadata"].get("creationTimestamp")) or datetime.min.replace(
        tzinfo=UTC
    )


def count_of(event: Object) -> int:
    """Return how often an event was seen."""
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def diagnose_without_pod(job: Object, events: Sequence[Object]) -> Diagnosis:
    """Tell why an unfinished Job has no pod yet; the events are its own."""
    if suspended := condition_of(job, "Suspended"):
        # A queue such as Kueue holds it, or a person: both let it go when it is its turn.
        return Diagnosis(stage=Stage.NO_POD, detail=cut(suspended["message"]), makes_progress=True)
    refused = [event for event in events if event["reason"] == "FailedCreate"]
    if not refused:
        return Diagnosis(stage=Stage.NO_POD)
    message = max(refused, key=seen_at)["message"]
    text = cut(_FORBIDDEN.sub("", message, count=1))
    found = _of(_main(job["spec"]["template"]), Diagnosis(stage=Stage.NO_POD, detail=text))
    if (fits := fits_quota(message)) is not None:
        # What uses it up ends at some time: until then the Job controller asks again.
        return replace(found, makes_progress=fits, hopeless=not fits)
    return replace(found, hopeless=bool(_NEVER_ADMITTED.search(message)))


def fits_quota(message: str) -> bool | None:
    """Whether what a quota has refused would be taken if nothing else were there.

    None: the refusal is of another kind.
    """
    quota = _QUOTA.search(message)
    return _fits(_amounts(quota["want"]), _amounts(quota["have"])) if quota else None


def _amounts(text: str) -> dict[str, int]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return amounts_of({name: amount for name, _, amount in pairs})


def _fits(want: Mapping[str, int], have: Mapping[str, int]) -> bool:
    return all(amount <= have.get(name, amount) for name, amount in want.items())


def diagnose_pending(pod: Object, events: Sequence[Object], now: datetime) -> Diagnosis:
    """Tell how far a pod is that nobody told to go; the events are its own."""
    if not pod["spec"].get("nodeName"):
        return _without_node(pod, events, now)
    containers = containers_of(pod)
    if any(_runs(container) for container in containers if not container.initial):
        return _running(containers)
    for container in containers:
        waiting = container.state("waiting")
        if waiting is not None and not _only_waits_its_turn(waiting):
            if _is_restarted(container, waiting):
                return _failing(container, Stage.STARTING)
            return _stuck(container, waiting, events)
        if container.state("running") is not None and not container.sidecar:
            text = f"init container {container.name} runs"
            return _of(container, Diagnosis(stage=Stage.STARTING, detail=text, makes_progress=True))
    return _being_prepared(containers, events)


def _runs(container: ContainerStatus) -> bool:
    # Also between two runs, where it is started again when it has failed.
    begun = container.state("running") is not None or container.state("terminated") is not None
    return begun or "terminated" in (container.status.get("lastState") or {})


def _running(containers: Sequence[ContainerStatus]) -> Diagnosis:
    for container in containers:
        waiting = container.state("waiting")
        if waiting is not None and waiting.get("reason") == _BACKS_OFF:
            return _failing(container, Stage.RUNNING)
    return Diagnosis(stage=Stage.RUNNING)


def _is_restarted(container: ContainerStatus, waiting: Object) -> bool:
    """Whether the Job's backoffLimit ends it, and nobody's patience; sidecars it does not count."""
    return waiting.get("reason") == _BACKS_OFF and not container.sidecar


def _failing(container: ContainerStatus, stage: Stage) -> Diagnosis:
    last = container.status["lastState"]["terminated"]
    text = f"failed with exit code {last['exitCode']}, is started again in a while"
    return _of(
        container, Diagnosis(stage=stage, detail=text, makes_progress=stage is Stage.STARTING)
    )


def _of(container: ContainerStatus, diagnosis: Diagnosis) -> Diagnosis:
    return replace(
        diagnosis,
        container=container.name,
        image=str(container.spec.get("image", "")),
        memory=container.amount("memory"),
        cpu=container.amount("cpu"),
    )


def _main(pod: Object) -> ContainerStatus:
    """Return the container that a pod is made for, of a template too."""
    return next(container for container in containers_of(pod) if not container.initial)


# No node.


def _without_node(pod: Object, events: Sequence[Object], now: datetime) -> Diagnosis:
    condition = _not_scheduled(pod)
    text = cut(_shortage(str(condition.get("message", ""))))
    found = _of(_main(pod), Diagnosis(stage=Stage.SCHEDULING, detail=text))
    if condition.get("reason") == "SchedulingGated":
        return replace(found, makes_progress=True)  # a queue holds it until it is its turn
    answer, said = scale_up_of([(seen_at(event), event) for event in events], now)
    if answer is ScaleUp.NOTHING:
        return found
    return replace(
        found,
        detail=cut(f"{text}; {said}"),
        makes_progress=answer is ScaleUp.COMES,
        hopeless=answer is ScaleUp.NEVER,
    )


def _not_scheduled(pod: Object) -> Object:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return dict(condition)
    return {}


def _shortage(message: str) -> str:
    """Leave of the scheduler's words what is missing, and where that differs on how many nodes."""
    causes = _COUNTED.split(_NODES.sub("", message, count=1).partition(". ")[0].rstrip("."))
    return re.sub(r"^\d+ ", "", causes[0]) if len(causes) == 1 else ", ".join(causes)


# A node, and no program yet.


def _only_waits_its_turn(waiting: Object) -> bool:
    return waiting.get("reason") in {"ContainerCreating", "PodInitializing", None}


def _stuck(container: ContainerStatus, waiting: Object, events: Sequence[Object]) -> Diagnosis:
    reason, message = str(waiting["reason"]), str(waiting.get("message", ""))
    text = cut(_FORM_OF_A_REFUSAL.sub("", message) or reason)
    if reason in _IMAGE_REASONS:
        hopeless = reason in _HOPELESS_IMAGE_REASONS or (
            _is_refused(container, message) and _pulls(container, events) >= _REFUSALS
        )
        return _of(container, Diagnosis(stage=Stage.IMAGE, detail=text, hopeless=hopeless))
    hopeless = bool(_HOPELESS_CONFIG.search(message))
    return _of(container, Diagnosis(stage=Stage.STARTING, detail=text, hopeless=hopeless))


def _is_refused(container: ContainerStatus, message: str) -> bool:
    # An image may be called what it likes.
    without_name = message.replace(str(container.spec.get("image", "")), "")
    return bool(_REFUSED.search(without_name))


def _pulls(container: ContainerStatus, events: Sequence[Object]) -> int:
    return sum(count_of(event) for event in events if _is_its_pull(event, container))


def _is_its_pull(event: Object, container: ContainerStatus) -> bool:
    image = f'"{container.spec.get("image")}"'
    return event["reason"] == "Pulling" and image in event["message"]


def _being_prepared(containers: Sequence[ContainerStatus], events: Sequence[Object]) -> Diagnosis:
    pulls = [event for event in events if event["reason"] in {"Pulling", "Pulled", "Failed"}]
    last = max(pulls, key=seen_at, default=None)
    for container in containers:
        if last is not None and _is_its_pull(last, container):
            return _of(container, Diagnosis(stage=Stage.IMAGE, detail=cut(last["message"])))
    warnings = [event for event in events if _matters(event)]
    if not warnings:
        return Diagnosis(stage=Stage.STARTING)
    message = str(max(warnings, key=seen_at)["message"])
    hopeless = bool(_NOT_THERE.search(message))
    return Diagnosis(stage=Stage.STARTING, detail=cut(message), hopeless=hopeless)


def _matters(event: Object) -> bool:
    # What the scheduler said is of before; the node does what it says now.
    old = event["reason"] == "FailedScheduling"
    return event.get("type") == "Warning" and not old and _COMES_BY_ITSELF not in event["message"]
