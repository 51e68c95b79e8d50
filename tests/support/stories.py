"""The Jobs whose replies stand in diagnosis/recorded/: what provokes each, and its end.

Each happens in a namespace of its own, with the image that record.py makes of actor.go.
"""

from tests.support.refusing_registry import PORT
from tests.support.story import (
    JOB,
    LESS_IMPORTANT,
    UNIMPORTANT,
    Object,
    Story,
    being_deleted,
    both,
    container,
    ended,
    failed_without_pod,
    from_config_map,
    from_secret,
    in_condition,
    init_runs,
    job,
    job_gone,
    job_of,
    memory,
    no_pod,
    not_scheduled,
    priority,
    pulls,
    quota,
    runs,
    stopped,
    told,
    waits,
    with_volume,
)

CREATED = told("SuccessfulCreate")
KEYS = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "data": {}}
MOST_OF_A_NODE: Object = {"resources": {"requests": {"memory": "14Gi"}}}
DELETE_POD = ("delete", "pod", "POD", "--wait=false")
DELETE_JOB = ("delete", "job", JOB, "--wait=false")
ON_NODE_2 = {"nodeSelector": {"kubernetes.io/hostname": "node-2"}}
EXIT_CODES = (1, 2, 65, 75, 137, 143)

OUTLIVES_ITS_NODE = {
    **ON_NODE_2,
    "tolerations": [
        {
            "key": f"node.kubernetes.io/{key}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 5,
        }
        for key in ("unreachable", "not-ready")
    ],
}


def refused_image(status: int) -> Object:
    """Describe a Job whose image a registry on its node refuses in that way."""
    image = f"127.0.0.1:{PORT}/{status}/nobody:made"
    return job(image=image, imagePullPolicy="IfNotPresent", spec=ON_NODE_2)


