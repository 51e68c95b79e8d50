"""A Kubernetes runner of a test's own, in a namespace of its own, of which nothing may be left."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tac import names, settings
from tac.kubernetes.attempt.session import Session
from tac.kubernetes.attempt.timeouts import Timeouts
from tac.kubernetes.client.api import Client
from tac.runners.kubernetes import KubernetesRunner
from tac.verdict import Verdict
from tests.support.api_proxy import ApiProxy, api_proxy
from tests.support.cluster import Cluster
from tests.support.deployment import is_ours, load_tac
from tests.support.engine import Engine
from tests.support.place import Place
from tests.support.processes import environment, until

GRACE_SECONDS = 2.0
DEADLINE_SECONDS = 90.0
SELECTOR = ",".join(f"{name}={value}" for name, value in names.MANAGED.items())
WAITS = "echo begun; until [ -e /tmp/go ]; do sleep 0.1; done; sleep 0.3; "
"""The beginning of a script that goes on when it is told to, and when who told it has gone: the
end of a container is the failure of a `kubectl exec` that is still in it."""

ADDED = ("# ", "[  0 %] ")
"""How lines begin that tac adds; it says what a pod waits for if that takes two seconds or more."""

Driver = subprocess.Popen[bytes]


class KubernetesPlace(Place[KubernetesRunner]):
    """A directory, a runner in it, and a namespace that holds nothing else."""

    def __init__(
        self, path: Path, cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        super().__init__(path, "x-0123456789ab", DEADLINE_SECONDS, monkeypatch)
        self.grace_seconds = GRACE_SECONDS
        self.cluster = cluster
        self.namespace = namespace
        self.timeouts = Timeouts()
        self.client = Client(namespace=namespace)
        self._version: str = self.client.list("Pod")["metadata"]["resourceVersion"]

    def new_runner(self) -> KubernetesRunner:
        return KubernetesRunner(stop_grace_seconds=self.grace_seconds, timeouts=self.timeouts)

    @property
    def session(self) -> Session:
        """The one session of the runner, which has run something."""
        [session] = self.runner._sessions.values()
        return session

    def patch_pods(self, patch: object) -> None:
        """Change the pods of what is run from now on."""
        file = self.path / "patch.json"
        file.write_text(json.dumps(patch))
        self.set(TAC_KUBERNETES_POD_PATCH=str(file))

    @contextmanager
    def driver(self, *commands: tuple[str, ...], mode: str = "threads") -> Iterator[Driver]:
        """Run a process that runs commands, each with its name and its output in front."""
        words = (str(self.path), mode, json.dumps(commands))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.kubernetes_driver", *words],
            env=environment(str(self.path)),
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def kubectl(self, *words: str) -> str:
        """Run a command of kubectl in the namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *words)

    def go(self, pod: str = "", file: str = "/tmp/go") -> None:
        """Tell what waits in a pod to go on."""
        self.kubectl("exec", pod or self.pod()["metadata"]["name"], "--", "touch", file)

    @property
    def words(self) -> str:
        """What the last command said, without what tac added."""
        return words_of(self.log)

    @property
    def notes(self) -> list[str]:
        """What tac noted beside it, without what differs from one run to the next."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [plain(line) for line in lines if line[:2] == "# "]

    def until_it_said(self, word: str) -> str:
        """Wait until the last command said a line; return the name of its Job."""
        line = f"{word}\n"
        until(lambda: self.log.exists() and line in self.words, repr(word), self._seconds)
        return str(self.job()["metadata"]["name"])

    def boxes(self) -> list[dict[str, Any]]:
        """The black boxes that were kept, in the order of their attempts."""
        paths = sorted((self.path / "store").glob("_tac/attempts/*/*.json"))
        return [json.loads(path.read_text()) for path in paths]

    def jobs(self) -> list[dict[str, Any]]:
        """Every Job of ours that is there."""
        found: list[dict[str, Any]] = self.client.list("Job", labels=SELECTOR)["items"]
        return found

    def job(self) -> dict[str, Any]:
        """The one Job."""
        (found,) = self.jobs()
        return found

    def pods(self) -> list[dict[str, Any]]:
        """Every pod of ours that is there."""
        found: list[dict[str, Any]] = self.client.list("Pod", labels=SELECTOR)["items"]
        return found

    def pod(self, *, but_not: str = "") -> dict[str, Any]:
        """The one pod, or the other one, once it runs."""

        def running() -> list[dict[str, Any]]:
            return [
                each
                for each in self.pods()
                if each["status"].get("phase") == "Running" and each["metadata"]["name"] != but_not
            ]

        return until(running, "a running pod", DEADLINE_SECONDS)[0]

    def made_pods(self) -> list[str]:
        """The names of all pods that were ever made here, as a watch tells them."""
        asked = self.client.watch(
            "Pod", labels=SELECTOR, resource_version=self._version, timeout_seconds=1
        )
        with asked as watch:
            made = [event["object"] for event in watch if event["type"] == "ADDED"]
        return sorted(pod["metadata"]["name"] for pod in made)

    def until_finished(self, condition: str) -> dict[str, Any]:
        """Wait until the one Job is over, and its controller says how."""

        def finished() -> list[dict[str, Any]]:
            return [
                job
                for job in self.jobs()
                for each in job["status"].get("conditions", [])
                if each["type"] == condition
            ]

        return until(finished, f"a Job that is {condition}", DEADLINE_SECONDS)[0]

    def until_empty(self) -> None:
        """Wait until no Job and no pod is left."""
        until(lambda: not self.jobs() and not self.pods(), "the end of it all", DEADLINE_SECONDS)


def words_of(log: Path) -> str:
    """What the last command said, by its log."""
    text = "\n" + log.read_text(errors="replace")
    return "".join(said(text.rpartition("\n$ ")[2].partition("\n")[2].splitlines(keepends=True)))


def said(told: list[str]) -> list[str]:
    """The lines that a command said, of those that were told."""
    return [line for line in told if not line.startswith(ADDED)]


def message(verdict: Verdict) -> str:
    """A verdict's whole message without what differs from one run to the next."""
    return plain(verdict.message("x"))


