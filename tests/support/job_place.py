"""Tasks that describe their own pods, as a test's driver runs them, in a namespace of their own."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tac import names, settings
from tac.errors import StepFailed
from tac.kubernetes import KubernetesJobTask
from tac.kubernetes.attempt import session_pool
from tac.names import TASK_ID
from tests.support import luigi_jobs
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.runs import Ended

REPOSITORY = Path(__file__).parents[2]
OURS = "from tac.kubernetes import KubernetesJobTask"
THEIRS = "from luigi.contrib.kubernetes import KubernetesJobTask"
GRACE_SECONDS = 1.0
DEADLINE_SECONDS = 110.0

Object = dict[str, Any]


class JobPlace:
    """A directory that nodes see, settings, and a namespace."""

    def __init__(
        self, path: Path, cluster: Cluster, namespace: str, image: str, patch: pytest.MonkeyPatch
    ) -> None:
        self.path, self.namespace, self.image = path, namespace, image
        self._cluster, self._patch = cluster, patch
        self.shared = path / "at"
        self.shared.mkdir()
        self.shared.chmod(0o777)  # the image's user is nobody here

    def set(self, **values: str) -> None:
        """Change settings, for what is begun from now on."""
        for name, value in values.items():
            self._patch.setenv(name, value)
        settings.current.cache_clear()
        self.close()

    def close(self) -> None:
        """End the driver that this process is; the next task begins a new one."""
        session_pool.close_all()

    # Tasks in this process.

    def spec(self, *scripts: str, **more: Any) -> Object:
        """Describe a pod with a container for each script."""
        containers = [
            self.container(script, name=f"c{number}") for number, script in enumerate(scripts)
        ]
        volume = {"name": "at", "hostPath": {"path": str(self.shared), "type": "Directory"}}
        grace = {"terminationGracePeriodSeconds": 1}
        return {"containers": containers, "volumes": [volume], **grace, **more}

    def container(self, script: str, *, name: str, **more: Any) -> Object:
        return {
            "name": name,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "at", "mountPath": "/at"}],
            **more,
        }

    def task(self, *scripts: str, **more: Any) -> Any:
        """Make a task whose pod runs these; `more` are properties of Luigi's class."""
        values = {
            "name": "x",
            "spec_schema": self.spec(*scripts),
            "backoff_limit": 0,
            "kubernetes_namespace": self.namespace,
        }
        return type("X", (KubernetesJobTask,), {**values, **more})()

    def failure(self, task: Any) -> str:
        """Run a task that fails; return its whole message without what differs each time."""
        with pytest.raises(StepFailed) as caught:
            task.run()
        [note] = caught.value.__notes__
        assert note == f"Hint: {caught.value.hint}"
        return self.plain(f"{caught.value}\n{note}")

    @contextmanager
    def running(self, task: Any) -> Iterator[list[Exception]]:
        """Run a task in a thread; after the block, the list holds what it failed of."""
        failures: list[Exception] = []

        def run() -> None:
            try:
                task.run()
            except Exception as error:  # noqa: BLE001 # whatever it is: the test asks
                failures.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield failures
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive(), "the task still runs"

    def plain(self, text: str) -> str:
        text = re.sub(r"\b\d+\.\d s\b", "T s", text.replace(str(self.path), "HOME"))
        text = text.replace(self.namespace, "NS").replace(self.image, "IMAGE")
        text = re.sub(r"kubectl --context \S+", "kubectl --context C", text)
        text = re.sub(r"-\d+-[a-z0-9]{5}\b", r"-N-POD", text)
        return re.sub(r"\bx-[0-9a-f]{12}", "x", text)

    def words(self, task: Any) -> list[str]:
        """What is in its log of its containers, and not of tac."""
        log = self.path / "store" / "_tac" / "logs" / f"{task.uu_name}.log"
        ours = ("# ", "job/", "[  0 %] ")
        return [line for line in log.read_text().splitlines() if not line.startswith(ours)]

    # What is in the namespace.

    def jobs(self) -> list[Object]:
        found: list[Object] = self._cluster.get("jobs", "-n", self.namespace)["items"]
        return found

    def pods(self) -> list[Object]:
        found: list[Object] = self._cluster.get("pods", "-n", self.namespace)["items"]
        return found

    def why_it_ended(self) -> str:
        """What the node said of the one container of the one Job, as its driver saw it."""
        [box] = (self.path / "store").glob("_tac/attempts/*/*.json")
        [pod] = json.loads(box.read_text())["pods"]
        [status] = pod["status"]["containerStatuses"]
        return str(status["state"]["terminated"]["reason"])

    def running_pods(self) -> list[Object]:
        return [pod for pod in self.pods() if pod["status"].get("phase") == "Running"]

    def until_empty(self) -> None:
        until(lambda: not self.jobs(), "the end of all Jobs", DEADLINE_SECONDS)

    def kubectl(self, *words: str) -> str:
        return self._cluster.kubectl(*words, "-n", self.namespace)

    # Drivers of their own.

    def write_pipeline(self, import_line: str) -> None:
        """Write the pipeline of luigi_jobs.py with that import, and what it is configured by."""
        text = Path(luigi_jobs.__file__).read_text()
        assert text.count(THEIRS) == 1
        (self.path / "pipeline.py").write_text(text.replace(THEIRS, import_line))
        config = self._cluster.write_config(self.path / "kubeconfig")
        (self.path / "luigi.cfg").write_text(
            f"[kubernetes]\nkubeconfig_path={config}\nkubernetes_namespace={self.namespace}\n"
            f"[jobs]\nat={self.shared}\nimage={self.image}\n"
        )

    def stock(self, *words: str) -> list[str]:
        """The stock command for a task of the pipeline."""
        more = ("--local-scheduler", "--lock-pid-dir", str(self.path / "lock"))
        return [sys.executable, "-m", "luigi", "--module", "pipeline", *words, *more]

    def tac(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tac", "run", "--module", "pipeline", *words]

    @contextmanager
    def started(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        """Start a driver with processes of its own group, which is killed in the end."""
        process = subprocess.Popen(
            command,
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{self.path}"},  # noqa: TID251 # a test's own
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.communicate()

    def run(self, command: list[str]) -> Ended:
        with self.started(command) as process:
            return end_of(process)

    def outputs(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.shared.iterdir())}


def end_of(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    return Ended(process.returncode, out, err)


def labels_of(job: Object) -> Object:
    """The labels of a Job, those that Kubernetes adds and what differs each time left out."""
    told = job["metadata"]["labels"]
    assert told[TASK_ID] == told[names.WORK]
    return {key: value for key, value in told.items() if key not in {TASK_ID, names.WORK}}


@pytest.fixture
def at(
    tmp_path: Path,
    cluster: Cluster,
    api_namespace: str,
    step_image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[JobPlace]:
    """A place for tasks; nothing of theirs runs when it is left."""
    tmp_path.chmod(0o755)
    found = JobPlace(tmp_path, cluster, api_namespace, step_image, monkeypatch)
    monkeypatch.chdir(tmp_path)
    found.set(
        TAC_STORE=str(tmp_path / "store"),
        TAC_STOP_GRACE_SECONDS=str(GRACE_SECONDS),
        TAC_KUBERNETES_NAMESPACE=api_namespace,
    )
    try:
        yield found
    finally:
        found.close()
        monkeypatch.undo()
        settings.current.cache_clear()
