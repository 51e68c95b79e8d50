"""What is the matter with a Job: one answer from the objects that the API server sent.

Pure: it asks nothing and waits for nothing, and `now` is an argument.
Every reply recorded from a real cluster is a row in its test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tac import names
from tac.errors import cut
from tac.exits import Ending
from tac.kubernetes.diagnosis.pending import diagnose_pending, diagnose_without_pod
from tac.kubernetes.diagnosis.pod_status import (
    ContainerEnd,
    container_end_of,
    containers_of,
    had_ended_when_deleted,
    is_over,
    is_past_its_grace,
    termination_requested_at,
)
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage
from tac.kubernetes.objects import condition_of, time_of
from tac.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

from tac.kubernetes.objects import Object

# https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
_DISRUPTIONS: Mapping[str, Reason] = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
    "DeletionByTaintManager": Reason.EVICTED,
    "DeletionByPodGC": Reason.NODE_LOST,
}

# The kubelet's words for a pod that it ended for going beyond a limit of its own; for what the node
# lacks it has others ("The node was low on resource: ...").
_OWN_LIMIT = re.compile(r"exceeds the (?:total )?limit|exceeded its local ephemeral storage limit")

# The runtime made the container, and its program could not be started in it: containerd's word, and
# that of Docker's shim.
_NOT_STARTED = {"StartError", "ContainerCannotRun"}
_OF_THE_RUNTIME = re.compile(r"^.*?(?=\bexec: )", re.DOTALL)

_KILLED = 137

# The node was restarted, or lost the container otherwise, and nobody knows how it ended.
_FORGOTTEN = {"ContainerStatusUnknown", "Unknown"}


def diagnose(
    job: Object | None,
    pods: Sequence[Object],
    events: Sequence[Object],
    *,
    now: datetime,
    was: Object | None = None,
) -> Diagnosis:
    """Tell how far a Job is and what is the matter with it.

    `job` is None if there is none any more; `was` is then its last state that was seen, which the
    DELETED event of a watch carries: it tells who cancelled it. `pods` are those of this Job,
    `events` the Events of it and of its pods. Without events, nothing that waits is called
    hopeless or scaling on their account: ask for them before giving up. `now` is the API server's
    time: it tells what is past its grace, and which events are old.
    """
    story = _Story(job=job, was=job or was, now=now)
    pod = _decisive(pods)
    if pod is None:
        found = _without_pod(story, _about(events, "Job"))
    else:
        found = _with_pod(story, pod, _about(events, "Pod", pod["metadata"]["name"]))
        found = replace(
            found, pod=pod["metadata"]["name"], node=str(pod["spec"].get("nodeName", ""))
        )
    return replace(found, job=story.name, detail=cut(found.detail))


@dataclass(frozen=True, kw_only=True)
class _Story:
    """A Job, and what is known of it whatever became of its pod."""

    job: Object | None
    was: Object | None
    now: datetime

    @property
    def name(self) -> str:
        return str(self.was["metadata"]["name"]) if self.was is not None else ""

    @property
    def deleted(self) -> bool:
        """Whether somebody deleted it, perhaps without its being gone yet."""
        return self.job is None or "deletionTimestamp" in self.job["metadata"]

    @property
    def cancelled_by(self) -> str:
        metadata = self.was["metadata"] if self.was is not None else {}
        return str((metadata.get("annotations") or {}).get(names.CANCELLED_BY, ""))

    @property
    def failure(self) -> Object | None:
        """The condition that says that it failed, or is about to have failed."""
        if self.was is None:
            return None
        return condition_of(self.was, "FailureTarget") or condition_of(self.was, "Failed")

    @property
    def given_up(self) -> Diagnosis | None:
        """What the Job itself failed of: its time, or too many failures where it may have some."""
        failure = self.failure
        if self.was is None or failure is None:
            return None
        spec, why = self.was["spec"], failure.get("reason")
        if why == "DeadlineExceeded":
            text = f"its activeDeadlineSeconds is {spec['activeDeadlineSeconds']}"
            return Diagnosis(stage=Stage.ENDED, reason=Reason.DEADLINE, detail=text)
        if why == "BackoffLimitExceeded" and spec.get("backoffLimit"):
            text = f"its backoffLimit is {spec['backoffLimit']}"
            return Diagnosis(stage=Stage.ENDED, reason=Reason.FAILED, detail=text)
        return None

    @property
    def tries_again(self) -> bool:
        """Whether the Job makes another pod by itself; those of tac's own runner never do."""
        if self.job is None or self.deleted or self.failure is not None:
            return False
        return bool(self.job["spec"].get("backoffLimit"))


def _decisive(pods: Sequence[Object]) -> Object | None:
    """Return the pod that tells how the Job does: the one that succeeded, or the last one."""
    for pod in pods:
        outcome = container_end_of(pod)
        if outcome is not None and outcome.exit_code == 0:
            return pod
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _about(events: Sequence[Object], kind: str, name: str = "") -> list[Object]:
    return [
        event
        for event in events
        if event["involvedObject"]["kind"] == kind and name in {"", event["involvedObject"]["name"]}
    ]


# No pod to ask: the Job's own word counts.


def _without_pod(story: _Story, events: Sequence[Object]) -> Diagnosis:
    if story.was is not None and condition_of(story.was, "Complete"):
        return Diagnosis(stage=Stage.ENDED, ending=Ending(exit_code=0, seconds=_took(story.was)))
    if story.cancelled_by:
        return Diagnosis(stage=Stage.GONE, reason=Reason.CANCELLED, detail=story.cancelled_by)
    if story.given_up is not None:
        return story.given_up
    if story.job is None or story.deleted:
        return _gone(f"job/{story.name}")
    if story.failure is not None:
        return _gone(f"the pod of job/{story.name}")
    return diagnose_without_pod(story.job, events)


