"""What runners without pods honour of a pod that a task describes, and what they ignore. Pure.

Its first container's image, command, literal variables, memory and processors can be; the rest of
the pod that differs from the one that the settings describe is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_HONOURED = ("name", "image", "command", "args", "env", "resources")
_OF_A_CONTAINER = ("image", "resources")
"""What a process on this machine has none of."""


@dataclass(frozen=True)
class DescribedContainer:
    """The first container of a pod, and what else is in the pod."""

    image: str = ""
    argv: tuple[str, ...] = ()
    """Its command; nothing: as the settings describe it."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    memory: str = ""
    cpu: str = ""
    ignored: tuple[str, ...] = ()
    """The fields that only a pod can have."""

    ignored_by_processes: tuple[str, ...] = ()
    """These, and those that only a container can have."""


def read_container(pod: Mapping[str, Any], default: Mapping[str, Any]) -> DescribedContainer:
    """Read the first container of a pod; `default` is the pod that the settings describe."""
    first, *others = pod["containers"]
    usual = default["containers"][0]
    changed = {name for name, value in first.items() if value != usual.get(name)}
    ignored = [
        *(
            name
            for name, value in pod.items()
            if name != "containers" and value != default.get(name)
        ),
        *(f"containers[{each.get('name')}]" for each in others),
        *(f"containers[0].{name}" for name in first if name in changed and name not in _HONOURED),
    ]
    command = [*(first.get("command") or ()), *(first.get("args") or ())]
    added = [each for each in first.get("env") or () if each not in (usual.get("env") or ())]
    ignored += [f"containers[0].env[{each['name']}]" for each in added if "value" not in each]
    limits, requests = (
        (first.get("resources") or {}).get(kind) or {} for kind in ("limits", "requests")
    )
    ignored += [
        f"containers[0].resources[{name}]"
        for name in {**limits, **requests}
        if name not in {"memory", "cpu"}
    ]
    of_a_container = [f"containers[0].{name}" for name in _OF_A_CONTAINER if name in changed]
    return DescribedContainer(
        image=str(first.get("image", "")),
        argv=tuple(map(str, command)) if {"command", "args"} & changed else (),
        variables={each["name"]: str(each["value"]) for each in added if "value" in each},
        memory=str(limits.get("memory", "")),
        cpu=str(requests.get("cpu", limits.get("cpu", ""))),
        ignored=tuple(ignored),
        ignored_by_processes=(*ignored, *of_a_container),
    )
