"""What all contenders of benchmarks/dag.py run: the same pods, 10 -> 1 -> 2 of them.

A container does nothing, so its result is a mark: a file that its driver makes when it knows that
the container has succeeded.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import luigi

WIDTHS = (10, 1, 2)
NAMES = [[f"noop-{level}-{n}" for n in range(width)] for level, width in enumerate(WIDTHS)]
VARIABLE = "TAC_BENCHMARK_WORKLOAD"


@dataclass(frozen=True)
class Workload:
    """Where the containers run, their image and command, and where the marks go."""

    kubeconfig: str
    namespace: str
    node: str
    image: str
    command: tuple[str, ...]
    folder: str

    @property
    def marks(self) -> Path:
        """The folder of the marks."""
        return Path(self.folder) / "marks"

    def environment(self) -> dict[str, str]:
        """Return the environment that passes it to another process."""
        return {VARIABLE: json.dumps(dataclasses.asdict(self)), "KUBECONFIG": self.kubeconfig}

    def pod(self) -> dict[str, Any]:
        """Return the pod that does nothing."""
        container = {
            "name": "noop",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": list(self.command),
        }
        return {
            "restartPolicy": "Never",
            "nodeSelector": {"kubernetes.io/hostname": self.node},
            "containers": [container],
        }


def current_workload() -> Workload:
    """Return the workload of this process."""
    values = json.loads(os.environ[VARIABLE])  # noqa: TID251 # not a setting of tac's
    return Workload(**{**values, "command": tuple(values["command"])})


class Marked(luigi.Task):
    """One container of the pipeline, as far as it is the same for everybody."""

    level: int = luigi.IntParameter()
    number: int = luigi.IntParameter()

    def requires(self):
        """Return every task of the level before."""
        before = self.level - 1
        width = WIDTHS[before] if self.level else 0
        return [type(self)(level=before, number=number) for number in range(width)]

    def output(self):
        """Return its mark."""
        return luigi.LocalTarget(str(current_workload().marks / self.label))

    @property
    def label(self) -> str:
        """Its name, which may stand in the name of a Job."""
        return f"noop-{self.level}-{self.number}"

    def mark(self) -> None:
        """Mark it as succeeded."""
        Path(self.output().path).touch()


class JobTask(Marked):
    """A pipeline for luigi.contrib.kubernetes; the contender's class is its second base."""

    @property
    def name(self):
        """The name of its Job."""
        return self.label

    @property
    def spec_schema(self):
        """Its pod."""
        return current_workload().pod()

    @property
    def kubernetes_namespace(self):
        """The benchmark's own."""
        return current_workload().namespace

    @property
    def kubeconfig_path(self):
        """Luigi's default is one path for everybody."""
        return current_workload().kubeconfig

    def signal_complete(self):
        """Leave the mark, as Luigi's documentation shows it."""
        self.mark()


def last_of(kind: Callable[..., luigi.Task]) -> list[luigi.Task]:
    """Return the tasks of the last level, which need all others."""
    level = len(WIDTHS) - 1
    return [kind(level=level, number=number) for number in range(WIDTHS[level])]
