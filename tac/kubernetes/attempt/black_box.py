"""The black box of a failed attempt: all that is known of it, kept before it is deleted.

One object of the store, published whole: `_tac/attempts/JOB/UID.json` holds the Job, its pods,
their events, the end of every container's log, and the verdict. The first driver writes it.
A file is its owner's alone, because a step says in its log what it likes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import tac
from tac.errors import ApiError, ApiUnavailable
from tac.kubernetes.objects import has_begun
from tac.redaction import MARK, redacted
from tac.store import store_of

if TYPE_CHECKING:
    from tac.kubernetes.client.api import Client
    from tac.kubernetes.watch.reflector import View
    from tac.verdict import Verdict

LINES, BYTES = 1000, 1 << 20
"""How much of each container's log is kept."""


_SECRET_VARIABLE = re.compile(r"(?i)passw|secret|token|credential|authorization|_key(_|$)")
"""Names of variables in a container's `env` whose values are secrets."""

_NOT_ASKED = "(not read: its node does not answer)"


def address_of(store: str, job: str, uid: str) -> str:
    """Return where the black box of a Job is, or will be."""
    return f"{store.rstrip('/')}/_tac/attempts/{job}/{uid}.json"


def keep_black_box(
    client: Client, view: View, verdict: Verdict | None, store: str, *, logs: bool = True
) -> str:
    """Keep what is known of a Job; return its address. Without a verdict no driver had followed it.

    Without `logs` their place says why: the node that has them does not answer.

    Raises:
        TacError: the store did not take it.
    """
    job = view.job or view.was or {}
    metadata = job.get("metadata", {})
    address = address_of(store, metadata.get("name", "unknown"), metadata.get("uid", "unknown"))
    if store_of(address).exists(address, fresh=True):
        return address
    box = {
        "tac": tac.__version__,
        "verdict": None if verdict is None else _fields(verdict),
        "job": job,
        "pods": view.pods,
        "events": [event for uid in view.uids for event in _events(client, uid)],
        "logs": {
            f"{pod['metadata']['name']}/{name}": (
                _log(client, pod["metadata"]["name"], name) if logs else _NOT_ASKED
            )
            for pod in view.pods
            for name in _that_began(pod)
        },
    }
    with store_of(address).create(address, private=True) as draft:
        draft.file.write(json.dumps(without_secrets(box), indent=1).encode())
    return address


def without_secrets(box: Any) -> Any:
    """Return it without what is secret in the addresses in it, and the values of secret variables.

    tac's own Jobs name their secrets by reference. The pod of a task that describes its own, and
    what a step logs, hold whatever was written there.
    """
    if isinstance(box, str):
        return redacted(box)
    if isinstance(box, list | tuple):
        return [without_secrets(each) for each in box]
    if not isinstance(box, dict):
        return box
    secret = isinstance(box.get("value"), str) and _SECRET_VARIABLE.search(str(box.get("name")))
    return {
        key: MARK if secret and key == "value" else without_secrets(value)
        for key, value in box.items()
    }


def _fields(verdict: Verdict) -> dict[str, Any]:
    return {name: value for name, value in vars(verdict).items() if value is not None}


def _events(client: Client, uid: str) -> list[dict[str, Any] | str]:
    try:
        found = client.list("Event", fields=f"involvedObject.uid={uid}")
    except (ApiError, ApiUnavailable) as error:  # that they cannot be read is a fact to keep too
        return [f"(not read: {error.message})"]
    events: list[dict[str, Any] | str] = found["items"]
    return events


def _that_began(pod: dict[str, Any]) -> list[str]:
    status = pod.get("status") or {}
    statuses = (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    )
    return [each["name"] for each in statuses if has_begun(each)]


def _log(client: Client, pod: str, container: str) -> str:
    try:
        said = client.read_log(pod, container, tail_lines=LINES, limit_bytes=BYTES)
    except (ApiError, ApiUnavailable) as error:
        return f"(not read: {error.message})"
    return said.decode("utf-8", errors="replace")
