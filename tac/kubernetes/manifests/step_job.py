"""The Job of a step: pure, from a request and settings to a manifest.

A Job is one attempt with one pod, without retries of its own: tac retries (tac/retry.py).
Its pod conforms to the strictest Pod Security level, `restricted`, and holds no secret: S3's
address and keys come from a ConfigMap and a Secret by reference.
"""

from __future__ import annotations

import copy
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tac
from tac import names
from tac.errors import ConfigError
from tac.kubernetes.manifests.defaults import build_job
from tac.kubernetes.manifests.pod_spec_job import copy_pod, identity_of_pod, labels_of, set_memory
from tac.quantities import format_cpu, format_memory
from tac.redaction import redacted, without_credentials
from tac.step_environment import passed_on

if TYPE_CHECKING:
    from tac.kubernetes.manifests.pod_patch import PodPatch
    from tac.request import RunRequest

CONTAINER = "step"
"""The container that runs the command; a pod patch may put others beside it."""

_LABELS = {names.APPLICATION: "tac", names.COMPONENT: CONTAINER, **names.MANAGED}
_OURS = (*_LABELS, names.STEP, names.WORK, names.ATTEMPT)

_HOME = "/tmp"  # noqa: S108 - the container's own, and the only place that it may write to
_FILLED_IN = re.compile(r"\$(?=[$(])")
_USER = 65532  # the image's own: see USER in the Dockerfile


@dataclass(frozen=True)
class PodSettings:
    """The settings of the pods of all steps."""

    image: str
    config_map: str = ""
    secret: str = ""
    service_account: str = ""
    s3_endpoint_url: str = ""
    memory: str = ""
    cpu: str = ""
    stop_grace_seconds: float = 10.0
    pod_patch: PodPatch | None = None
    build: str = ""
    """The build of tac that a step must have; "": any."""


def work_digest(request: RunRequest, pods: PodSettings) -> str:
    """Return the digest of the work.

    It holds the command, the address of the output, where S3 is (its endpoint, else the ConfigMap),
    and the image, or the pod that the task describes.
    """
    where = pods.s3_endpoint_url or pods.config_map
    own = pods.image if request.pod is None else identity_of_pod(copy_pod(request))
    return names.digest(own, where, request.output, *map(without_credentials, request.argv))


def build_step_job(request: RunRequest, pods: PodSettings) -> dict[str, Any]:
    """Build the Job of a step, without its attempt's number and its namespace.

    Raises:
        ConfigError: a limit is no amount, the pod patch does not fit, or the task describes a pod
            or labels that cannot be.
    """
    step, work = names.step_of(request.name), work_digest(request, pods)
    ours = {**names.MANAGED, names.STEP: names.slug(step), names.WORK: work}
    labels = {**_LABELS, **labels_of(request), **ours}
    template = _template(request, pods, labels)
    if request.pod is not None:
        template["spec"] = _own_pod(request)
    job = build_job(
        f"{step}-{work}",
        request,
        labels=labels,
        annotations={
            # By it the sweep finds what killed drivers left; a Job that is kept is none of that.
            **({} if request.keep else {names.OUTPUT: request.output}),
            names.COMMAND: shlex.join(map(redacted, request.argv)),
            names.VERSION: tac.__version__,
        },
        template=template,
    )
    job["spec"] |= {"completions": 1, "parallelism": 1}
    return job


def build_pod(request: RunRequest, pods: PodSettings) -> dict[str, Any]:
    """Build the spec of a step's pod, as the settings and their patch describe it.

    Raises:
        ConfigError: as `build_step_job`.
    """
    spec: dict[str, Any] = _template(request, pods, _LABELS)["spec"]
    return spec


def _template(request: RunRequest, pods: PodSettings, labels: Mapping[str, str]) -> dict[str, Any]:
    template = {"metadata": {"labels": dict(labels)}, "spec": _pod(request, pods)}
    return template if pods.pod_patch is None else apply_patch(template, pods.pod_patch)


def _own_pod(request: RunRequest) -> dict[str, Any]:
    """Return the pod that the task describes, with the memory that this attempt is given."""
    pod = copy_pod(request)
    if pod.setdefault("restartPolicy", "Never") != "Never":
        raise ConfigError(
            f"{request.name}: spec_schema.restartPolicy: is {pod['restartPolicy']!r}, and tac "
            "counts pods",
            hint="leave it out: tac itself tries a step again",
        )
    if request.memory:
        set_memory(pod, format_memory(request.memory))
    return pod