def plain(text: str) -> str:
    """A text without what differs from one run to the next."""
    text = re.sub(r"\b\d+\.\d s\b", "T s", text)
    text = re.sub(r"kubectl --context \S+", "kubectl --context C", text)
    text = re.sub(r"--namespace [\w-]+", "--namespace NS", text)
    text = re.sub(r"namespace tac-test-[0-9a-f]{6}-\d+", "namespace NS", text)
    return re.sub(r"\bx-[0-9a-f]{12}-(\d+)(-\w{5}\b)?", _named, text)


def _named(found: re.Match[str]) -> str:
    return f"x-{found[1]}" + ("-POD" if found[2] else "")


@pytest.fixture(scope="session")
def step_image(cluster: Cluster, engine: Engine, image: str) -> str:
    """The image under test, where every node has it."""
    return ":".join(load_tac(engine, image)) if is_ours() else image


@pytest.fixture
def at(
    tmp_path: Path,
    cluster: Cluster,
    api_namespace: str,
    step_image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[KubernetesPlace]:
    """A place of which nothing may be left in the namespace."""
    at = KubernetesPlace(tmp_path, cluster, api_namespace, monkeypatch)
    monkeypatch.chdir(tmp_path)
    at.set(
        TAC_RUNNER="kubernetes",
        TAC_KUBERNETES_NAMESPACE=api_namespace,
        TAC_KUBERNETES_CONFIG_MAP="",
        TAC_KUBERNETES_SECRET="",
        TAC_IMAGE=step_image,
        TAC_STORE=str(tmp_path / "store"),
    )
    # Black boxes go to a directory, which a patch allows: it may bring that to the pods.
    at.patch_pods({"metadata": {"annotations": {"test": "tac"}}})
    try:
        yield at
        at.close()
        assert [job["metadata"]["name"] for job in at.jobs()] == []
    finally:
        at.close()
        at.client.close()
        monkeypatch.undo()
        settings.current.cache_clear()


@pytest.fixture
def proxy(at: KubernetesPlace) -> Iterator[ApiProxy]:
    """What stands between the runner of this place and the API server."""
    with api_proxy(at.cluster.environment) as proxy:
        file = at.cluster.write_config(at.path / "by-proxy", user={}, server=proxy.url)
        at.set(KUBECONFIG=str(file))
        yield proxy
        proxy.mend()
        at.close()
