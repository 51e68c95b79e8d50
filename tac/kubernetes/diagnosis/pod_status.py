"""What the status of one pod says: how its containers ended, and who told it to go.

Pure: dicts in, values out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tac.exits import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

from tac.kubernetes.objects import Object, condition_of, time_of

_LATE_SECONDS = 5.0
"""A kubelet that answers tells within a second or two that it has killed what outlived its grace
(recorded/pod-deleted-deaf.json); the rest is for clocks that differ."""

_NEVER_BEGAN = 1.0
"""The second at which a container that could not be started began: 1970."""


@dataclass(frozen=True, kw_only=True)
class ContainerStatus:
    """One container of a pod: what it was asked to be, and what has become of it."""

    spec: Object
    status: Object
    initial: bool
    """Whether it comes before the others: an init container, or a sidecar that goes on."""
    restarts: bool
    """Whether its end is not the end of it."""

    @property
    def name(self) -> str:
        """Its name in the pod."""
        return str(self.spec["name"])

    @property
    def sidecar(self) -> bool:
        """Whether nobody waits for its end: an init container that goes on beside the others.

        https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
        """
        return self.initial and self.spec.get("restartPolicy") == "Always"

    def state(self, kind: str) -> Object | None:
        """Return its state if it is `waiting`, `running` or `terminated`, as is asked."""
        found = (self.status.get("state") or {}).get(kind)
        return None if found is None else dict(found)

    def amount(self, resource: str) -> str:
        """Return how much it may have, or asks for where nothing limits it."""
        resources = self.spec.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        return str(limits.get(resource) or requests.get(resource) or "")

    @property
    def memory_limit(self) -> str:
        """How much memory it may have."""
        return str(((self.spec.get("resources") or {}).get("limits") or {}).get("memory") or "")


def containers_of(pod: Object) -> list[ContainerStatus]:
    """Return its containers in the order in which they begin."""
    return [*_containers(pod, initial=True), *_containers(pod, initial=False)]


def _containers(pod: Object, *, initial: bool) -> Iterator[ContainerStatus]:
    kind, said = ("initContainers", "initContainerStatuses")
    if not initial:
        kind, said = ("containers", "containerStatuses")
    statuses = {each["name"]: each for each in (pod.get("status") or {}).get(said) or ()}
    policy = pod["spec"].get("restartPolicy", "Always")
    for spec in pod["spec"].get(kind) or ():
        restarts = spec.get("restartPolicy", policy) != "Never"
        status = statuses.get(spec["name"], {})
        yield ContainerStatus(spec=spec, status=status, initial=initial, restarts=restarts)


@dataclass(frozen=True, kw_only=True)
class ContainerEnd:
    """How a pod ended by itself, as the container that decided it tells."""

    container: ContainerStatus
    exit_code: int
    reason: str
    message: str
    began: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        """How long that container ran."""
        if self.began.timestamp() < _NEVER_BEGAN:
            return 0.0
        return max(0.0, (self.ended - self.began).total_seconds())

    @property
    def ending(self) -> Ending:
        """What a verdict is made of."""
        return Ending(
            exit_code=self.exit_code,
            oom_killed=self.reason == "OOMKilled",
            seconds=self.seconds,
            image=str(self.container.spec.get("image", "")),
            memory_limit=self.container.memory_limit,
        )


def container_end_of(pod: Object) -> ContainerEnd | None:
    """Return how a pod ended, as soon as nothing can change it any more; None: it goes on.

    One container that failed for good fails the pod, whatever the others do. The first to fail
    counts: the others may have failed because of it. Sidecars are not asked.
    """
    over = is_over(pod)
    asked = [container for container in containers_of(pod) if not container.sidecar]
    ends = [end for container in asked if (end := _end(container)) and (over or _final(container))]
    failures = [end for end in ends if end.exit_code]
    if failures:
        return min(failures, key=lambda end: end.ended)
    if len(ends) < len(asked):
        return None
    return max(ends, key=lambda end: end.ended)


def _final(container: ContainerStatus) -> bool:
    return not container.restarts


def _end(container: ContainerStatus) -> ContainerEnd | None:
    state = container.state("terminated")
    if state is None:
        return None
    ended = time_of(state.get("finishedAt")) or datetime.fromtimestamp(0, UTC)
    return ContainerEnd(
        container=container,
        exit_code=int(state["exitCode"]),
        reason=str(state.get("reason", "")),
        message=str(state.get("message", "")),
        began=time_of(state.get("startedAt")) or ended,
        ended=ended,
    )


def is_over(pod: Object) -> bool:
    """Whether the pod itself says that it has ended, evicted ones without a container's word."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def termination_requested_at(pod: Object) -> datetime | None:
    """Return when somebody first told the pod to go, if somebody did.

    A deletionTimestamp is when its grace ends. The platform says first that it will disturb a pod,
    and why, and deletes it then.
    """
    times = [_deleted_at(pod)]
    if disruption := condition_of(pod, "DisruptionTarget"):
        times.append(time_of(disruption.get("lastTransitionTime")))
    return min((time for time in times if time is not None), default=None)


def _deleted_at(pod: Object) -> datetime | None:
    metadata = pod["metadata"]
    end = time_of(metadata.get("deletionTimestamp"))
    if end is None:
        return None
    return end - timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)


def had_ended_when_deleted(pod: Object) -> bool:
    """Whether a pod had ended already when somebody deleted it: then it gets no grace."""
    metadata = pod["metadata"]
    return "deletionTimestamp" in metadata and not metadata.get("deletionGracePeriodSeconds")


def is_past_its_grace(pod: Object, now: datetime) -> bool:
    """Whether nobody has seen its end although it must have come: its node does not answer."""
    end = time_of(pod["metadata"].get("deletionTimestamp"))
    return end is not None and (now - end).total_seconds() > _LATE_SECONDS
