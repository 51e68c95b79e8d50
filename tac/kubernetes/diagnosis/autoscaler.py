"""Whether an autoscaler adds a node for an unschedulable pod, by its events of the pod.

Both are understood: cluster-autoscaler and Karpenter. Pure.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from tac.kubernetes.diagnosis import server_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

from tac.kubernetes.objects import Object


class ScaleUp(StrEnum):
    """What the autoscaler's last event of a pod says."""

    NO_EVENT = "no_event"  # there is no autoscaler, or it has not looked yet
    TRIGGERED = "triggered"  # a node is being added
    NOT_TRIGGERED = "not_triggered"  # none is added as things stand
    IMPOSSIBLE = "impossible"  # no node that it could add would do


# How long cluster-autoscaler waits for a node to appear before it gives it up:
# --max-node-provision-time, 15 minutes by default. Karpenter takes as long.
_NODE_PROVISION_SECONDS = 900.0


def scale_up_of(events: Sequence[tuple[datetime, Object]], now: datetime) -> tuple[ScaleUp, str]:
    """Return what the autoscaler said of a pod last, and its text.

    `events` are the pod's, each with when it was last seen.
    """
    found = [(at, event) for at, event in events if _is_of_an_autoscaler(event)]
    if not found:
        return ScaleUp.NO_EVENT, ""
    at, event = max(found, key=lambda each: each[0])
    if event["reason"] in server_words.SCALE_UP_REASONS:
        if (now - at).total_seconds() > _NODE_PROVISION_SECONDS:
            return ScaleUp.NO_EVENT, ""
        return ScaleUp.TRIGGERED, f"the autoscaler: {event['message']}"
    why = server_words.NO_SCALE_UP_PREFIX.sub("", event["message"], count=1)
    impossible = all(map(_no_node_would_do, server_words.NEXT_NODE_GROUP.split(why)))
    text = f"the autoscaler adds no node: {why}"
    return (ScaleUp.IMPOSSIBLE if impossible else ScaleUp.NOT_TRIGGERED), text


def _no_node_would_do(cause: str) -> bool:
    at_limit = server_words.NODE_GROUP_AT_LIMIT.search(cause)
    return bool(server_words.NO_NODE_GROUP_FITS.search(cause)) and not at_limit


def _is_of_an_autoscaler(event: Object) -> bool:
    reason = event["reason"]
    if reason in server_words.SCALE_UP_REASONS or reason == server_words.NO_SCALE_UP_REASON:
        return True
    source = (event.get("source") or {}).get("component") or event.get("reportingComponent")
    return reason == "FailedScheduling" and source == server_words.KARPENTER
