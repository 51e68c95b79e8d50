"""The events of the Jobs and pods of a namespace, recorded by a watch."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tac import names
from tac.errors import ApiUnavailable
from tac.kubernetes.client.api import Client, Watch

OURS = ",".join(f"{name}={value}" for name, value in names.MANAGED.items())


@dataclass
class Journal:
    """Jobs and pods of ours that were made, by their uids, as they were last."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def succeeded(self) -> Counter[str]:
        """How often each piece of work was done to its end."""
        done = (pod for pod in self.pods.values() if _exit_codes(pod) == [0])
        return Counter(pod["metadata"]["labels"][names.STEP] + _work(pod) for pod in done)

    @property
    def nodes(self) -> set[str]:
        """Where pods were."""
        return {pod["spec"]["nodeName"] for pod in self.pods.values()}


def _work(thing: dict[str, Any]) -> str:
    return f" {thing['metadata']['labels'][names.WORK]}"


def _exit_codes(pod: dict[str, Any]) -> list[int]:
    states = [each["state"] for each in pod["status"].get("containerStatuses", ())]
    return [state["terminated"]["exitCode"] for state in states if "terminated" in state]


@contextlib.contextmanager
def journal(namespace: str) -> Iterator[Journal]:
    """Note what happens to our Jobs and pods inside the block."""
    kept = Journal()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.closing(Client(namespace=namespace)))
        for kind, things in (("Job", kept.jobs), ("Pod", kept.pods)):
            version = client.list(kind, labels=OURS)["metadata"]["resourceVersion"]
            watch = client.watch(kind, labels=OURS, resource_version=version, timeout_seconds=600)
            stack.enter_context(watch)
            thread = threading.Thread(target=_note, args=(watch, things), daemon=True)
            thread.start()
            stack.callback(thread.join, 10)
            stack.callback(watch.close)
        yield kept


def _note(watch: Watch, things: dict[str, dict[str, Any]]) -> None:
    with contextlib.suppress(ApiUnavailable):  # closed when the block has ended
        for event in watch:
            uid = event["object"]["metadata"].get("uid")
            if event["type"] == "ADDED" or uid in things:
                things[uid] = event["object"]
