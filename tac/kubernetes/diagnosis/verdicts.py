"""From a diagnosis to a verdict: what it means for the step, and what a person can do about it.

The commands in hints can be pasted, and work when the Job has been deleted: Kubernetes keeps the
events of what is gone for an hour.
"""

from __future__ import annotations

from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING

from tac import exits, verdict
from tac.exits import Ending, Stop
from tac.kubernetes.diagnosis import server_words as words
from tac.kubernetes.diagnosis.stage import STAGE_TIMEOUT_SECONDS, Diagnosis, Stage
from tac.verdict import FINISHED_IS_KEPT, WHERE_IT_IS_SET, Audience, Reason, Verdict

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping, Sequence

    from tac.kubernetes.place import Place

_REASONS: Mapping[Stage, Reason] = {
    Stage.NO_POD: Reason.NO_POD,
    Stage.SCHEDULING: Reason.UNSCHEDULABLE,
    Stage.IMAGE: Reason.NO_IMAGE,
    Stage.STARTING: Reason.CANNOT_START,
}

_PERMANENT: Mapping[Stage, str] = {
    Stage.NO_POD: "no pod can be created for job/{name}",
    Stage.SCHEDULING: "no node can run the pod of job/{name}",
    Stage.IMAGE: "job/{name} cannot have its image {image!r}",
    Stage.STARTING: "job/{name} cannot be started",
}
_TIMED_OUT: Mapping[Stage, str] = {
    Stage.NO_POD: "no pod was created for job/{name}",
    Stage.SCHEDULING: "no node could run the pod of job/{name}",
    Stage.IMAGE: "job/{name} did not get its image {image!r}",
    Stage.STARTING: "job/{name} did not start",
}

_REMEDIES: Mapping[Stage, Sequence[tuple[Sequence[re.Pattern[str]], str]]] = {
    Stage.NO_POD: (
        (
            (words.QUOTA_EXCEEDED, words.QUOTA_WANTS_REQUESTS),
            "set or lower {set_memory} and {set_cpu}{now}, or raise the quota: "
            "`{kubectl_here} describe resourcequota`",
        ),
        (
            (words.LIMIT_RANGE,),
            "change {set_memory} or {set_cpu}{now}: `{kubectl_here} describe limitrange`",
        ),
        (
            (words.POD_SECURITY,),
            "leave out of {set_pod} what the namespace forbids: "
            "`{kubectl} describe namespace {namespace}`",
        ),
        (
            (words.SERVICE_ACCOUNT,),
            "create the service account, or name another {by_service_account}: "
            "`{kubectl_here} get serviceaccounts`",
        ),
        ((words.NO_PRIORITY_CLASS,), "name one that is there: `{kubectl} get priorityclasses`"),
        ((), "`{kubectl_here} events --for job/{name}` tells more"),
    ),
    Stage.SCHEDULING: (
        (
            (words.INSUFFICIENT_MEMORY,),
            "lower {set_memory}{now_memory} or add a node: `{kubectl} describe nodes`",
        ),
        (
            (words.INSUFFICIENT_CPU,),
            "lower {set_cpu}{now_cpu} or add a node: `{kubectl} describe nodes`",
        ),
        (
            (words.NODE_MISMATCH,),
            "fix node selector and tolerations in {set_pod}, or label a node: "
            "`{kubectl} get nodes --show-labels`",
        ),
        ((words.VOLUME_CLAIM,), "`{kubectl_here} get persistentvolumeclaims` tells more"),
        ((), "`{kubectl_here} events --for pod/{pod}` tells more"),
    ),
    Stage.IMAGE: (
        ((words.INVALID_IMAGE,), "{set_image} names another"),
        (
            (words.NEVER_PULLED,),
            "load it on every node (`minikube image load {image}`), or let the nodes pull it",
        ),
        (
            (words.IMAGE_CREDENTIALS,),
            "give the pods' service account the registry's key (imagePullSecrets), "
            "or name another image {by_image}",
        ),
        (
            (),
            "push it to a registry that the nodes reach, load it on every node "
            "(`minikube image load {image}`), or name another {by_image}",
        ),
    ),
    Stage.STARTING: (
        (
            (words.ABOUT_A_SECRET,),
            "create it, or name another {by_secret}: `{kubectl_here} get secrets`",
        ),
        (
            (words.ABOUT_A_CONFIG_MAP,),
            "create it, or name another {by_config_map}: `{kubectl_here} get configmaps`",
        ),
        (
            (words.RUNS_AS_ROOT,),
            "let the image name a user by number (`USER 65532` in its Dockerfile)",
        ),
        ((), "`{kubectl_here} events --for pod/{pod}` tells more"),
    ),
}
"""What a person can do, by what Kubernetes says; the first that matches counts, () is for all."""


