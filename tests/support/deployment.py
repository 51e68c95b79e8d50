"""What is in k8s/, deployed on the real Kubernetes by k8s/deploy.sh, in a namespace of its own.

On the Kubernetes of `make cluster` that is the overlay `ci`, with the image under test; on any
other one the overlay `minikube`, and its nodes must be able to pull TAC_TEST_IMAGE.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3.session
import pytest
from botocore.config import Config

from tests.support.cluster import Cluster
from tests.support.engine import Engine
from tests.support.processes import until
from tests.support.s3 import weed

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "k8s"
SCRIPT = FOLDER / "deploy.sh"
LOAD = REPOSITORY / "hack/kubernetes/load-image.sh"
PACK = REPOSITORY / "hack/kubernetes/image.py"
SECONDS = 120.0
"""Longer than anything here takes, on a machine that is busy; but for what is named next."""

LOAD_SECONDS = 600.0
"""It takes this to bring an image of 500 MB to every node, at the most."""

ROLLOUT_SECONDS = 300.0
"""A deployment is ready when its pods are, and removed when its volumes are."""

IMAGE_OF_DRIVER = "spec.jobTemplate.spec.template.spec.containers.0.image"


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> list[str]:
        """What it said, without the commands that it printed."""
        return [line for line in self.err.splitlines() if not line.startswith("+ ")]


def state_folder() -> Path:
    """Where `make cluster` keeps its Kubernetes, if KUBECONFIG is of one."""
    named = os.environ.get("KUBECONFIG", "~/.kube/config")  # noqa: TID251 # kubectl's own
    return Path(named.split(os.pathsep)[0]).expanduser().parent


def is_ours() -> bool:
    """Tell whether the Kubernetes is that of `make cluster`."""
    return (state_folder() / "ready").exists()


def run(*command: object, stdin: str = "", seconds: float = SECONDS) -> Ended:
    """Run a command to its end."""
    ended = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def output(*command: object, stdin: str = "", seconds: float = SECONDS) -> str:
    """Run a command that must succeed, and return what it prints."""
    ended = run(*command, stdin=stdin, seconds=seconds)
    if ended.code != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {ended.code}\n{ended.err[-4000:]}")
    return ended.out


@dataclass(frozen=True)
class Deployment:
    """An overlay that is deployed."""

    namespace: str
    overlay: Path

    def command(self, *words: object) -> list[str]:
        """A verb of k8s/deploy.sh for this deployment."""
        place = ["--namespace", self.namespace, "--overlay", self.overlay]
        return [str(word) for word in (SCRIPT, *place, *words)]

    def do(self, *words: object, seconds: float = SECONDS) -> Ended:
        """Run a verb to its end."""
        return run(*self.command(*words), seconds=seconds)

    @contextlib.contextmanager
    def doing(self, *words: object) -> "Iterator[subprocess.Popen[str]]":
        """Run a verb; in the end it is killed, with all that it started."""
        process = subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def kubectl(self, *words: object, stdin: str = "") -> str:
        """Run a command of kubectl that must succeed, and return what it prints."""
        return output("kubectl", "--namespace", self.namespace, *words, stdin=stdin)

    def refused(self, *words: object, stdin: str = "") -> str:
        """Run a command of kubectl that must fail, and return what it says."""
        ended = run("kubectl", "--namespace", self.namespace, *words, stdin=stdin)
        assert ended.code != 0, ended.out
        return ended.err.strip()

    def read(self, *words: object) -> Any:
        """Get an object, or a list of them, from the API server."""
        return json.loads(self.kubectl("get", *words, "--output", "json"))

    def pods(self, selector: str) -> list[str]:
        """The pods that the API server selects by these labels."""
        found = self.read("pods", "--selector", selector)
        return sorted(pod["metadata"]["name"] for pod in found["items"])

    @contextlib.contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """The address on this machine that leads to a port of a pod or service."""
        words = ["kubectl", "--namespace", self.namespace, "port-forward", target, f":{port}"]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.match(r"Forwarding from (127\.0\.0\.1:\d+) ", line)
            assert found is not None, f"{' '.join(words)}: {line}"
            yield f"http://{found[1]}"
        finally:
            process.kill()
            process.communicate()

    def secret(self, name: str) -> dict[str, str]:
        """What a Secret holds."""
        encoded = self.read("secret", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in encoded.items()}

    @contextlib.contextmanager
    def s3(self, keys: tuple[str, str] | None = None) -> Iterator[Any]:
        """A client of the S3 in the cluster, with the keys of its Secret or others."""
        own = self.secret("tac-s3")
        session = boto3.session.Session(
            *(keys or (own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"])),
            region_name="us-east-1",
        )
        with self.forwarded("service/s3", 8333) as url:
            # While it starts its answer is 500: try again, as every client of S3 does.
            config = Config(retries={"mode": "standard", "total_max_attempts": 8})
            client = session.client("s3", endpoint_url=url, config=config)
            try:
                yield client
            finally:
                client.close()

    def wait_ready(self, pod: str, but_not: str = "") -> str:
        """Wait until a pod of this name is ready, and is another than `but_not`; return its uid."""

        def uid() -> str:
            ended = run(
                *("kubectl", "--namespace", self.namespace, "get", "pod", pod, "--output"),
                'jsonpath={.metadata.uid} {.status.conditions[?(@.type=="Ready")].status}',
            )
            found, _, ready = ended.out.partition(" ")
            return found if ready == "True" and found != but_not else ""

        return until(uid, f"pod/{pod} ready", SECONDS)


def write_overlay(
    folder: Path, name: str, namespace: str, images: "dict[str, tuple[str, str]] | None" = None
) -> Path:
    """Write an overlay over one of ours: another namespace, other images, volumes of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    base = os.path.relpath(FOLDER / "overlays" / name, folder)  # an absolute one is refused
    changes: dict[str, Any] = {
        "namespace": namespace,
        "resources": [base],
        "images": [
            {"name": image, "newName": new, "newTag": tag}
            for image, (new, tag) in (images or {}).items()
        ],
        "replacements": [
            {
                "source": {"kind": "CronJob", "name": "daily", "fieldPath": IMAGE_OF_DRIVER},
                "targets": [
                    {
                        "select": {"kind": "ConfigMap", "name": "tac"},
                        "fieldPaths": ["data.TAC_IMAGE"],
                    }
                ],
            }
        ],
        "patches": [_volume(folder, each, namespace) for each in ("luigid", "s3") if name == "ci"],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(changes, indent=2))
    return folder


