"""Diagnoses as tests expect them, without what differs from one recording to the next."""

from dataclasses import replace
from typing import Any

from tac.exits import Ending
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage
from tac.verdict import Reason
from tests.support.recordings import always_the_same

ACTOR = "docker.io/library/actor:tac"
STOPPED = Ending(exit_code=143, image=ACTOR)


def no_pod(detail: str = "", **more: Any) -> Diagnosis:
    """Expect a Job without a pod."""
    return Diagnosis(stage=Stage.NO_POD, detail=detail, **more)


def asked(detail: str, memory: str = "64Mi", **more: Any) -> Diagnosis:
    """Expect a Job whose pod was refused."""
    return no_pod(detail, container="main", image=ACTOR, memory=memory, **more)


def scheduling(detail: str, **more: Any) -> Diagnosis:
    """Expect a pod without a node."""
    return Diagnosis(
        stage=Stage.SCHEDULING, detail=detail, container="main", **{"image": ACTOR, **more}
    )


def big(detail: str, **more: Any) -> Diagnosis:
    """Expect a pod without a node that asks for too much memory."""
    return scheduling(detail, memory="4Ti", **more)


def image(detail: str, name: str, **more: Any) -> Diagnosis:
    """Expect a pod without its image."""
    return Diagnosis(stage=Stage.IMAGE, detail=detail, container="main", image=name, **more)


def starting(detail: str, **more: Any) -> Diagnosis:
    """Expect a pod that waits for something of its own."""
    return Diagnosis(stage=Stage.STARTING, detail=detail, container="main", image=ACTOR, **more)


def running(detail: str = "", **more: Any) -> Diagnosis:
    """Expect a program that runs."""
    return Diagnosis(stage=Stage.RUNNING, detail=detail, **more)


def ended(code: int, container: str = "", **more: Any) -> Diagnosis:
    """Expect a program that ended by itself."""
    memory = more.get("memory_limit", "")
    ending = Ending(exit_code=code, image=ACTOR, **more)
    return Diagnosis(
        stage=Stage.ENDED, ending=ending, container=container, image=ACTOR, memory=memory
    )


def cut_short(
    reason: Reason, detail: str, ending: Ending | None = STOPPED, stage: Stage = Stage.ENDED
) -> Diagnosis:
    """Expect a pod that something else ended."""
    return Diagnosis(stage=stage, reason=reason, detail=detail, ending=ending)


def gone(what: str, ending: Ending | None = STOPPED) -> Diagnosis:
    """Expect a Job or a pod that was deleted."""
    detail = f"{what} was deleted, by whom is not known"
    return cut_short(Reason.LOST, detail, ending, Stage.DELETED)


def without_chance(found: Diagnosis) -> Diagnosis:
    """Leave out of a diagnosis what differs from one recording to the next."""
    ending = found.ending and replace(found.ending, seconds=0.0)
    return replace(
        found, job="", pod="", node="", detail=always_the_same(found.detail), ending=ending
    )