def give_up(
    diagnosis: Diagnosis,
    *,
    place: Place,
    waited_seconds: float,
    limit_seconds: float | None = None,
    audience: Audience = Audience.STEP,
) -> Verdict:
    """Conclude about a Job that cannot get further, or stayed at its stage beyond the timeout.

    `limit_seconds` is the timeout, where it is not that of STAGE_TIMEOUT_SECONDS.
    """
    stage = diagnosis.stage
    limit = STAGE_TIMEOUT_SECONDS[stage] if limit_seconds is None else limit_seconds
    facts = {"name": diagnosis.job, "image": diagnosis.image}
    if diagnosis.permanent:
        text = _PERMANENT[stage].format_map(facts)
    else:
        text = _TIMED_OUT[stage].format_map(facts)
        text = f"{text} for {waited_seconds:.0f} s (limit {limit:.0f} s)"
    # There is no event of most Jobs that are only slow.
    what = f"{text}: {diagnosis.detail or 'no event explains it'}"
    remedy = _remedy(diagnosis, place, audience)
    return verdict.never_began(_REASONS[stage], what, remedy=remedy)


def _remedy(diagnosis: Diagnosis, place: Place, audience: Audience) -> str:
    found = next(
        text
        for patterns, text in _REMEDIES[diagnosis.stage]
        if not patterns or words.matches_any(patterns, diagnosis.detail)
    )
    memory, cpu = diagnosis.memory, diagnosis.cpu
    given = " and ".join(filter(None, (memory, cpu)))
    facts = {
        **WHERE_IT_IS_SET[audience],
        "kubectl": place.kubectl,
        "kubectl_here": place.kubectl_here,
        "namespace": place.namespace,
        "name": quote(diagnosis.job),
        "pod": quote(diagnosis.pod),
        "image": quote(diagnosis.image),
        "now": f" (now {given})" if given else "",
        "now_memory": f" (now {memory})" if memory else "",
        "now_cpu": f" (now {cpu})" if cpu else "",
    }
    return found.format_map(facts)


_CUT_SHORT: Mapping[Reason, tuple[str, str]] = {
    Reason.EVICTED: (
        "evicted",
        "`{kubectl} describe node {node}` shows what it lacks; " + FINISHED_IS_KEPT,
    ),
    Reason.PREEMPTED: (
        "preempted by a pod of higher priority",
        "add a node, or give the pods another priorityClassName in {set_pod}",
    ),
    Reason.NODE_LOST: (
        "lost with its node",
        f"`{{kubectl}} describe node {{node}}` shows since when; {FINISHED_IS_KEPT}",
    ),
    Reason.OUT_OF_DISK: (
        "used more disk than it may",
        "raise its limit in {set_pod}, or let it write less; log: {log}",
    ),
    Reason.FAILED: ("failed as often as it may", "`{kubectl_here} describe job/{job}`; log: {log}"),
    Reason.DEADLINE: (
        "took longer than it may, stopped",
        "raise the limit, or give it less to do at once; log: {log}",
    ),
}
_KILLED = "its node or a person killed it: `{kubectl_here} events --for pod/{pod}`; log: {log}"
_PERHAPS_NO_MEMORY = (
    f"if it ran out, give it more memory, {{in_its_memory}} (now {{limit}}); if not, {_KILLED}"
)
_FAILED = "`{kubectl_here} describe job/{job}` tells more; log: {log}"
_REMEDIES_OF_ITS_END: Mapping[Reason, str] = {
    Reason.FAILED: _FAILED,
    Reason.KILLED: _KILLED,
    Reason.PERHAPS_OUT_OF_MEMORY: _PERHAPS_NO_MEMORY,
}
_NO_MEMORY = (
    "its node had no memory left for it: ask for what it needs, {in_its_memory}; log: {log}"
)
_NOT_IN_IMAGE: Mapping[Audience, str] = {
    Audience.STEP: "build the program into the image {image!r}, name another {by_image}, "
    "or fix the command at the top of {log}",
    Audience.JOB_TASK: "build the program into the image {image!r}, name another {by_image}, "
    "or fix the command in spec_schema",
}


