"""Why a pod is pending: not created, unschedulable, without its image, or not started.

And whether waiting can help. Look here by kubectl's word: `diagnose_without_pod` (Suspended,
FailedCreate, exceeded quota), `_unschedulable` (FailedScheduling, SchedulingGated, scale-up),
`_waiting` (ErrImagePull, ImagePullBackOff, CreateContainerConfigError), `_restarting`
(CrashLoopBackOff), `_creating` (ContainerCreating, FailedMount). Pure.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tac.errors import cut
from tac.kubernetes.diagnosis import server_words
from tac.kubernetes.diagnosis.autoscaler import ScaleUp, scale_up_of
from tac.kubernetes.diagnosis.pod_status import PodContainer, containers_of
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage
from tac.kubernetes.objects import Object, condition_of, time_of
from tac.quantities import parse_quantities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REFUSALS = 2
"""How often a registry has to refuse an image: a mirror may fetch it first, and a node's right to
pull may come late."""


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
    text = cut(server_words.CREATE_PREFIX.sub("", message, count=1))
    found = _of(_main(job["spec"]["template"]), Diagnosis(stage=Stage.NO_POD, detail=text))
    if (fits := fits_quota(message)) is not None:
        # The pods that use it up end at some time: until then the Job controller tries again.
        return replace(found, makes_progress=fits, permanent=not fits)
    permanent = server_words.matches_any(server_words.NEVER_ADMITTED, message)
    return replace(found, permanent=permanent)


def fits_quota(message: str) -> bool | None:
    """Whether what exceeded a quota would fit in it if nothing else were there.

    None: the message is of no quota.
    """
    quota = server_words.QUOTA_AMOUNTS.search(message)
    return _fits(_amounts(quota[1]), _amounts(quota[2])) if quota else None


def _amounts(text: str) -> dict[str, int]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return parse_quantities({name: amount for name, _, amount in pairs})


def _fits(requested: Mapping[str, int], limited: Mapping[str, int]) -> bool:
    return all(amount <= limited.get(name, amount) for name, amount in requested.items())


def diagnose_pending(pod: Object, events: Sequence[Object], now: datetime) -> Diagnosis:
    """Tell how far a pod is that is not terminating; the events are its own."""
    if not pod["spec"].get("nodeName"):
        return _unschedulable(pod, events, now)
    containers = containers_of(pod)
    if any(_runs(container) for container in containers if not container.initial):
        return _running(containers)
    for container in containers:
        waiting = container.state("waiting")
        if waiting is not None and not _waits_its_turn(waiting):
            if _is_restarted(container, waiting):
                return _restarting(container, Stage.STARTING)
            return _waiting(container, waiting, events)
        if container.state("running") is not None and not container.sidecar:
            text = f"init container {container.name} runs"
            return _of(container, Diagnosis(stage=Stage.STARTING, detail=text, makes_progress=True))
    return _creating(containers, events)


def _runs(container: PodContainer) -> bool:
    # Also between two runs of a container that is restarted.
    begun = container.state("running") is not None or container.state("terminated") is not None
    return begun or "terminated" in (container.status.get("lastState") or {})


def _running(containers: Sequence[PodContainer]) -> Diagnosis:
    for container in containers:
        waiting = container.state("waiting")
        if waiting is not None and waiting.get("reason") == server_words.CRASH_LOOP_REASON:
            return _restarting(container, Stage.RUNNING)
    return Diagnosis(stage=Stage.RUNNING)


def _is_restarted(container: PodContainer, waiting: Object) -> bool:
    """Whether the Job's backoffLimit ends it, and no timeout; sidecars it does not count."""
    return waiting.get("reason") == server_words.CRASH_LOOP_REASON and not container.sidecar


def _restarting(container: PodContainer, stage: Stage) -> Diagnosis:
    last = container.status["lastState"]["terminated"]
    text = f"failed with exit code {last['exitCode']}, is started again in a while"
    return _of(
        container, Diagnosis(stage=stage, detail=text, makes_progress=stage is Stage.STARTING)
    )


