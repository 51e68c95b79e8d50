"""Questions about Jobs and their pods as the API server sends them. Pure: dicts in, values out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tac import names

if TYPE_CHECKING:
    from collections.abc import Mapping

Object = dict[str, Any]


def label(thing: Mapping[str, Any], name: str) -> str:
    """Return a label of an object, or nothing."""
    return str((thing["metadata"].get("labels") or {}).get(name, ""))


def annotation(thing: Mapping[str, Any], name: str) -> str:
    """Return an annotation of an object, or nothing."""
    return str((thing["metadata"].get("annotations") or {}).get(name, ""))


def attempt_of(job: Mapping[str, Any]) -> int:
    """Return the number of the attempt that a Job is."""
    number = label(job, names.ATTEMPT)
    return int(number) if number.isdigit() else 0


def finished(job: Mapping[str, Any]) -> str | None:
    """Return the condition that says that a Job has ended: Complete or Failed."""
    return next((kind for kind in ("Complete", "Failed") if condition_of(job, kind)), None)


def job_of(pod: Mapping[str, Any]) -> str | None:
    """Return the uid of the Job that a pod belongs to."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner["kind"] == "Job"), None)


def version_of(thing: Mapping[str, Any]) -> int:
    """Return a number that is larger when the object is newer.

    Versions of one kind may be compared since Kubernetes 1.35 says so, and could before:
    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    """
    version = str(thing["metadata"].get("resourceVersion") or "0")
    return int(version) if version.isdigit() else 0


def is_over(pod: Mapping[str, Any]) -> bool:
    """Whether its phase is final, which an evicted pod's is without a container's status."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is over, or every container in it has terminated."""
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    states = [each.get("state") or {} for each in containers]
    return is_over(pod) or (bool(states) and all("terminated" in state for state in states))


def has_begun(container: Mapping[str, Any]) -> bool:
    """Whether a container, by its pod's status, has ever started."""
    states = {**(container.get("state") or {}), **(container.get("lastState") or {})}
    return bool(states.keys() & {"running", "terminated"})


def time_of(text: str | None) -> datetime | None:
    """Read a time as the API server writes it; some have fractions of a second."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def condition_of(thing: Mapping[str, Any], kind: str, status: str = "True") -> Object | None:
    """Return the condition of that type of a pod or a Job, if it has that status."""
    for condition in (thing.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind and condition["status"] == status:
            return dict(condition)
    return None
