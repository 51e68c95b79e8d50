"""Which Kubernetes cluster and which namespace, for messages and commands of kubectl."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

IN_CLUSTER = "in-cluster"
"""The name of the context that a pod's own service account is."""


@dataclass(frozen=True)
class Place:
    """Where requests go, for people: the first line of a run shows it."""

    context: str
    namespace: str
    server: str

    kubeconfig: str = ""
    """The file that was named instead of the usual ones."""

    @property
    def kubectl(self) -> str:
        """How a command begins that a person can paste; inside a pod there is no context to name.

        It is named even where it is the current one: when the command is pasted, it may not be.
        """
        chosen = [] if self.context == IN_CLUSTER else ["--context", self.context]
        file = ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        return shlex.join(["kubectl", *file, *chosen])

    @property
    def kubectl_here(self) -> str:
        """How one begins that is about something in the namespace."""
        return f"{self.kubectl} --namespace {shlex.quote(self.namespace)}"
