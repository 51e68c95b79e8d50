"""Pipelines of containers on a real Kubernetes: what the driver adds to what Kubernetes takes.

    python -m benchmarks.dag              # 10 -> 1 -> 2 containers that do nothing: tac and others
    python -m benchmarks.dag pipeline     # the real pipeline of one date, on S3: where time goes
    python -m benchmarks.dag image        # size and build times of the image

Everybody runs the same pods on the same node, in turn, so that a machine whose speed drifts is
fair to all. The median of the ratios is what counts; seconds are this machine's.
Needs KUBECONFIG; for what makes images of its own, that of `make cluster`.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pykube import Job

from benchmarks.dag_cluster import ROOT, Cluster, PodWatcher, find_cluster, load, load_noop
from benchmarks.dag_tasks import NAMES, Workload

NUMBER = sum(map(len, NAMES))
PYTHON = (sys.executable, "-m")
TAC = (*PYTHON, "tac", "run", "--workers", "10", "--quiet", "--module")
CONTENDERS = {
    "floor": (*PYTHON, "benchmarks.dag_floor"),
    "luigi": (*PYTHON, "benchmarks.dag_luigi"),
    "tac": (*TAC, "benchmarks.dag_tac", "NoOps"),
    "steps": (*TAC, "benchmarks.dag_steps", "NoOps", "--runner", "kubernetes"),
}
SAID = {
    "floor": "the bare loop",
    "luigi": "luigi.contrib.kubernetes",
    "tac": "tac's KubernetesJobTask",
    "steps": "tac's StepTask",
}
COMPARED = (("tac", "floor"), ("luigi", "tac"), ("steps", "floor"), ("luigi", "steps"))
"""Whose seconds are divided by whose."""

PARTS = {"process": "whole processes", "dag": "first Job to last result"}
SECONDS = 300


@dataclass(frozen=True)
class Measured:
    """One run of one contender."""

    process: float
    """Seconds from the start of its process to its exit."""
    dag: float
    """Seconds from its first Job to its last result."""
    memory: float
    """MiB of its processes together, at most."""


class Memory(threading.Thread):
    """Follows the memory of a process and its children, counting shared pages once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.peak_mib = 0.0

    def run(self) -> None:
        """Look until there is nothing left to see."""
        while found := sum(map(_proportional_kib, _tree(self._pid))):
            self.peak_mib = max(self.peak_mib, found / 1024)
            time.sleep(0.25)  # reading it costs the process that is measured


