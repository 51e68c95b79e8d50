"""The Kubernetes that benchmarks/dag.py runs on: a namespace of its own, an image, a look at it."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import click
import requests
from pykube import HTTPClient, Job, KubeConfig, Namespace, Node, Pod, ServiceAccount
from pykube.exceptions import PyKubeError
from yaml import YAMLError

ROOT = Path(__file__).parents[1]
HACK = ROOT / "hack/kubernetes"
NOOP = "tac-benchmark-noop:1"
ANSWER_SECONDS = 10
SECONDS = 120
"""Longer than anything here takes, on a machine that is busy."""


class Unusable(click.ClickException):
    """There is no Kubernetes to measure on, or something that it needs is missing."""

    exit_code = 2


@dataclass
class Cluster:
    """The Kubernetes of KUBECONFIG."""

    kubeconfig: str
    node: str = ""
    namespace: str = field(default_factory=lambda: f"tac-benchmark-{secrets.token_hex(3)}")

    def api(self, timeout: float = SECONDS) -> HTTPClient:
        """Make a client; each thread has its own."""
        return HTTPClient(KubeConfig.from_file(self.kubeconfig), timeout=timeout)

    @property
    def state(self) -> Path | None:
        """The folder of `make cluster`, if that is what it is."""
        folder = Path(self.kubeconfig).parent
        return folder if (folder / "ready").exists() else None

    def count(self) -> int:
        """Say how many Jobs and pods are in the namespace."""
        api = self.api()
        return sum(len(kind.objects(api, namespace=self.namespace)) for kind in (Job, Pod))

    def delete_jobs(self) -> None:
        """Delete all Jobs, and wait until their pods are deleted too."""
        api = self.api()
        for job in Job.objects(api, namespace=self.namespace):
            job.delete(propagation_policy="Background")
        wait_until(lambda: not self.count(), f"an empty namespace {self.namespace}")

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """Make the namespace, and remove it behind."""
        api = self.api()
        space = Namespace(
            api,
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
        )
        space.create()
        try:
            accounts = ServiceAccount.objects(api, namespace=self.namespace)
            wait_until(lambda: accounts.get_or_none(name="default"), "a service account")
            yield
        finally:
            space.delete()


def find_cluster(node: str = "") -> Cluster:
    """Return the Kubernetes that KUBECONFIG leads to, if it answers."""
    named = os.environ.get("KUBECONFIG", "")  # noqa: TID251 # kubectl's own
    path = Path(named or "~/.kube/config").expanduser()
    if not path.is_file():
        raise Unusable(
            f"KUBECONFIG: {named or path} is not a file, so there is no Kubernetes to measure on\n"
            "Hint: `make cluster NODES=2` starts one here, and prints what to export"
        )
    found = Cluster(str(path.absolute()))
    try:
        api = found.api(ANSWER_SECONDS)
        server = api.url
    except (PyKubeError, YAMLError, OSError, KeyError, TypeError) as error:
        raise Unusable(f"{path}: cannot be read as a kubeconfig: {type(error).__name__}") from error
    try:
        nodes = sorted(each.name for each in Node.objects(api))
    except (PyKubeError, requests.RequestException) as error:
        raise Unusable(
            f"{path}: no API server answers us at {server}: {type(error).__name__}\n"
            "Hint: `kubectl get nodes` says more"
        ) from error
    if node and node not in nodes:
        raise Unusable(f"--node {node}: there is none of that name, but {', '.join(nodes)}")
    found.node = node or nodes[0]
    return found


def load_noop(cluster: Cluster, folder: Path) -> str:
    """Build the image that does nothing, and bring it to the nodes of `make cluster`."""
    if cluster.state is None:
        raise Unusable(
            f"{cluster.kubeconfig}: is not of `make cluster`, so no image can be brought there\n"
            "Hint: name one that its nodes have or can pull, by --image and --command"
        )
    program, archive = folder / "noop", folder / "noop.tar"
    build = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", program]
    run([*build, ROOT / "benchmarks/noop.go"], CGO_ENABLED="0")
    run([sys.executable, HACK / "image.py", NOOP, archive, program])
    run([HACK / "load-image.sh", archive], TAC_KUBERNETES_STATE=str(cluster.state))
    return f"docker.io/library/{NOOP}"


def run(command: list[Any], **environment: str) -> str:
    """Run a command that must succeed, and return what it prints."""
    own = dict(os.environ)  # noqa: TID251 # a child's
    try:
        ended = subprocess.run(
            list(map(str, command)),
            env=own | environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise Unusable(f"{command[0]}: not found") from error
    if ended.returncode != 0:
        line = " ".join(map(str, command))
        raise click.ClickException(f"{line}: exit {ended.returncode}\n{ended.stderr[-2000:]}")
    return ended.stdout


def load() -> str:
    """Say what else this machine does."""
    one, five, fifteen = os.getloadavg()
    return f"load {one:.1f}, {five:.1f}, {fifteen:.1f} on {os.cpu_count()} processors"


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise click.ClickException(f"waited {SECONDS} s in vain for {what}")
        time.sleep(0.1)  # between two looks, before the deadline


class PodWatcher(threading.Thread):
    """Watches the pods of the namespace, independently of the contender under test."""

    def __init__(self, cluster: Cluster, kind: type[Job | Pod]) -> None:
        super().__init__(daemon=True)
        self._objects = kind.objects(cluster.api(), namespace=cluster.namespace)
        self._seen: dict[str, SeenPod] = {}
        self._lock = threading.Lock()
        self._ready = threading.Event()

    def begin(self) -> Self:
        """Return once the watch is open. It ends with the process: a read cannot be interrupted."""
        self.start()
        if not self._ready.wait(SECONDS):
            raise click.ClickException(f"the API server did not answer for {SECONDS} s")
        return self

    def run(self) -> None:
        """List, and watch from there; for as long as it takes."""
        while True:
            with contextlib.suppress(requests.RequestException, PyKubeError):
                listed = self._objects.all()
                version = listed.response["metadata"]["resourceVersion"]
                for each in listed:
                    self._note(each.obj)
                self._ready.set()
                for event in listed.watch(since=version):
                    self._note(event.object.obj)
            time.sleep(0.1)  # no busy loop while the server refuses

    def since(self, moment: float) -> list[SeenPod]:
        """Return what has been made since a moment, in its order."""
        with self._lock:
            return [seen for seen in self._seen.values() if seen.first > moment]

    def _note(self, pod: dict[str, Any]) -> None:
        with self._lock:
            seen = self._seen.setdefault(pod["metadata"]["uid"], SeenPod(time.time(), pod))
            seen.pod = pod


@dataclass
class SeenPod:
    """When something was first seen, by this machine's clock, and how it was last."""

    first: float
    pod: dict[str, Any]
