"""What is the matter with a Job: one answer from the objects that the API server sent.

Pure: it asks nothing and waits for nothing, and `now` is an argument.
Every reply recorded from a real cluster is a row in its test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tac import names
from tac.errors import cut
from tac.exits import Ending
from tac.kubernetes.diagnosis import server_words
from tac.kubernetes.diagnosis.pending import diagnose_pending, diagnose_without_pod
from tac.kubernetes.diagnosis.pod_status import (
    Termination,
    containers_of,
    had_ended_when_deleted,
    is_past_grace_period,
    termination_of,
    termination_requested_at,
)
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage
from tac.kubernetes.objects import Object, condition_of, is_over, time_of
from tac.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

# https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
_DISRUPTIONS: Mapping[str, Reason] = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
    "DeletionByTaintManager": Reason.EVICTED,
    "DeletionByPodGC": Reason.NODE_LOST,
}

_KILLED = 137


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
    `events` the Events of it and of its pods. Without events, nothing that is pending is called
    permanent or making progress on their account: ask for them before giving up. `now` is the API
    server's time: it tells what is past its grace period, and which events are old.
    """
    last = _LastSeen(job=job, was=job or was, now=now)
    pod = _deciding_pod(pods)
    if pod is None:
        found = _without_pod(last, _about(events, "Job"))
    else:
        found = _with_pod(last, pod, _about(events, "Pod", pod["metadata"]["name"]))
        found = replace(
            found, pod=pod["metadata"]["name"], node=str(pod["spec"].get("nodeName", ""))
        )
    return replace(found, job=last.name, detail=cut(found.detail))


@dataclass(frozen=True, kw_only=True)
class _LastSeen:
    """A Job as it was last seen, and what that tells whatever became of its pod."""

    job: Object | None
    was: Object | None
    now: datetime

    @property
    def name(self) -> str:
        return str(self.was["metadata"]["name"]) if self.was is not None else ""

    @property
    def deleted(self) -> bool:
        """Whether it was deleted, perhaps without its being gone yet."""
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
    def failed_by_controller(self) -> Diagnosis | None:
        """Why the Job controller gave it up: its deadline, or its backoffLimit where it has one."""
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
        """Whether the Job creates another pod by itself; those of tac's own runner never do."""
        if self.job is None or self.deleted or self.failure is not None:
            return False
        return bool(self.job["spec"].get("backoffLimit"))


def _deciding_pod(pods: Sequence[Object]) -> Object | None:
    """Return the pod that decides: the one that succeeded, or the last one."""
    for pod in pods:
        ended = termination_of(pod)
        if ended is not None and ended.exit_code == 0:
            return pod
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _about(events: Sequence[Object], kind: str, name: str = "") -> list[Object]:
    return [
        event
        for event in events
        if event["involvedObject"]["kind"] == kind and name in {"", event["involvedObject"]["name"]}
    ]


# There is no pod: the Job's own conditions count.


def _without_pod(last: _LastSeen, events: Sequence[Object]) -> Diagnosis:
    if last.was is not None and condition_of(last.was, "Complete"):
        return Diagnosis(stage=Stage.ENDED, ending=Ending(exit_code=0, seconds=_took(last.was)))
    if last.cancelled_by:
        return Diagnosis(stage=Stage.DELETED, reason=Reason.CANCELLED, detail=last.cancelled_by)
    if last.failed_by_controller is not None:
        return last.failed_by_controller
    if last.job is None or last.deleted:
        return _gone(f"job/{last.name}")
    if last.failure is not None:
        return _gone(f"the pod of job/{last.name}")
    return diagnose_without_pod(last.job, events)


def _took(job: Object) -> float:
    status = job["status"]
    began, ended = time_of(status.get("startTime")), time_of(status.get("completionTime"))
    return (ended - began).total_seconds() if began and ended else 0.0


def _gone(what: str) -> Diagnosis:
    detail = f"{what} was deleted, by whom is not known"
    return Diagnosis(stage=Stage.DELETED, reason=Reason.LOST, detail=detail)


# There is a pod.


