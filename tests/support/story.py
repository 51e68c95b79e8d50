"""What stories of Jobs are made of: what provokes one, and the moment that it is about.

The stories themselves are in stories.py, and record.py lets them happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]

JOB = "story-1"
ACTOR = "docker.io/library/actor:tac"
# Below every pod that says nothing of its priority, so that only ours give way to ours.
UNIMPORTANT, LESS_IMPORTANT = "tac-story-unimportant", "tac-story-less-important"


@dataclass(frozen=True)
class Snapshot:
    """All that is there of a Job at one moment."""

    job: Object | None = None
    was: Object | None = None
    """The Job as it was last seen."""
    pods: Mapping[str, Object] = field(default_factory=dict)
    events: Mapping[str, Object] = field(default_factory=dict)

    @property
    def pod(self) -> Object:
        """The only pod; {} if there is none."""
        return next(iter(self.pods.values()), {})

    def has_event(self, *reasons: str) -> bool:
        """Whether there is an event of each reason."""
        return set(reasons) <= {event["reason"] for event in self.events.values()}

    def has_condition(self, *types: str) -> bool:
        """Whether the Job, or its pod, is in each of these conditions."""
        held = [
            condition["type"]
            for thing in (self.job or {}, self.pod)
            for condition in thing.get("status", {}).get("conditions", [])
            if condition["status"] == "True"
        ]
        return set(types) <= set(held)

    def containers(self, kind: str = "containerStatuses") -> list[Object]:
        """What the kubelet says of the pod's containers."""
        statuses: list[Object] = self.pod.get("status", {}).get(kind, [])
        return statuses


Moment = Callable[[Snapshot], bool]


@dataclass(frozen=True)
class Story:
    """A Job, what happens to it, and the moment that is recorded."""

    job: Object
    until: Moment
    objects: tuple[Object, ...] = ()
    when: Moment | None = None
    """When something is done to it."""
    act: tuple[tuple[str, ...], ...] = ()
    """What is done: the arguments of kubectl commands, `POD` for the pod's name."""
    late: tuple[Object, ...] = ()
    """What is created then."""
    evicted: bool = False
    """Whether its pod is evicted then, as `kubectl drain` does it."""
    security: str = ""
    """The Pod Security level of its namespace."""
    unplugged: bool = False
    """Whether its node is cut off before the moment comes."""


def container(*does: str, name: str = "main", **more: Any) -> Object:
    """Describe a container that does this."""
    return {
        "name": name,
        "image": ACTOR,
        "imagePullPolicy": "Never",
        "args": list(does),
        **more,
    }


def job_of(
    *containers: Object, spec: Object | None = None, name: str = JOB, **job_spec: Any
) -> Object:
    """Describe the Job of these containers as tac does: one attempt, one pod."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            **job_spec,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 2,
                    "containers": list(containers),
                    **(spec or {}),
                }
            },
        },
    }


def job(*does: str, spec: Object | None = None, **more: Any) -> Object:
    """Describe the Job of one container that does this."""
    return job_of(container(*does, **more), spec=spec)


def memory(amount: str) -> Object:
    """Limit a container to so much memory."""
    return {"limits": {"memory": amount}, "requests": {"memory": amount}}


def ended(snapshot: Snapshot) -> bool:
    """Every container has ended, and the pod says so."""
    return snapshot.pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def runs(snapshot: Snapshot) -> bool:
    """The program runs, and has been seen to."""
    return any("running" in status["state"] for status in snapshot.containers())


def waits(*reasons: str, kind: str = "containerStatuses") -> Moment:
    """Make the moment at which a container waits for one of these reasons."""
    return lambda snapshot: any(
        status["state"].get("waiting", {}).get("reason") in reasons
        for status in snapshot.containers(kind)
    )


def told(*reasons: str) -> Moment:
    """Make the moment at which all these events have been seen."""
    return lambda snapshot: snapshot.has_event(*reasons)


def in_condition(*types: str) -> Moment:
    """Make the moment at which the Job or its pod is in all these conditions."""
    return lambda snapshot: snapshot.has_condition(*types)


def both(*moments: Moment) -> Moment:
    """Make the moment at which all these have come."""
    return lambda snapshot: all(moment(snapshot) for moment in moments)


def stopped(snapshot: Snapshot) -> bool:
    """The pod was deleted gracefully, and has ended."""
    return "deletionTimestamp" in snapshot.pod.get("metadata", {}) and ended(snapshot)


def job_gone(snapshot: Snapshot) -> bool:
    """There is no Job any more."""
    return snapshot.job is None


def no_pod(snapshot: Snapshot) -> bool:
    """There is no pod any more."""
    return not snapshot.pods


def failed_without_pod(snapshot: Snapshot) -> bool:
    """The Job has failed, and its pod was deleted."""
    return no_pod(snapshot) and snapshot.has_condition("Failed")


def quota(amount: str) -> Object:
    """Let the namespace have so much memory."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "memory"},
        "spec": {"hard": {"requests.memory": amount}},
    }


def priority(name: str, value: int) -> Object:
    """Describe a priority; it is the whole Kubernetes cluster's."""
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
    }


def from_secret(name: str, key: str = "x") -> Object:
    """Describe a variable that is in a Secret."""
    return {"name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def from_config_map(name: str) -> Object:
    """Describe a variable that is in a ConfigMap."""
    return {"name": "X", "valueFrom": {"configMapKeyRef": {"name": name, "key": "x"}}}


def with_volume(*does: str, **source: Any) -> Object:
    """Describe the Job of one container that does this, and mounts that."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    return job(*does, spec={"volumes": [{"name": "data", **source}]}, volumeMounts=mounts)


def pulls(count: int) -> Moment:
    """Make the moment at which the image was tried so often, and is waited for again."""
    return lambda snapshot: (
        waits("ImagePullBackOff")(snapshot)
        and any(
            event["reason"] == "Pulling" and event["count"] >= count
            for event in snapshot.events.values()
        )
    )


def being_deleted(snapshot: Snapshot) -> bool:
    """The pod is terminating."""
    return "deletionTimestamp" in snapshot.pod.get("metadata", {})


def init_runs(snapshot: Snapshot) -> bool:
    """An init container runs."""
    statuses = snapshot.containers("initContainerStatuses")
    return any("running" in status["state"] for status in statuses)


def not_scheduled(snapshot: Snapshot) -> bool:
    """The scheduler has said that it finds no node, in both of its ways."""
    conditions = snapshot.pod.get("status", {}).get("conditions", [])
    return bool(conditions) and snapshot.has_event("FailedScheduling")
