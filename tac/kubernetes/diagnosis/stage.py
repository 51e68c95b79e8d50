"""The stages of a Job, how long it may stay at each, and what a diagnosis of it holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tac.exits import Ending
    from tac.verdict import Reason


class Stage(StrEnum):
    """How far a Job is."""

    NO_POD = "no_pod"  # the Job is there, its pod is not created yet
    SCHEDULING = "scheduling"  # the pod is bound to no node yet
    IMAGE = "image"  # the node pulls the image
    STARTING = "starting"  # everything else before the program: volumes, Secrets, init containers
    RUNNING = "running"  # also while it is terminating
    ENDED = "ended"  # it cannot change any more
    NODE_SILENT = "node_silent"  # past its grace period on a node that does not answer
    DELETED = "deleted"  # the Job, or its pod, was deleted before it had ended


STAGE_TIMEOUT_SECONDS: Mapping[Stage, float] = {
    Stage.NO_POD: 60,
    Stage.SCHEDULING: 300,
    Stage.IMAGE: 600,
    Stage.STARTING: 120,
}
"""How long a Job may stay at a stage, each counted from when it was first seen there, before
`give_up`. The others have no limit."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is the matter with a Job, as far as the API server knows."""

    stage: Stage
    detail: str = ""
    """Why it is pending or why it ended, in Kubernetes' words, cut; "" if nothing is the matter."""
    reason: Reason | None = None
    """Why it cannot have succeeded; None: it goes on, or its exit code tells."""
    ending: Ending | None = None
    """How its container ended, where its status tells."""
    makes_progress: bool = False
    """It will go on: an autoscaler adds a node, it is queued, the quota is used up for now, or its
    init container runs. The stage's timeout begins anew."""
    permanent: bool = False
    """Waiting cannot help: give up at once."""
    job: str = ""
    pod: str = ""
    node: str = ""
    container: str = ""
    """The container that the detail or the ending is of, where that needs saying."""
    image: str = ""
    memory: str = ""
    """How much memory that container was given, or asks for where nothing limits it."""
    cpu: str = ""
    """How many processors, likewise."""

    @property
    def over(self) -> bool:
        """Whether `conclude` can be asked; nothing that comes later changes the answer."""
        return self.stage in {Stage.ENDED, Stage.NODE_SILENT, Stage.DELETED}