def _volume(folder: Path, name: str, namespace: str) -> dict[str, Any]:
    """Give a volume a folder and a name of its own: volumes belong to no namespace."""
    path = folder / name
    path.mkdir(exist_ok=True)
    path.chmod(0o777)
    patch = [
        {"op": "replace", "path": "/metadata/name", "value": f"{namespace}-{name}"},
        {"op": "replace", "path": "/spec/hostPath/path", "value": str(path)},
    ]
    return {
        "target": {"kind": "PersistentVolume", "name": f"tac-{name}"},
        "patch": json.dumps(patch),
        "options": {"allowNameChange": True},
    }


def load_tac(engine: Engine, image: str) -> tuple[str, str]:
    """Bring the image under test to every node, by a tag that no other image has had."""
    identity = engine.command("image", "inspect", "--format", "{{.Id}}", image).strip()
    name = ("tac", f"test-{identity.removeprefix('sha256:')[:12]}")
    if not _on_every_node(name):
        engine.command("tag", image, ":".join(name))
        _load(":".join(name), engine)
        engine.command("image", "rm", ":".join(name))  # the tag alone: images are not to pile up
    return name


def load_weed(engine: Engine, folder: Path) -> tuple[str, str]:
    """Bring SeaweedFS to every node: the program that the contract tests run, as an image."""
    program = Path(weed())
    digest = hashlib.sha256(program.read_bytes()).hexdigest()[:12]
    name = ("weed", f"test-{digest}")
    if not _on_every_node(name):
        file = folder / "weed.tar"
        output(sys.executable, PACK, ":".join(name), file, program)
        _load(str(file), engine)
        file.unlink()
    return name


def _on_every_node(name: tuple[str, str]) -> bool:
    """Tell whether every node of ours has the image."""
    state = state_folder()
    full = f"docker.io/library/{':'.join(name)}"
    nodes = int((state / "nodes").read_text())
    return all(
        output("ctr", "-a", socket, "-n", "k8s.io", "images", "ls", "-q", f"name=={full}").strip()
        for socket in (state / f"node-{number + 1}/containerd.sock" for number in range(nodes))
    )


def _load(image: str, engine: Engine) -> None:
    place = [f"{key}={value}" for key, value in engine.environment().items()]
    state = f"TAC_KUBERNETES_STATE={state_folder()}"
    output("env", *place, state, LOAD, image, seconds=LOAD_SECONDS)


def new_namespace() -> str:
    """Return a new, unique name."""
    return f"tac-test-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def deployment(
    cluster: Cluster, engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Everything in k8s/, deployed and ready, once a session; nothing of it stays."""
    folder, namespace = tmp_path_factory.mktemp("overlay"), new_namespace()
    if is_ours():
        images = {"tac": load_tac(engine, image), "weed": load_weed(engine, folder)}
        overlay = write_overlay(folder, "ci", namespace, images)
    else:
        name, _, tag = image.rpartition(":")
        overlay = write_overlay(folder, "minikube", namespace, {"tac": (name, tag)})
    made = Deployment(namespace, overlay)
    try:
        applied = made.do("apply", seconds=ROLLOUT_SECONDS)
        assert applied.code == 0, applied.err
        yield made
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):  # the namespace goes all the same
            made.do("remove", "--with-data", seconds=ROLLOUT_SECONDS)
        output("kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