def conclude(
    diagnosis: Diagnosis,
    tail: Sequence[str],
    *,
    place: Place,
    log: str,
    stop: Stop = Stop.NOT_REQUESTED,
    audience: Audience = Audience.STEP,
) -> Verdict:
    """Conclude about a Job that is over, from the last lines of its log, which is at `log`.

    `stop` is ours: whether this driver deleted the Job; then it need not be over. Look at the
    output first where the diagnosis has a reason: what was published is done, whoever ended the pod
    afterwards. Where it has no ending, no container tells how long it ran: put one in its place
    that has how long it was followed.
    """
    ending = diagnosis.ending or Ending()
    facts = {
        **WHERE_IT_IS_SET[audience],
        "kubectl": place.kubectl,
        "kubectl_here": place.kubectl_here,
        "job": quote(diagnosis.job),
        "node": quote(diagnosis.node),
        "pod": quote(diagnosis.pod),
        "image": diagnosis.image,
        "limit": ending.memory_limit,
        "log": log,
    }
    if diagnosis.stage is Stage.ENDED and diagnosis.reason is None:
        place_of_it = f"job/{diagnosis.job}"
        if diagnosis.container:
            place_of_it = f"container/{diagnosis.container} of {place_of_it}"
        ended = exits.judge(replace(ending, place=place_of_it), tail, log=log, audience=audience)
        return _with_remedy_of_kubernetes(ended, ending, facts)
    if stop is not Stop.NOT_REQUESTED:
        return exits.judge(replace(ending, stop=stop), tail, log=log)
    return _not_by_itself(diagnosis, ending.seconds, audience, facts)


def _with_remedy_of_kubernetes(ended: Verdict, ending: Ending, facts: Mapping[str, str]) -> Verdict:
    """Put kubectl's commands in the place of a remedy that holds on any machine."""
    remedy = _REMEDIES_OF_ITS_END.get(ended.reason)
    if ended.reason is Reason.OUT_OF_MEMORY and not ending.memory_limit:
        remedy = _NO_MEMORY
    return replace(ended, remedy=remedy.format_map(facts)) if remedy else ended


def _not_by_itself(
    diagnosis: Diagnosis, seconds: float, audience: Audience, facts: Mapping[str, str]
) -> Verdict:
    """Conclude about a Job whose program did not begin, or did not end by itself."""
    reason, job = diagnosis.reason or Reason.LOST, f"job/{diagnosis.job}"
    if reason is Reason.CANNOT_START:
        what = f"could not be started in {job}: {diagnosis.detail}"
        remedy = _NOT_IN_IMAGE[audience].format_map(facts)
        return verdict.never_began(reason, what, remedy=remedy)
    if reason is Reason.CANCELLED:
        how, what = f"cancelled by {diagnosis.detail}", f"{job} was deleted"
        return verdict.cut_short(reason, how, what, seconds=seconds, remedy=FINISHED_IS_KEPT)
    if reason is Reason.LOST:
        remedy = "another driver or a person deleted it"
        return verdict.lost(diagnosis.detail, seconds=seconds, log=facts["log"], remedy=remedy)
    how, remedy = _CUT_SHORT[reason]
    what = f"{job}: {diagnosis.detail}"
    return verdict.cut_short(reason, how, what, seconds=seconds, remedy=remedy.format_map(facts))
