"""The Job of a pod that somebody else described: pure, as Luigi's class wants it told.

What is in the pod stays the user's: nothing is added to it but when to leave a lost node, and a
`restartPolicy` where there is none. By the labels the Job is found again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tac
from tac import names
from tac.errors import ConfigError
from tac.kubernetes.manifests.defaults import KEPT_SECONDS, leave_lost_nodes
from tac.redaction import without_credentials

_PREFIX = "tac/"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_PART}")


@dataclass(frozen=True)
class PodSpecJob:
    """What a task of Luigi's kind says of its Job."""

    name: str
    identity: Sequence[str]
    """What tells the work apart from other work, beside the name and the pod."""

    pod: Mapping[str, Any]
    """The pod's spec, in API spelling; mappings and sequences of any kind."""

    labels: Mapping[str, Any] = field(default_factory=dict)
    backoff_limit: int = 6
    active_deadline_seconds: int | None = None


def build_pod_spec_job(asked: PodSpecJob) -> dict[str, Any]:
    """Build the Job, without its attempt's number; what was given stays as it is.

    Raises:
        ConfigError: the pod cannot be sent, or a label is none or is not the user's to give.
    """
    where = f"{asked.name}: spec_schema"
    pod = _plain(asked.pod, where)
    if not isinstance(pod, dict) or not pod.get("containers"):
        raise ConfigError(
            f"{where} has no containers",
            hint='write it like {"containers": [{"name": …, "image": …, "command": […]}]}',
        )
    described = without_credentials(json.dumps(pod, sort_keys=True))
    work = names.digest(asked.name, *asked.identity, described)
    pod.setdefault("restartPolicy", "Never")
    leave_lost_nodes(pod)
    labels = {
        names.APPLICATION: "tac",
        names.COMPONENT: "job",
        "spawned_by": "luigi",
        **_labels(asked),
        **names.MANAGED,
        names.STEP: names.slug(asked.name),
        names.WORK: work,
        names.TASK_ID: work,
    }
    deadline = asked.active_deadline_seconds
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{names.slug(asked.name)}-{work}",
            "labels": labels,
            "annotations": {names.VERSION: tac.__version__},
        },
        "spec": {
            "backoffLimit": asked.backoff_limit,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            **({} if deadline is None else {"activeDeadlineSeconds": deadline}),
            "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
        },
    }


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


def _labels(asked: PodSpecJob) -> dict[str, str]:
    return dict(_label(str(key), value, asked.name) for key, value in asked.labels.items())


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