def apply_patch(template: Mapping[str, Any], patch: PodPatch) -> dict[str, Any]:
    """Return a patched pod template; the argument is not changed.

    Raises:
        ConfigError: the patch does not fit, or removes what tac needs.
    """
    patched = patch.apply(copy.deepcopy(dict(template)))
    _check(template, patched, patch.source)
    return patched


def _pod(request: RunRequest, pods: PodSettings) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        # With 0 a deleted pod leaves the API at once, before its exit code can be read.
        "terminationGracePeriodSeconds": max(1, math.ceil(pods.stop_grace_seconds)),
        **({"serviceAccountName": pods.service_account} if pods.service_account else {}),
        # Steps do not use the API server, nor the variables of the namespace's Services.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(request, pods)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "tolerations": [],  # a JSON patch may add to what is there, and to nothing else
    }


def _container(request: RunRequest, pods: PodSettings) -> dict[str, Any]:
    references = [
        *([{"configMapRef": {"name": pods.config_map}}] if pods.config_map else []),
        *([{"secretRef": {"name": pods.secret}}] if pods.secret else []),
    ]
    return {
        "name": CONTAINER,
        "image": pods.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [_literal(word) for word in request.argv],
        "env": _environment(request, pods),
        **({"envFrom": references} if references else {}),
        "resources": _resources(memory=request.memory or pods.memory, cpu=request.cpu or pods.cpu),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "tmp", "mountPath": _HOME}],
        # The end of a failed step's log is in the pod's status too, which outlives the log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _environment(request: RunRequest, pods: PodSettings) -> list[dict[str, str]]:
    endpoint = {"AWS_ENDPOINT_URL_S3": pods.s3_endpoint_url} if pods.s3_endpoint_url else {}
    whole = {
        **passed_on(request.environment, elsewhere=True),
        **endpoint,
        "HOME": _HOME,
        **({names.DRIVER_VERSION: pods.build} if pods.build else {}),
    }
    return [{"name": name, "value": _literal(value)} for name, value in sorted(whole.items())]


def _literal(text: str) -> str:
    """Escape what Kubernetes would expand: `$(NAME)`, and `$$` for `$`."""
    return _FILLED_IN.sub("$$", text)


def _resources(*, memory: str, cpu: str) -> dict[str, Any]:
    """Return the requests and limits of a step.

    The memory request equals the limit: a pod that uses more than its request is evicted first.
    The CPU request has no limit: a limit throttles a program for the rest of each 100 ms even on
    an idle node, and a step has one thread for numbers anyway. That makes a pod Burstable, not
    Guaranteed; but as it never uses more memory than its request, a node under memory pressure
    evicts it as late:
    https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    asked = {"cpu": format_cpu(cpu)} if cpu else {}
    limits = {"memory": format_memory(memory)} if memory else {}
    whole = {"requests": asked | limits, "limits": limits}
    return {name: amounts for name, amounts in whole.items() if amounts}


def _check(template: Mapping[str, Any], patched: Mapping[str, Any], source: str) -> None:
    """Refuse a patch that removes the labels or fields that tac relies on."""
    labels = _mapping(_mapping(patched.get("metadata")).get("labels"))
    for label, value in _mapping(_mapping(template.get("metadata")).get("labels")).items():
        if label in _OURS and labels.get(label) != value:
            raise ConfigError(
                f"{source}: template.metadata.labels: {label} is changed by the patch, and tac "
                "finds its pods by it",
                hint="add labels of other names",
            )
    before, after = _mapping(template.get("spec")), _mapping(patched.get("spec"))
    if before.get("restartPolicy") != after.get("restartPolicy"):
        raise ConfigError(
            f"{source}: template.spec.restartPolicy: is changed by the patch, and tac counts pods",
            hint="leave it out: tac itself tries a step again",
        )
    there = _by_name(after)
    for name, container in _by_name(before).items():
        if name not in there:
            raise ConfigError(
                f"{source}: template.spec.containers: {name!r} is removed by the patch",
                hint="change it by its name, or put others beside it",
            )
        if name == CONTAINER:
            _check_step(container, there[name], source)


def _check_step(before: Mapping[str, Any], after: Mapping[str, Any], source: str) -> None:
    for part in ("image", "command", "args"):
        if before.get(part) != after.get(part):
            raise ConfigError(
                f"{source}: template.spec.containers[{CONTAINER}].{part}: is changed by the patch, "
                "and tells one work from another",
                hint="name the image by TAC_IMAGE (`--image`); the command is the task's",
            )


def _by_name(pod: Mapping[str, Any]) -> dict[Any, Mapping[str, Any]]:
    containers = pod.get("containers")
    found = map(_mapping, containers if isinstance(containers, list) else [])
    return {str(container.get("name")): container for container in found}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
