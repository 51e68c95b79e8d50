"""What every Job has: a time to live, its attempt number, tolerations for lost nodes.

Pure: the caller says what the settings are.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tac import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tac.request import RunRequest

KEPT_SECONDS = 7 * 24 * 3600
"""After this Kubernetes itself deletes a finished Job that no driver has deleted."""

# So long may a node be unreachable before its pods are given up. Kubernetes' own default is 300 s,
# five minutes in which the work stands still:
# https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
_LOST_NODE_SECONDS = 30
_LOST_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def build_job(
    name: str,
    request: RunRequest,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    template: dict[str, Any],
) -> dict[str, Any]:
    """Build the Job around a pod template, without its attempt's number."""
    evict_soon_from_lost_nodes(template["spec"])
    deadline = request.active_deadline_seconds
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": dict(labels),
            "annotations": dict(annotations),
        },
        "spec": {
            "backoffLimit": request.backoff_limit,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            **({} if deadline is None else {"activeDeadlineSeconds": deadline}),
            "template": template,
        },
    }


def numbered(manifest: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the manifest of one attempt: its number is in its name and in its labels."""
    job = copy.deepcopy(dict(manifest))
    job["metadata"]["name"] += f"-{number}"
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        metadata["labels"] = {**metadata.get("labels", {}), names.ATTEMPT: str(number)}
    return job


def evict_soon_from_lost_nodes(pod: dict[str, Any]) -> None:
    """Evict a pod soon from a node that is not ready, unless its own tolerations say when.

    To be called after any patch, which replaces the whole list.
    """
    own = pod.get("tolerations", [])
    if not isinstance(own, list):  # the API server refuses it
        return
    said = [each.get("key") for each in own if isinstance(each, dict) and _evicts(each)]
    ours = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _LOST_NODE_SECONDS}
    pod["tolerations"] = [*own, *({"key": key, **ours} for key in _LOST_NODE if key not in said)]


def _evicts(toleration: dict[str, Any]) -> bool:
    return toleration.get("effect") in {None, "", "NoExecute"}
