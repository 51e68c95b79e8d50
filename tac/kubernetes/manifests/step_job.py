"""The Job of a step as the API server wants it told: pure, from a command to a manifest.

A Job is one attempt with one pod, and tries nothing again: tac does (tac/verdict.py).
Its pod has the rights that the strictest Pod Security level allows, `restricted`, and no secret:
where S3 is, and its keys, come from a ConfigMap and a Secret by reference.
"""

from __future__ import annotations

import copy
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tac
from tac import names, settings
from tac.errors import ConfigError
from tac.kubernetes.manifests.defaults import KEPT_SECONDS, leave_lost_nodes
from tac.quantities import format_cpu, format_memory
from tac.redaction import redacted, without_credentials
from tac.step_environment import passed_on

if TYPE_CHECKING:
    from tac.kubernetes.manifests.pod_patch import PodPatch

CONTAINER = "step"
"""The container that runs the command; a pod patch may put others beside it."""

_LABELS = {names.APPLICATION: "tac", names.COMPONENT: CONTAINER, **names.MANAGED}
_OURS = (*_LABELS, names.STEP, names.WORK, names.ATTEMPT)

_HOME = "/tmp"  # noqa: S108 - the container's own, and the only place that it may write to
_FILLED_IN = re.compile(r"\$(?=[$(])")
_USER = 65532  # the image's own: see USER in the Dockerfile


@dataclass(frozen=True)
class Work:
    """What one Job is to do."""

    name: str
    """Its name without the attempt's number: a slug for people and a digest of what it does, of
    where its output goes and of the image."""

    argv: Sequence[str]
    """The command; a first word `python` is the image's."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The environment of the command here; the pod gets what `passed_on` leaves of it."""

    output: str = ""
    memory: str = ""
    cpu: str = ""


@dataclass(frozen=True)
class Terms:
    """What is the same for all steps of a driver."""

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
    """The build of tac that a step must be of; nothing: any."""


def terms_of(chosen: settings.Settings, pod_patch: PodPatch | None, build: str) -> Terms:
    """Return the terms that the settings set; the file of the patch has been read.

    `build` is the driver's.
    """
    return Terms(
        image=chosen.image,
        config_map=chosen.kubernetes_config_map,
        secret=chosen.kubernetes_secret,
        service_account=chosen.kubernetes_service_account,
        s3_endpoint_url=chosen.container_s3_endpoint_url,
        memory=chosen.memory_of(),
        cpu=chosen.cpu_of(),
        stop_grace_seconds=chosen.stop_grace_seconds,
        pod_patch=pod_patch,
        build=build if chosen.checks_build else "",
    )


def work_digest(work: Work, terms: Terms) -> str:
    """Tell work apart from other work: what runs, in which image, and where its output goes."""
    where = terms.s3_endpoint_url or terms.config_map
    return names.digest(terms.image, where, work.output, *map(without_credentials, work.argv))


def build_job(work: Work, terms: Terms) -> dict[str, Any]:
    """Build the Job of a command, without its attempt's number and its namespace.

    Raises:
        ConfigError: a limit is no amount, or the pod patch does not fit.
    """
    labels = {
        **_LABELS,
        names.STEP: names.slug(names.step_of(work.name)),
        names.WORK: work_digest(work, terms),
    }
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": work.name,
            "labels": labels,
            "annotations": {
                names.OUTPUT: work.output,
                names.COMMAND: shlex.join(map(redacted, work.argv)),
                names.VERSION: tac.__version__,
            },
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            # With a podFailurePolicy beside it a Job on a lost node waits for ever (tried).
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": dict(labels)}, "spec": _pod(work, terms)},
        },
    }
    if terms.pod_patch is not None:
        job = apply_patch(job, terms.pod_patch)
    leave_lost_nodes(job["spec"]["template"]["spec"])
    return job


def numbered(manifest: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the manifest of one attempt: its number is in its name and in its labels."""
    job = copy.deepcopy(dict(manifest))
    job["metadata"]["name"] += f"-{number}"
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        metadata["labels"] = {**metadata.get("labels", {}), names.ATTEMPT: str(number)}
    return job


def apply_patch(manifest: Mapping[str, Any], patch: PodPatch) -> dict[str, Any]:
    """Return the Job with its pod template changed as a person wants it.

    Raises:
        ConfigError: the patch does not fit, or takes away what tac needs.
    """
    template = manifest["spec"]["template"]
    patched = patch.apply(copy.deepcopy(template))
    _check(template, patched, patch.source)
    return {**manifest, "spec": {**manifest["spec"], "template": patched}}


def _pod(work: Work, terms: Terms) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        # With 0 a pod that is deleted is gone from the API before its end can be read.
        "terminationGracePeriodSeconds": max(1, math.ceil(terms.stop_grace_seconds)),
        **({"serviceAccountName": terms.service_account} if terms.service_account else {}),
        # A step asks S3, not the API server; its environment need not list a namespace's services.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(work, terms)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "tolerations": [],  # a JSON patch may add to what is there, and to nothing else
    }


def _container(work: Work, terms: Terms) -> dict[str, Any]:
    references = [
        *([{"configMapRef": {"name": terms.config_map}}] if terms.config_map else []),
        *([{"secretRef": {"name": terms.secret}}] if terms.secret else []),
    ]
    return {
        "name": CONTAINER,
        "image": terms.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [_literal(word) for word in work.argv],
        "env": _environment(work, terms),
        **({"envFrom": references} if references else {}),
        "resources": _resources(memory=work.memory or terms.memory, cpu=work.cpu or terms.cpu),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "tmp", "mountPath": _HOME}],
        # The end of what a failed step said stays in its pod's status when the log is gone.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _environment(work: Work, terms: Terms) -> list[dict[str, str]]:
    endpoint = {"AWS_ENDPOINT_URL_S3": terms.s3_endpoint_url} if terms.s3_endpoint_url else {}
    whole = {
        **passed_on(work.environment, elsewhere=True),
        **endpoint,
        "HOME": _HOME,
        **({names.DRIVER_VERSION: terms.build} if terms.build else {}),
    }
    return [{"name": name, "value": _literal(value)} for name, value in sorted(whole.items())]


def _literal(text: str) -> str:
    """Escape what Kubernetes would take for a variable to fill in: `$(NAME)`, and `$$` for `$`."""
    return _FILLED_IN.sub("$$", text)


def _resources(*, memory: str, cpu: str) -> dict[str, Any]:
    """Ask for what a step may use.

    As much memory is asked for as is allowed: who uses more than was asked for is evicted first.
    Processors are asked for and not limited: a limit stops a program for the rest of each 100 ms
    although nobody else wants the processor, and a step has one thread for numbers anyway. That
    makes a pod Burstable, not Guaranteed; but as it never uses more memory than it asked for, a
    node that runs out evicts it as late:
    https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    asked = {"cpu": format_cpu(cpu)} if cpu else {}
    limits = {"memory": format_memory(memory)} if memory else {}
    whole = {"requests": asked | limits, "limits": limits}
    return {name: amounts for name, amounts in whole.items() if amounts}


def _check(template: Mapping[str, Any], patched: Mapping[str, Any], source: str) -> None:
    """Refuse a patch that takes away what tac finds Jobs by, or reads their ends from."""
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
                f"{source}: template.spec.containers: {name!r} is gone after the patch",
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