def _of(container: PodContainer, diagnosis: Diagnosis) -> Diagnosis:
    return replace(
        diagnosis,
        container=container.name,
        image=str(container.spec.get("image", "")),
        memory=container.amount("memory"),
        cpu=container.amount("cpu"),
    )


def _main(pod: Object) -> PodContainer:
    """Return the container that a pod is made for, of a template too."""
    return next(container for container in containers_of(pod) if not container.initial)


# Unschedulable.


def _unschedulable(pod: Object, events: Sequence[Object], now: datetime) -> Diagnosis:
    condition = condition_of(pod, "PodScheduled", "False") or {}
    text = cut(_shortage(str(condition.get("message", ""))))
    found = _of(_main(pod), Diagnosis(stage=Stage.SCHEDULING, detail=text))
    if condition.get("reason") == "SchedulingGated":
        return replace(found, makes_progress=True)  # a queue holds it until it is its turn
    scale_up, said = scale_up_of([(seen_at(event), event) for event in events], now)
    if scale_up is ScaleUp.NO_EVENT:
        return found
    return replace(
        found,
        detail=cut(f"{text}; {said}"),
        makes_progress=scale_up is ScaleUp.TRIGGERED,
        permanent=scale_up is ScaleUp.IMPOSSIBLE,
    )


def _shortage(message: str) -> str:
    """Keep of the scheduler's message what is missing, and on how many nodes where that differs."""
    why = server_words.NODES_AVAILABLE.sub("", message, count=1).partition(". ")[0].rstrip(".")
    causes = server_words.NEXT_NODE_COUNT.split(why)
    return re.sub(r"^\d+ ", "", causes[0]) if len(causes) == 1 else ", ".join(causes)


# Scheduled, and not started yet.


def _waits_its_turn(waiting: Object) -> bool:
    return waiting.get("reason") in {*server_words.TURN_REASONS, None}


def _waiting(container: PodContainer, waiting: Object, events: Sequence[Object]) -> Diagnosis:
    reason, message = str(waiting["reason"]), str(waiting.get("message", ""))
    text = cut(server_words.WAITING_FORM.sub("", message) or reason)
    if reason in server_words.IMAGE_REASONS:
        permanent = reason in server_words.PERMANENT_IMAGE_REASONS or (
            _is_refused(container, message) and _pulls(container, events) >= _REFUSALS
        )
        return _of(container, Diagnosis(stage=Stage.IMAGE, detail=text, permanent=permanent))
    permanent = server_words.matches_any(server_words.NEVER_CONFIGURED, message)
    return _of(container, Diagnosis(stage=Stage.STARTING, detail=text, permanent=permanent))


def _is_refused(container: PodContainer, message: str) -> bool:
    # An image may be called what it likes.
    without_name = message.replace(str(container.spec.get("image", "")), "")
    return bool(server_words.IMAGE_REFUSED.search(without_name))


def _pulls(container: PodContainer, events: Sequence[Object]) -> int:
    return sum(count_of(event) for event in events if _is_its_pull(event, container))


def _is_its_pull(event: Object, container: PodContainer) -> bool:
    image = f'"{container.spec.get("image")}"'
    return event["reason"] == "Pulling" and image in event["message"]


def _creating(containers: Sequence[PodContainer], events: Sequence[Object]) -> Diagnosis:
    pulls = [event for event in events if event["reason"] in server_words.IMAGE_EVENT_REASONS]
    last = max(pulls, key=seen_at, default=None)
    for container in containers:
        if last is not None and _is_its_pull(last, container):
            return _of(container, Diagnosis(stage=Stage.IMAGE, detail=cut(last["message"])))
    warnings = [event for event in events if _matters(event)]
    if not warnings:
        return Diagnosis(stage=Stage.STARTING)
    message = str(max(warnings, key=seen_at)["message"])
    permanent = bool(server_words.NOT_FOUND.search(message))
    return Diagnosis(stage=Stage.STARTING, detail=cut(message), permanent=permanent)


def _matters(event: Object) -> bool:
    # What the scheduler said was before; the kubelet reports what is now.
    old = event["reason"] == "FailedScheduling"
    soon = server_words.ROOT_CA_CONFIG_MAP.search(event["message"])
    return event.get("type") == "Warning" and not old and not soon
