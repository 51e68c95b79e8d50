"""The Job of a KubernetesJobTask, which describes its pod: pure, from request to manifest.

That of a StepTask that overrides `spec_schema` is made in `step_job.py` (`_own_pod`).
The pod is sent as it is, with tolerations for lost nodes and a default `restartPolicy` added.
tac finds the Job again by its labels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tac
from tac import names
from tac.errors import ConfigError
from tac.kubernetes.manifests.defaults import build_job
from tac.redaction import without_credentials

if TYPE_CHECKING:
    from tac.request import RunRequest

_PREFIX = "tac/"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_PART}")


def build_pod_spec_job(request: RunRequest) -> dict[str, Any]:
    """Build the Job of a pod that its task describes, without its attempt's number.

    What was given stays as it is.

    Raises:
        ConfigError: the pod cannot be sent, or a label is invalid or tac's own.
    """
    pod = copy_pod(request)
    work = names.digest(request.name, *request.identity, identity_of_pod(pod))
    pod.setdefault("restartPolicy", "Never")
    labels = {
        names.APPLICATION: "tac",
        names.COMPONENT: "job",
        "spawned_by": "luigi",
        **labels_of(request),
        **names.MANAGED,
        names.STEP: names.slug(request.name),
        names.WORK: work,
        names.TASK_ID: work,
    }
    return build_job(
        f"{names.slug(request.name)}-{work}",
        request,
        labels=labels,
        annotations={names.VERSION: tac.__version__},
        template={"metadata": {"labels": dict(labels)}, "spec": pod},
    )


def copy_pod(request: RunRequest) -> dict[str, Any]:
    """Return a copy of the pod that a task describes, in what JSON has.

    Raises:
        ConfigError: it cannot be sent.
    """
    where = f"{request.name}: spec_schema"
    pod = _plain(request.pod, where)
    if not isinstance(pod, dict) or not pod.get("containers"):
        raise ConfigError(
            f"{where} has no containers",
            hint='write it like {"containers": [{"name": …, "image": …, "command": […]}]}',
        )
    return pod


def identity_of_pod(pod: Mapping[str, Any]) -> str:
    """Write a pod as it tells one work from another: without credentials, which may change."""
    return without_credentials(json.dumps(pod, sort_keys=True))


def set_memory(pod: dict[str, Any], memory: str) -> None:
    """Limit the first container to so much memory; a request that was as large grows with it."""
    resources = pod["containers"][0].setdefault("resources", {})
    limits, requests = resources.setdefault("limits", {}), resources.get("requests", {})
    if requests.get("memory") == limits.get("memory") is not None:
        requests["memory"] = memory
    limits["memory"] = memory


def labels_of(request: RunRequest) -> dict[str, str]:
    """Return the labels that a task gives its Job and pod, as text.

    Raises:
        ConfigError: one is invalid, or tac's own.
    """
    return dict(_label(str(key), value, request.name) for key, value in request.labels.items())


def _plain(value: Any, where: str) -> Any:
    """Copy a value into what JSON has: Luigi's DictParameter freezes mappings and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{where}[{number}]") for number, each in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ConfigError(
        f"{where}: {value!r} is a {type(value).__name__}, which a manifest cannot hold",
        hint="write it as text or as a number",
    )


def _label(key: str, value: Any, name: str) -> tuple[str, str]:
    """Write a label as Kubernetes takes it: numbers and dates become text, nothing else changes."""
    about, text = f"{name}: label {key!r}", str(value)
    if key in names.MANAGED or key == names.TASK_ID or key.startswith(_PREFIX):
        raise ConfigError(f"{about}: tac finds its Jobs by it", hint="choose another name for it")
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{about}: is no name of a label",
            hint="63 letters, digits, - _ and . at most, a domain and a slash before them",
        )
    if not _VALUE.fullmatch(text):
        raise ConfigError(
            f"{about}: {text!r} is no value of a label",
            hint="63 letters, digits, - _ and . at most, a letter or a digit at both ends",
        )
    return key, text
