"""How far a Job is, and how long it may stay there: the words that diagnoses are made of."""

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

    NO_POD = "no_pod"  # the Job is there, its pod is not yet
    SCHEDULING = "scheduling"  # no node has been found for the pod
    IMAGE = "image"  # the node fetches the image
    STARTING = "starting"  # everything else before the program: volumes, Secrets, init containers
    RUNNING = "running"  # also while it is told to stop
    ENDED = "ended"  # it cannot change any more
    LOST = "lost"  # past its grace on a node that does not answer
    GONE = "gone"  # somebody deleted the Job, or its pod, before it had ended


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
    """What it waits for or died of, in Kubernetes' words, cut; "" if nothing is the matter."""
    reason: Reason | None = None
    """Why it cannot have succeeded; None: it goes on, or its exit code tells."""
    ending: Ending | None = None
    """How its container ended, where one tells."""
    makes_progress: bool = False
    """It will go on: an autoscaler, a queue or those who use up the quota make room, or its init
    container is at work. Patience begins anew."""
    hopeless: bool = False
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
        return self.stage in {Stage.ENDED, Stage.LOST, Stage.GONE}
