"""What the status of one pod says: how its containers ended, and since when it is terminating.

Pure: dicts in, values out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tac.exits import Ending
from tac.kubernetes.objects import Object, condition_of, is_over, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_LATE_SECONDS = 5.0
"""A kubelet that answers reports within a second or two that it has killed what outlived its grace
period (recorded/pod-deleted-deaf.json); the rest is for clocks that differ."""

_NEVER_STARTED = 1.0
"""`startedAt` of a container that could not be started is in the first second of 1970."""


@dataclass(frozen=True, kw_only=True)
class PodContainer:
    """One container of a pod: its spec and its status."""

    spec: Object
    status: Object
    initial: bool
    """Whether it is an init container, or a sidecar that goes on."""
    restarts: bool
    """Whether the kubelet restarts it when it has terminated."""

    @property
    def name(self) -> str:
        """Its name in the pod."""
        return str(self.spec["name"])

    @property
    def sidecar(self) -> bool:
        """Whether the pod ends without its end: an init container that goes on beside the others.

        https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
        """
        return self.initial and self.spec.get("restartPolicy") == "Always"

    def state(self, kind: str) -> Object | None:
        """Return its state if it is `waiting`, `running` or `terminated`, as is asked."""
        found = (self.status.get("state") or {}).get(kind)
        return None if found is None else dict(found)

    def amount(self, resource: str) -> str:
        """Return its limit of a resource, or its request where nothing limits it."""
        resources = self.spec.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        return str(limits.get(resource) or requests.get(resource) or "")

    @property
    def memory_limit(self) -> str:
        """Its limit of memory."""
        return str(((self.spec.get("resources") or {}).get("limits") or {}).get("memory") or "")


def containers_of(pod: Object) -> list[PodContainer]:
    """Return its containers in the order in which they start."""
    return [*_containers(pod, initial=True), *_containers(pod, initial=False)]


def _containers(pod: Object, *, initial: bool) -> Iterator[PodContainer]:
    specs, found = ("initContainers", "initContainerStatuses")
    if not initial:
        specs, found = ("containers", "containerStatuses")
    statuses = {each["name"]: each for each in (pod.get("status") or {}).get(found) or ()}
    policy = pod["spec"].get("restartPolicy", "Always")
    for spec in pod["spec"].get(specs) or ():
        restarts = spec.get("restartPolicy", policy) != "Never"
        status = statuses.get(spec["name"], {})
        yield PodContainer(spec=spec, status=status, initial=initial, restarts=restarts)


@dataclass(frozen=True, kw_only=True)
class Termination:
    """How a container terminated."""

    container: PodContainer
    exit_code: int
    reason: str
    message: str
    started: datetime
    finished: datetime

    @property
    def seconds(self) -> float:
        """How long that container ran."""
        if self.started.timestamp() < _NEVER_STARTED:
            return 0.0
        return max(0.0, (self.finished - self.started).total_seconds())

    @property
    def ending(self) -> Ending:
        """The same for a verdict."""
        return Ending(
            exit_code=self.exit_code,
            oom_killed=self.reason == "OOMKilled",
            seconds=self.seconds,
            image=str(self.container.spec.get("image", "")),
            memory_limit=self.container.memory_limit,
        )


def termination_of(pod: Object) -> Termination | None:
    """Return the termination that decides how a pod ended, once it is final; None: it goes on.

    One container that failed for good fails the pod, whatever the others do. The first to fail
    counts: the others may have failed because of it. Sidecars do not count.
    """
    over = is_over(pod)
    counted = [container for container in containers_of(pod) if not container.sidecar]
    final = [container for container in counted if over or not container.restarts]
    ends = [end for container in final if (end := _termination(container))]
    failures = [end for end in ends if end.exit_code]
    if failures:
        return min(failures, key=lambda end: end.finished)
    if len(ends) < len(counted):
        return None
    return max(ends, key=lambda end: end.finished)


def _termination(container: PodContainer) -> Termination | None:
    state = container.state("terminated")
    if state is None:
        return None
    finished = time_of(state.get("finishedAt")) or datetime.fromtimestamp(0, UTC)
    return Termination(
        container=container,
        exit_code=int(state["exitCode"]),
        reason=str(state.get("reason", "")),
        message=str(state.get("message", "")),
        started=time_of(state.get("startedAt")) or finished,
        finished=finished,
    )


def termination_requested_at(pod: Object) -> datetime | None:
    """Return since when the pod is terminating; None: it is not.

    A deletionTimestamp is when its grace period ends. The platform first sets the condition
    DisruptionTarget, which says why, and deletes the pod then.
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
    """Whether a pod had ended when it was deleted: then it gets no grace period."""
    metadata = pod["metadata"]
    return "deletionTimestamp" in metadata and not metadata.get("deletionGracePeriodSeconds")


def is_past_grace_period(pod: Object, now: datetime) -> bool:
    """Whether its grace period is over and no end is reported: its node does not answer."""
    end = time_of(pod["metadata"].get("deletionTimestamp"))
    return end is not None and (now - end).total_seconds() > _LATE_SECONDS
