"""A pipeline as people write it for Luigi's own KubernetesJobTask; tests change its one import.

Three texts are counted by pods, and a fourth pod adds them up. The pods write where the section
`[jobs]` of luigi.cfg says, a directory that the nodes see; `signal_complete()` marks the sum.
"""

from pathlib import Path

import luigi
from luigi.contrib.kubernetes import KubernetesJobTask

TEXTS = {"one": "a", "two": "b b", "three": "c c c"}


class jobs(luigi.Config):  # noqa: N801 # Luigi takes the section's name from it
    at = luigi.Parameter()
    image = luigi.Parameter()


class InPod(KubernetesJobTask):
    """What all of them are: a shell script in one container, with the directory mounted."""

    poll_interval = 1
    pod_creation_wait_interal = 5
    backoff_limit = 1
    max_retrials = 1
    print_pod_logs_on_exit = True

    @property
    def labels(self):
        return {"task": self.task_id}

    @property
    def script(self) -> str:
        raise NotImplementedError

    @property
    def spec_schema(self):
        return {
            "containers": [
                {
                    "name": "main",
                    "image": jobs().image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", self.script],
                    "volumeMounts": [{"name": "at", "mountPath": "/at"}],
                }
            ],
            "volumes": [{"name": "at", "hostPath": {"path": jobs().at, "type": "Directory"}}],
        }

    def path(self, name: str) -> Path:
        return Path(jobs().at, name)


class Count(InPod):
    name = "count"
    text = luigi.Parameter()

    @property
    def script(self):
        return (
            f"sleep 2; echo counting {self.text}; echo {TEXTS[self.text]} | wc -w > /at/{self.text}"
        )

    def output(self):
        return luigi.LocalTarget(self.path(self.text))


class Sum(InPod):
    name = "sum"

    def requires(self):
        return [Count(text=text) for text in TEXTS]

    @property
    def script(self):
        return f"cd /at; cat {' '.join(TEXTS)} | tr '\\n' + | sed 's/+$//' > sum"

    def signal_complete(self):
        with self.output()[1].open("w") as file:
            file.write(f"{self.path('sum').read_text()}\n")

    def output(self):
        return [luigi.LocalTarget(self.path(name)) for name in ("sum", "sum.done")]