def _with_pod(last: _LastSeen, pod: Object, events: Sequence[Object]) -> Diagnosis:
    ended, terminating_since = termination_of(pod), termination_requested_at(pod)
    if ended is not None and _ended_by_itself(ended, pod, terminating_since):
        return _terminated(last, pod, ended)
    if ended is None and not is_over(pod):
        if terminating_since is None:
            return diagnose_pending(pod, events, last.now)
        if not is_past_grace_period(pod, last.now):
            return Diagnosis(stage=Stage.RUNNING, detail="terminating")
    found = _ended_from_outside(last, pod, terminating_since)
    if last.tries_again and found.reason is not Reason.CANCELLED:
        return Diagnosis(stage=Stage.RUNNING, detail=f"{found.detail}; the Job may make another")
    if ended is None:
        return found
    return replace(found, ending=ended.ending, container=_name_if_several(pod, ended))


def _ended_by_itself(ended: Termination, pod: Object, terminating_since: datetime | None) -> bool:
    """Whether a pod ended by itself, before it was terminating."""
    if pod["status"].get("reason") or ended.reason in server_words.END_UNKNOWN_REASONS:
        return False
    if terminating_since is None:
        return True
    # By force, which is without a grace period as well, a pod is deleted that runs: it is killed.
    killed = ended.exit_code == _KILLED and not ended.ending.oom_killed
    if had_ended_when_deleted(pod) and not killed:
        return True
    # Times have no fractions: a program that stops at once ends within the second in which its pod
    # began to terminate (recorded/deadline.json).
    return ended.finished < terminating_since


def _terminated(last: _LastSeen, pod: Object, ended: Termination) -> Diagnosis:
    container = _name_if_several(pod, ended)
    if ended.exit_code and last.tries_again:
        text = f"pod/{pod['metadata']['name']} failed with exit code {ended.exit_code}, and the "
        return Diagnosis(stage=Stage.RUNNING, detail=f"{text}Job may make another")
    found = Diagnosis(
        stage=Stage.ENDED,
        detail=ended.message,
        ending=ended.ending,
        container=container,
        image=ended.ending.image,
        memory=ended.container.amount("memory"),
        cpu=ended.container.amount("cpu"),
    )
    if ended.reason in server_words.NOT_STARTED_REASONS:
        text = server_words.RUNTIME_PREFIX.sub("", ended.message)
        return replace(found, reason=Reason.CANNOT_START, detail=text)
    return found


def _name_if_several(pod: Object, ended: Termination) -> str:
    return ended.container.name if len(containers_of(pod)) > 1 else ""


def _ended_from_outside(
    last: _LastSeen, pod: Object, terminating_since: datetime | None
) -> Diagnosis:
    """Tell who ended a pod, or why its end is not known."""
    if last.cancelled_by:
        return Diagnosis(stage=Stage.DELETED, reason=Reason.CANCELLED, detail=last.cancelled_by)
    if failed := last.failed_by_controller or _past_its_own_deadline(pod):
        return failed
    if last.deleted and terminating_since is not None:
        return _gone(f"job/{last.name}" if last.name else "the Job")
    if not is_over(pod) and termination_of(pod) is None:
        return _node_lost(pod)
    disruption = condition_of(pod, "DisruptionTarget")
    if terminating_since is not None and disruption is None:
        return _gone(f"pod/{pod['metadata']['name']}")
    return _disrupted(pod, disruption or {})


def _past_its_own_deadline(pod: Object) -> Diagnosis | None:
    if pod["status"].get("reason") != "DeadlineExceeded":
        return None
    text = f"the activeDeadlineSeconds of its pod is {pod['spec']['activeDeadlineSeconds']}"
    return Diagnosis(stage=Stage.ENDED, reason=Reason.DEADLINE, detail=text)


def _node_lost(pod: Object) -> Diagnosis:
    node, end = pod["spec"].get("nodeName", ""), pod["metadata"]["deletionTimestamp"]
    detail = f"node/{node}: it does not answer, its pod was to terminate by {end}"
    return Diagnosis(stage=Stage.NODE_SILENT, reason=Reason.NODE_LOST, detail=detail)


def _disrupted(pod: Object, disruption: Object) -> Diagnosis:
    status, ended = pod["status"], termination_of(pod)
    text = str(status.get("message") or disruption.get("message") or status.get("reason") or "")
    if ended is not None and ended.reason in server_words.END_UNKNOWN_REASONS:
        reason, text = Reason.NODE_LOST, "it does not know how the pod ended"
    elif server_words.OWN_DISK_LIMIT.search(text):
        reason = Reason.OUT_OF_DISK
    else:
        reason = _DISRUPTIONS.get(disruption.get("reason", ""), Reason.EVICTED)
    detail = f"node/{pod['spec'].get('nodeName', '')}: {text or 'it does not say why'}"
    return Diagnosis(stage=Stage.ENDED, reason=reason, detail=detail)
