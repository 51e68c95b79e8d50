"""How long what tac makes stays: Jobs that are over, and pods on a node that is lost."""

from __future__ import annotations

from typing import Any

KEPT_SECONDS = 7 * 24 * 3600
"""After this Kubernetes itself deletes a Job that is over. The driver deletes what it has read:
this is for what it forgot."""

# So long may a node be out of reach before its pods are given up. Kubernetes' own default is 300 s,
# five minutes in which nobody does the work:
# https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
_LOST_NODE_SECONDS = 30
_LOST_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def leave_lost_nodes(pod: dict[str, Any]) -> None:
    """Let a pod leave a node that does not answer, unless its tolerations have said when.

    To be called when nothing changes them any more: a patch replaces them all.
    """
    own = pod.get("tolerations", [])
    if not isinstance(own, list):  # the API server says what is wrong with it
        return
    said = [each.get("key") for each in own if isinstance(each, dict) and _evicts(each)]
    ours = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _LOST_NODE_SECONDS}
    pod["tolerations"] = [*own, *({"key": key, **ours} for key in _LOST_NODE if key not in said)]


def _evicts(toleration: dict[str, Any]) -> bool:
    return toleration.get("effect") in {None, "", "NoExecute"}