STORIES: dict[str, Story] = {
    "succeeded": Story(job("print=done"), ended),
    "succeeded-job": Story(job("print=done"), in_condition("Complete")),
    "running": Story(job("sleep=600"), runs),
    **{f"exit-{code}": Story(job("print=this", f"exit={code}"), ended) for code in EXIT_CODES},
    "exit-1-job": Story(job("exit=1"), in_condition("Failed")),
    "oom-killed": Story(job("eat=200", resources=memory("64Mi")), ended),
    "oom-killed-child": Story(
        job("child", "eat=200", "then", "exit=1", resources=memory("64Mi")), ended
    ),
    # Images.
    "err-image-never-pull": Story(
        job(image="docker.io/library/nobody:made"), waits("ErrImageNeverPull")
    ),
    "err-image-pull": Story(
        job(image="127.0.0.1:9/nobody:made", imagePullPolicy="IfNotPresent"),
        waits("ErrImagePull"),
    ),
    "image-pull-back-off": Story(
        job(image="127.0.0.1:9/nobody:made", imagePullPolicy="IfNotPresent"),
        both(waits("ImagePullBackOff"), told("BackOff", "Failed")),
    ),
    "image-not-found": Story(refused_image(404), pulls(2)),
    "image-denied": Story(refused_image(403), pulls(2)),
    "image-unauthorized": Story(refused_image(401), pulls(2)),
    "registry-busy": Story(refused_image(429), pulls(2)),
    "registry-broken": Story(refused_image(503), pulls(2)),
    "invalid-image-name": Story(job(image="No/Such:a:name"), waits("InvalidImageName")),
    "pulling": Story(
        # An address that swallows what is sent to it: the pull goes on for a while.
        job(image="198.51.100.1/nobody:made", imagePullPolicy="IfNotPresent"),
        told("Pulling"),
    ),
    # What a container needs and is not there.
    "missing-secret": Story(
        job("exit=0", env=[from_secret("keys")]), waits("CreateContainerConfigError")
    ),
    "missing-secret-key": Story(
        job("exit=0", env=[from_secret("keys", "nothing")]),
        waits("CreateContainerConfigError"),
        objects=(KEYS,),
    ),
    "missing-config-map": Story(
        job("exit=0", env=[from_config_map("settings")]), waits("CreateContainerConfigError")
    ),
    "missing-secret-volume": Story(
        with_volume("exit=0", secret={"secretName": "keys"}), told("FailedMount")
    ),
    "missing-program": Story(job(command=["/nothing"]), ended),
    "run-as-root": Story(
        job("exit=0", securityContext={"runAsNonRoot": True}), waits("CreateContainerConfigError")
    ),
    # No node.
    "unschedulable-memory": Story(job("exit=0", resources=memory("4Ti")), not_scheduled),
    "unschedulable-processors": Story(
        job("exit=0", resources={"requests": {"cpu": "400"}}), not_scheduled
    ),
    "unschedulable-selector": Story(
        job("exit=0", spec={"nodeSelector": {"disk": "quick"}}), not_scheduled
    ),
    "unschedulable-volume": Story(
        with_volume("exit=0", persistentVolumeClaim={"claimName": "data"}),
        not_scheduled,
    ),
    "scheduling-gated": Story(
        job("exit=0", spec={"schedulingGates": [{"name": "example.com/queue"}]}),
        lambda snapshot: bool(snapshot.pod.get("status", {}).get("conditions")),
    ),
    "suspended": Story(job_of(container(), suspend=True), in_condition("Suspended")),
    "refused-by-node": Story(
        job("exit=0", spec={"nodeName": "node-2"}, resources=memory("4Ti")),
        both(ended, told("OutOfmemory")),
    ),
    # No pod.
    "quota-used-up": Story(
        job("exit=0", resources=memory("64Mi")),
        both(told("FailedCreate"), no_pod),
        objects=(
            quota("100Mi"),
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "other"},
                "spec": {"containers": [container("sleep=600", resources=memory("64Mi"))]},
            },
        ),
    ),
    "quota-too-small": Story(
        job("exit=0", resources=memory("64Mi")), told("FailedCreate"), objects=(quota("10Mi"),)
    ),
    "quota-wants-requests": Story(job("exit=0"), told("FailedCreate"), objects=(quota("10Mi"),)),
    "limit-range": Story(
        job("exit=0", resources=memory("64Mi")),
        told("FailedCreate"),
        objects=(
            {
                "apiVersion": "v1",
                "kind": "LimitRange",
                "metadata": {"name": "memory"},
                "spec": {"limits": [{"type": "Container", "max": {"memory": "10Mi"}}]},
            },
        ),
    ),
    "pod-security": Story(job("exit=0"), told("FailedCreate"), security="restricted"),
    "missing-service-account": Story(
        job("exit=0", spec={"serviceAccountName": "nobody"}), told("FailedCreate")
    ),
    "missing-priority": Story(
        job("exit=0", spec={"priorityClassName": "nobody"}), told("FailedCreate")
    ),
    # The platform's doing.
    "evicted-disk": Story(
        job(
            "fill=/big:30",
            "sleep=600",
            resources={"limits": {"ephemeral-storage": "10Mi"}},
        ),
        both(ended, told("Evicted")),
    ),
    "evicted-volume": Story(
        with_volume("fill=/data/big:30", "sleep=600", emptyDir={"sizeLimit": "10Mi"}),
        both(ended, told("Evicted")),
    ),
    "evicted-api": Story(job("sleep=600"), stopped, when=runs, evicted=True),
    "preempted": Story(
        job("sleep=600", spec={**ON_NODE_2, "priorityClassName": UNIMPORTANT}, **MOST_OF_A_NODE),
        both(stopped, told("Preempted")),
        objects=(priority(UNIMPORTANT, -20), priority(LESS_IMPORTANT, -10)),
        when=runs,
        late=(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "other"},
                "spec": {
                    **ON_NODE_2,
                    "priorityClassName": LESS_IMPORTANT,
                    "containers": [container("sleep=600", **MOST_OF_A_NODE)],
                },
            },
        ),
    ),
    "node-lost": Story(
        job("sleep=600", spec=OUTLIVES_ITS_NODE), being_deleted, when=runs, unplugged=True
    ),
    "node-lost-at-start": Story(
        job("exit=0", spec=OUTLIVES_ITS_NODE, env=[from_secret("keys")]),
        being_deleted,
        when=waits("CreateContainerConfigError"),
        unplugged=True,
    ),
    # Somebody's doing.
    "pod-deleted": Story(job("sleep=600"), stopped, when=runs, act=(DELETE_POD,)),
    "pod-deleted-job": Story(job("sleep=600"), failed_without_pod, when=runs, act=(DELETE_POD,)),
    "pod-being-deleted": Story(
        job("deaf", "sleep=600"),
        being_deleted,
        when=runs,
        act=(DELETE_POD,),
    ),
    "pod-deleted-deaf": Story(job("deaf", "sleep=600"), stopped, when=runs, act=(DELETE_POD,)),
    "job-deleted": Story(job("sleep=600"), job_gone, when=runs, act=(DELETE_JOB,)),
    "job-deleted-pod-gone": Story(
        job("sleep=600"), both(job_gone, no_pod), when=runs, act=(DELETE_JOB,)
    ),
    "job-deleted-foreground": Story(
        job("sleep=600"), stopped, when=runs, act=((*DELETE_JOB, "--cascade=foreground"),)
    ),
    "job-orphaned": Story(
        job("sleep=600"),
        both(job_gone, runs),
        when=runs,
        act=((*DELETE_JOB, "--cascade=orphan"),),
    ),
    "cancelled": Story(
        job("sleep=600"),
        stopped,
        when=runs,
        act=(
            ("annotate", "job", JOB, "tac/cancelled-by=host-7"),
            (*DELETE_JOB, "--cascade=foreground"),
        ),
    ),
    "succeeded-deleted": Story(
        job("print=done"),
        job_gone,
        when=in_condition("Complete"),
        act=(DELETE_JOB,),
    ),
    "succeeded-just-deleted": Story(
        job("print=done"),
        being_deleted,
        when=ended,
        act=((*DELETE_JOB, "--cascade=foreground"),),
    ),
    "job-deleted-stopped": Story(
        job("sleep=600"), both(job_gone, stopped), when=runs, act=(DELETE_JOB,)
    ),
    "succeeded-pod-deleted": Story(
        job("print=done"), no_pod, when=in_condition("Complete"), act=(DELETE_POD,)
    ),
    "deadline": Story(
        job_of(container("sleep=600"), activeDeadlineSeconds=2),
        both(stopped, in_condition("FailureTarget")),
    ),
    "deadline-job": Story(
        job_of(container("sleep=600"), activeDeadlineSeconds=2), failed_without_pod
    ),
    "deadline-of-pod": Story(job("sleep=600", spec={"activeDeadlineSeconds": 2}), ended),
    # Several containers.
    "init-fails": Story(
        job("exit=0", spec={"initContainers": [container("exit=3", name="prepare")]}), ended
    ),
    "init-runs": Story(
        job("exit=0", spec={"initContainers": [container("sleep=600", name="prepare")]}),
        init_runs,
    ),
    "native-sidecar": Story(
        job(
            "print=done",
            spec={
                "initContainers": [
                    container("deaf", "sleep=600", name="proxy", restartPolicy="Always")
                ],
                "terminationGracePeriodSeconds": 10,
            },
        ),
        lambda snapshot: any("terminated" in status["state"] for status in snapshot.containers()),
    ),
    "sidecar-goes-on": Story(
        job_of(container("sleep=1", "exit=3"), container("sleep=600", name="proxy")),
        lambda snapshot: any("terminated" in status["state"] for status in snapshot.containers()),
    ),
    "sidecar-fails": Story(
        job_of(container("exit=0"), container("sleep=1", "exit=4", name="proxy")), ended
    ),
    "one-of-two-done": Story(
        job_of(container("exit=0"), container("sleep=600", name="proxy")),
        lambda snapshot: any("terminated" in status["state"] for status in snapshot.containers()),
    ),
    # Kubernetes tries again by itself, where a pipeline of its own asks for it.
    "job-tries-again": Story(job_of(container("exit=1"), backoffLimit=3), both(ended, CREATED)),
    "job-gave-up": Story(job_of(container("exit=1"), backoffLimit=1), in_condition("Failed")),
    "crash-loop": Story(
        job_of(container("exit=1"), spec={"restartPolicy": "OnFailure"}, backoffLimit=3),
        waits("CrashLoopBackOff"),
    ),
    "failure-policy": Story(
        job_of(
            container("exit=3"),
            podFailurePolicy={
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": "main",
                            "operator": "In",
                            "values": [3],
                        },
                    }
                ]
            },
        ),
        in_condition("Failed"),
    ),
}
