"""What an autoscaler says of a pod that no node has room for.

Their words are in events of the pod. Read in the public source of both:
cluster-autoscaler (kubernetes/autoscaler): processors/status/eventing_scale_up_processor.go and
core/scaleup/orchestrator/skippedreasons.go; Karpenter (kubernetes-sigs/karpenter):
pkg/controllers/provisioning/scheduling/events.go.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

from tac.kubernetes.objects import Object


class ScaleUp(StrEnum):
    """What an autoscaler says."""

    NOTHING = "nothing"  # there is none, or it has not looked yet
    COMES = "comes"  # a node is on its way
    NOT_NOW = "not_now"  # it brings none as things stand
    NEVER = "never"  # no node that it could bring would do


# How long cluster-autoscaler waits for a node to appear before it gives it up:
# --max-node-provision-time, 15 minutes by default. Karpenter takes as long.
_COMES_WITHIN_SECONDS = 900.0

_COMES = {"TriggeredScaleUp", "Nominated"}
_REFUSES = "NotTriggerScaleUp"
_KARPENTER = "karpenter"

# What is true of every node that an autoscaler could bring. All else, such as a group at its
# largest or after a failed start, changes when somebody else's work ends.
_STAYS = re.compile(
    r"Insufficient \S+|didn't match Pod's node affinity|didn't match node selector"
    r"|untolerated taint|that the pod didn't tolerate|did not tolerate|incompatible requirements"
    r"|no instance type satisfied|no instance type has enough resources"
    r"|no instance type met the scheduling requirements"
)
_CHANGES = re.compile(r"exceed limits|limits? exceeded", re.IGNORECASE)
_PREFIX = re.compile(
    r"pod didn't trigger scale-up[^:]*:\s*|Failed to schedule pod, ", re.IGNORECASE
)
_NEXT_CAUSE = re.compile(r", (?=\d+ )|; ")


def scale_up_of(events: Sequence[tuple[datetime, Object]], now: datetime) -> tuple[ScaleUp, str]:
    """Return the autoscaler's last word on a pod, and its text.

    `events` are the pod's, each with when it was last seen.
    """
    words = [(at, event) for at, event in events if _is_of_an_autoscaler(event)]
    if not words:
        return ScaleUp.NOTHING, ""
    at, event = max(words, key=lambda word: word[0])
    if event["reason"] in _COMES:
        if (now - at).total_seconds() > _COMES_WITHIN_SECONDS:
            return ScaleUp.NOTHING, ""
        return ScaleUp.COMES, f"the autoscaler: {event['message']}"
    why = _PREFIX.sub("", event["message"], count=1)
    causes = _NEXT_CAUSE.split(why)
    stays = all(_STAYS.search(cause) and not _CHANGES.search(cause) for cause in causes)
    text = f"the autoscaler adds no node: {why}"
    return (ScaleUp.NEVER if stays else ScaleUp.NOT_NOW), text


def _is_of_an_autoscaler(event: Object) -> bool:
    if event["reason"] in _COMES or event["reason"] == _REFUSES:
        return True
    source = (event.get("source") or {}).get("component") or event.get("reportingComponent")
    return event["reason"] == "FailedScheduling" and source == _KARPENTER
