"""A real Kubernetes: the one of KUBECONFIG, a namespace of a test's own in it, and wires to cut."""

import contextlib
import itertools
import json
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest

from tac.errors import Forbidden
from tac.kubernetes.client.api import Client, LogStream, Watch
from tests.support.processes import until
from tests.support.wire import Wire

E = TypeVar("E", bound=Exception)
COMMAND_SECONDS = 60.0

failed = pytest.StashKey[bool]()
"""Whether the test itself failed; set by the hook of the tier."""

_numbers = itertools.count(1)
_run = secrets.token_hex(3)


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes cluster that answers, as kubectl knows it."""

    context: str
    server: str
    config: dict[str, Any] = field(repr=False)
    """Its kubeconfig, whole, with one context only."""
    environment: dict[str, str] = field(repr=False)
    """What kubectl is run with, whatever a test makes of its own environment."""

    def kubectl(self, *words: str, given: object = None) -> str:
        """Run kubectl and return what it prints; `given` is what it reads."""
        return _kubectl(*words, environment=self.environment, given=given)

    def get(self, *words: str) -> Any:
        """Return an object, or a list of them."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    @property
    def cluster(self) -> dict[str, Any]:
        """What the kubeconfig says of the API server."""
        return dict(self.config["clusters"][0]["cluster"])

    @property
    def user(self) -> dict[str, Any]:
        """What the kubeconfig says of the user."""
        return dict(self.config["users"][0]["user"])

    @property
    def address(self) -> tuple[str, int]:
        """Where the API server listens."""
        parts = urlsplit(self.server)
        return str(parts.hostname), parts.port or 443

    def write_config(
        self, path: Path, *, user: object = None, name: str = "t", **cluster: object
    ) -> Path:
        """Write a kubeconfig for this cluster with another user, or another way to it."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "clusters": [{"name": name, "cluster": {**self.cluster, **cluster}}],
            "users": [{"name": name, "user": self.user if user is None else user}],
        }
        path.write_text(json.dumps(config))
        return path


def _kubectl(*words: str, environment: dict[str, str], given: object = None) -> str:
    done = subprocess.run(
        ["kubectl", *words],
        env=environment,
        input=None if given is None else json.dumps(given),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(words)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The Kubernetes cluster of KUBECONFIG; none is an error that says how to get one."""
    environment = dict(os.environ)  # noqa: TID251 # kubectl's own
    named = environment.get("KUBECONFIG", "~/.kube/config")
    view = ("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    try:
        _kubectl("get", "--raw", "/readyz", environment=environment)
        config = json.loads(_kubectl(*view, environment=environment))
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(
            f"the tier `cluster` needs a Kubernetes, and none answers for {named}: {error}\n"
            "Start one with `make cluster NODES=2`, and export what it prints."
        ) from error
    server = config["clusters"][0]["cluster"]["server"]
    return Cluster(config["current-context"], server, config, environment)


@pytest.fixture
def api_namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own; what is in it is printed when the test fails."""
    name = f"tac-test-{_run}-{next(_numbers)}"
    cluster.kubectl("create", "namespace", name)
    try:
        # A pod is refused before its service account is there; the ConfigMap would be a late event.
        until(lambda: _is_furnished(cluster, name), f"what belongs to namespace {name}")
        yield name
    finally:
        if request.node.stash.get(failed, False):
            print(_describe(cluster, name))
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def _is_furnished(cluster: Cluster, namespace: str) -> bool:
    made = ("serviceaccount/default", "configmap/kube-root-ca.crt")
    more = ("-n", namespace, "--ignore-not-found", "-o", "name")
    return cluster.kubectl("get", *made, *more).splitlines() == [*made]


def create_quota(cluster: Cluster, namespace: str, name: str, hard: str) -> None:
    """Create a quota that holds from now on."""
    cluster.kubectl("create", "quota", name, f"--hard={hard}", "-n", namespace)
    # What is admitted is judged by its status, which a controller writes a moment later.
    until(
        lambda: cluster.get("quota", name, "-n", namespace)["status"].get("used"),
        f"a quota {name} that holds",
    )


def _describe(cluster: Cluster, namespace: str) -> str:
    with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
        return "\n".join(
            [
                cluster.kubectl("get", "jobs,pods", "-o", "wide", "-n", namespace),
                cluster.kubectl("get", "events", "-n", namespace),
                cluster.kubectl("describe", "pods", "-n", namespace),
            ]
        )
    return f"namespace {namespace}: could not be described"


@pytest.fixture(scope="session")
def actor(cluster: Cluster) -> str:
    """The image of actor.go, on every node."""
    from tests.support.record import load_actor
    from tests.support.story import ACTOR

    load_actor()
    return ACTOR


@pytest.fixture
def wire(cluster: Cluster) -> Iterator[Wire]:
    """Another address of the API server, which can be cut."""
    wire = Wire(lambda: socket.create_connection(cluster.address))
    yield wire
    wire.cut()


class Reader(threading.Thread):
    """Reads a stream to its end in a thread of its own."""

    def __init__(self, stream: Watch | LogStream) -> None:
        super().__init__(daemon=True)
        self.stream = stream
        self.found: list[Any] = []
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            for each in self.stream:
                self.found.append(each)
        except Exception as error:  # noqa: BLE001 # the test looks at it
            self.error = error

    def ends_within(self, seconds: float) -> bool:
        """Whether it has come to its end by then."""
        self.join(seconds)
        return not self.is_alive()


def is_reading(reader: Reader) -> bool:
    """Whether the thread waits for the server: it holds the stream for itself."""
    if reader.stream._lock.acquire(blocking=False):
        reader.stream._lock.release()
        return False
    return True


def refused(ask: Callable[[], object], kind: type[E]) -> E:
    """Ask for what is refused, and return the error, which is of exactly this kind."""
    with pytest.raises(kind) as caught:
        ask()
    assert type(caught.value) is kind
    return caught.value


def who(client: Client) -> str:
    """The user that the server takes us for, from its refusal."""
    error = refused(lambda: client.create("Secret", {"metadata": {"name": "one"}}), Forbidden)
    return error.message.partition('User "')[2].partition('"')[0].rpartition(":")[2]