def _took(job: Object) -> float:
    status = job["status"]
    began, ended = time_of(status.get("startTime")), time_of(status.get("completionTime"))
    return (ended - began).total_seconds() if began and ended else 0.0


def _gone(what: str) -> Diagnosis:
    detail = f"{what} was deleted, by whom is not known"
    return Diagnosis(stage=Stage.GONE, reason=Reason.LOST, detail=detail)


# A pod to ask.


def _with_pod(story: _Story, pod: Object, events: Sequence[Object]) -> Diagnosis:
    outcome, told = container_end_of(pod), termination_requested_at(pod)
    if outcome is not None and _is_its_own(outcome, pod, told):
        return _ended(story, pod, outcome)
    if outcome is None and not is_over(pod):
        if told is None:
            return diagnose_pending(pod, events, story.now)
        if not is_past_its_grace(pod, story.now):
            return Diagnosis(stage=Stage.RUNNING, detail="is told to stop")
    found = _ended_from_outside(story, pod, told)
    if story.tries_again and found.reason is not Reason.CANCELLED:
        return Diagnosis(stage=Stage.RUNNING, detail=f"{found.detail}; the Job may make another")
    if outcome is None:
        return found
    return replace(found, ending=outcome.ending, container=_name_if_several(pod, outcome))


def _is_its_own(outcome: ContainerEnd, pod: Object, told: datetime | None) -> bool:
    """Whether a pod ended before anybody told it to."""
    if pod["status"].get("reason") or outcome.reason in _FORGOTTEN:
        return False
    if told is None:
        return True
    # By force, which is without a grace as well, a pod is deleted that runs: it is killed then.
    killed = outcome.exit_code == _KILLED and not outcome.ending.oom_killed
    if had_ended_when_deleted(pod) and not killed:
        return True
    # Times have no fractions: a program that stops at once ends within the second in which it was
    # told to (recorded/deadline.json).
    return outcome.ended < told


def _ended(story: _Story, pod: Object, outcome: ContainerEnd) -> Diagnosis:
    container = _name_if_several(pod, outcome)
    if outcome.exit_code and story.tries_again:
        text = f"pod/{pod['metadata']['name']} failed with exit code {outcome.exit_code}, and the "
        return Diagnosis(stage=Stage.RUNNING, detail=f"{text}Job may make another")
    found = Diagnosis(
        stage=Stage.ENDED,
        detail=outcome.message,
        ending=outcome.ending,
        container=container,
        image=outcome.ending.image,
        memory=outcome.container.amount("memory"),
        cpu=outcome.container.amount("cpu"),
    )
    if outcome.reason in _NOT_STARTED:
        text = _OF_THE_RUNTIME.sub("", outcome.message)
        return replace(found, reason=Reason.CANNOT_START, detail=text)
    return found


def _name_if_several(pod: Object, outcome: ContainerEnd) -> str:
    return outcome.container.name if len(containers_of(pod)) > 1 else ""


def _ended_from_outside(story: _Story, pod: Object, told: datetime | None) -> Diagnosis:
    """Tell who ended a pod, or whose fault it is that nobody knows its end."""
    if story.cancelled_by:
        return Diagnosis(stage=Stage.GONE, reason=Reason.CANCELLED, detail=story.cancelled_by)
    if given_up := story.given_up or _out_of_its_own_time(pod):
        return given_up
    if story.deleted and told is not None:
        return _gone(f"job/{story.name}" if story.name else "the Job")
    if not is_over(pod) and container_end_of(pod) is None:
        return _on_a_lost_node(pod)
    disruption = condition_of(pod, "DisruptionTarget")
    if told is not None and disruption is None:
        return _gone(f"pod/{pod['metadata']['name']}")
    return _ended_by_the_platform(pod, disruption or {})


def _out_of_its_own_time(pod: Object) -> Diagnosis | None:
    if pod["status"].get("reason") != "DeadlineExceeded":
        return None
    text = f"the activeDeadlineSeconds of its pod is {pod['spec']['activeDeadlineSeconds']}"
    return Diagnosis(stage=Stage.ENDED, reason=Reason.DEADLINE, detail=text)


def _on_a_lost_node(pod: Object) -> Diagnosis:
    node, end = pod["spec"].get("nodeName", ""), pod["metadata"]["deletionTimestamp"]
    detail = f"node/{node}: it does not answer, the pod was to be gone by {end}"
    return Diagnosis(stage=Stage.LOST, reason=Reason.NODE_LOST, detail=detail)


def _ended_by_the_platform(pod: Object, disruption: Object) -> Diagnosis:
    status, outcome = pod["status"], container_end_of(pod)
    text = str(status.get("message") or disruption.get("message") or status.get("reason") or "")
    if outcome is not None and outcome.reason in _FORGOTTEN:
        reason, text = Reason.NODE_LOST, "it does not know how the pod ended"
    elif _OWN_LIMIT.search(text):
        reason = Reason.OUT_OF_DISK
    else:
        reason = _DISRUPTIONS.get(disruption.get("reason", ""), Reason.EVICTED)
    detail = f"node/{pod['spec'].get('nodeName', '')}: {text or 'it does not say why'}"
    return Diagnosis(stage=Stage.ENDED, reason=reason, detail=detail)