def _tree(pid: int) -> list[int]:
    try:
        lists = [
            task.joinpath("children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()
        ]
    except OSError:
        return []
    children = [int(each) for each in " ".join(lists).split()]
    return [pid, *itertools.chain.from_iterable(map(_tree, children))]


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measure(name: str, workload: Workload, watcher: PodWatcher) -> Measured:
    """Run a contender in a new folder, and say what it took."""
    shutil.rmtree(workload.folder, ignore_errors=True)
    workload.marks.mkdir(parents=True)
    outputs = Path(workload.folder) / "outputs"
    outputs.mkdir()
    outputs.chmod(0o777)  # the pods of tac's steps are of another user
    before = time.time()
    began = time.perf_counter()
    process = subprocess.Popen(
        CONTENDERS[name],
        cwd=workload.folder,
        env=_environment(workload),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    memory = Memory(process.pid)
    memory.start()
    try:
        _, output = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
        output = f"{process.communicate()[1]}\ndid not end within {SECONDS} s"
    seconds = time.perf_counter() - began
    jobs = watcher.since(before)
    marks = [path.stat().st_mtime for path in workload.marks.iterdir()]
    if process.returncode != 0 or (len(jobs), len(marks)) != (NUMBER, NUMBER):
        raise click.ClickException(
            f"{name}: exit code {process.returncode}, {len(jobs)} Jobs and {len(marks)} results "
            f"where {NUMBER} were due\n{output[-4000:]}"
        )
    return Measured(seconds, max(marks) - min(job.first for job in jobs), memory.peak_mib)


def _environment(workload: Workload) -> dict[str, str]:
    own = os.environ  # noqa: TID251 # a child's
    return {
        **{name: value for name, value in own.items() if not name.startswith(("TAC_", "LUIGI_"))},
        **workload.environment(),
        "PYTHONPATH": str(ROOT),
        "TAC_STORE": str(Path(workload.folder) / "outputs"),
        "TAC_IMAGE": workload.image,
        "TAC_KUBERNETES_NAMESPACE": workload.namespace,
        "TAC_KUBERNETES_POD_PATCH": str(_write_patch(workload)),
        # Pods that do nothing need no S3.
        "TAC_KUBERNETES_CONFIG_MAP": "",
        "TAC_KUBERNETES_SECRET": "",
    }


def _write_patch(workload: Workload) -> Path:
    """Write what tac's steps need here beyond their own pod: the node, and a place for outputs."""
    outputs = str(Path(workload.folder) / "outputs")
    patch = {
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": workload.node},
            "volumes": [{"name": "outputs", "hostPath": {"path": outputs}}],
            "containers": [
                {"name": "step", "volumeMounts": [{"name": "outputs", "mountPath": outputs}]}
            ],
        }
    }
    path = Path(workload.folder) / "patch.json"
    path.write_text(json.dumps(patch))
    return path


def compare(cluster: Cluster, workload: Workload, rounds: int, peers: list[str]) -> None:
    """Run everybody in turn, and print medians and ratios."""
    runs: dict[str, list[Measured]] = {name: [] for name in peers}
    with cluster.prepared():
        watcher = PodWatcher(cluster, Job).begin()
        measure("floor", workload, watcher)  # the first pod of an image takes longer
        cluster.delete_jobs()
        for number, name in itertools.product(range(rounds), peers):
            runs[name].append(measure(name, workload, watcher))
            cluster.delete_jobs()
            last = runs[name][-1]
            click.echo(
                f"round {number + 1} of {rounds}: {name}: {last.process:.2f} s,"
                f" from first Job to last result {last.dag:.2f} s",
                err=True,
            )
    show(runs)


def show(runs: dict[str, list[Measured]]) -> None:
    """Print medians, and how each of a round compares with another of that round."""
    click.echo("medians (and least)            process              DAG    memory at most")
    for name, measured in runs.items():
        process, dag = (_seconds([getattr(run, part) for run in measured]) for part in PARTS)
        memory = max(run.memory for run in measured)
        click.echo(f"{SAID[name]:25} {process} {dag} {memory:5.0f} MiB")
    for slow, quick in COMPARED:
        if slow in runs and quick in runs:
            click.echo(f"{SAID[slow]} takes, of {SAID[quick]},")
            for part, said in PARTS.items():
                click.echo(f"    {_ratio(runs[slow], runs[quick], part)}   {said}")


def _seconds(found: list[float]) -> str:
    # What else the machine does only adds to them.
    return f"{statistics.median(found):6.2f} s ({min(found):5.2f})"


def _ratio(slow: list[Measured], quick: list[Measured], part: str) -> str:
    ratios = [
        getattr(one, part) / getattr(other, part) for one, other in zip(slow, quick, strict=True)
    ]
    return f"{statistics.median(ratios):5.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"


@click.group(invoke_without_command=True, help=(__doc__ or "").splitlines()[0])
@click.option("--rounds", default=5, show_default=True)
@click.option("--node", default="", help="Where all pods run  [default: the first one]")
@click.option("--only", multiple=True, type=click.Choice(list(CONTENDERS)))
@click.option("--image", help="An image of the nodes whose --command does nothing")
@click.option("--command", default="/noop", show_default=True)
@click.pass_context
def main(context: click.Context, /, **options: Any) -> None:
    """Compare, if nothing else is asked for."""
    if context.invoked_subcommand is not None:
        return
    cluster = find_cluster(options["node"])
    # Elsewhere nodes have no folder in common with this machine, where a step could publish.
    everybody = [name for name in CONTENDERS if not options["image"] or name != "steps"]
    peers = list(options["only"]) or everybody
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        workload = Workload(
            cluster.kubeconfig,
            cluster.namespace,
            cluster.node,
            options["image"] or load_noop(cluster, Path(folder)),
            tuple(shlex.split(options["command"])),
            f"{folder}/run",
        )
        click.echo(f"{NUMBER} containers on {cluster.node}; {load()}", err=True)
        compare(cluster, workload, options["rounds"], peers)
        click.echo(load(), err=True)


@main.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--date", default="2023-03-01", show_default=True)
def pipeline(rounds: int, date: str) -> None:
    """Run MakePredictions of a date, one pod a step, and say where the time goes."""
    from benchmarks import dag_pipeline

    dag_pipeline.run(rounds, date)


@main.command()
@click.option("--rounds", default=3, show_default=True, help="Of the builds that are not cold")
def image(rounds: int) -> None:
    """Build the image from nothing, again, and after a change of one line."""
    from benchmarks import dag_image

    dag_image.build(rounds)


if __name__ == "__main__":
    main()
