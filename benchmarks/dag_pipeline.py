"""The real pipeline of one date on Kubernetes and S3: seconds, and where they go.

What is deployed is k8s/, in a namespace of its own; the driver is a process of this machine.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import itertools
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from pykube import Pod

from benchmarks.dag_cluster import (
    ROOT,
    Cluster,
    PodWatcher,
    SeenPod,
    Unusable,
    find_cluster,
    load,
    wait_until,
)
from benchmarks.dag_image import TAG
from tac import names
from tests.support import deployment, engine
from tests.support.deployment import Deployment

SECONDS = 600
HALF = 0.5
"""Kubernetes' timestamps are truncated to seconds; on average half a second is missing."""


@dataclass(frozen=True)
class PodTimes:
    """One step's pod, in seconds since 1970."""

    step: str
    created: float
    started: float
    ended: float

    @classmethod
    def of(cls, seen: SeenPod) -> PodTimes:
        """Read it from what was seen of a pod that has ended."""
        [status] = seen.pod["status"]["containerStatuses"]
        ended = status["state"]["terminated"]
        step = seen.pod["metadata"]["labels"][names.STEP]
        return cls(step, seen.first, _moment(ended["startedAt"]), _moment(ended["finishedAt"]))


@dataclass(frozen=True)
class Measured:
    """One run: when its process began and ended, and its pods."""

    began: float
    ended: float
    lives: list[PodTimes]

    def critical(self) -> list[PodTimes]:
        """Return the pods on the critical path, the first one first."""
        path = [max(self.lives, key=lambda life: life.ended)]
        while before := [life for life in self.lives if life.ended < path[0].created + HALF]:
            path.insert(0, max(before, key=lambda life: life.ended))
        return path

    def shares(self) -> dict[str, float]:
        """Say where the seconds went, along that path."""
        path = self.critical()
        starting = sum(life.started - life.created for life in path)
        running = sum(life.ended - life.started for life in path)
        before = path[0].created - self.began
        between = self.ended - self.began - before - starting - running
        return {
            "the driver, until it has made the first pod": before,
            "pods starting, until their container runs": starting,
            "steps running": running,
            "until what has ended is known, and the next pod made, or all is over": between,
        }


def run(rounds: int, date: str) -> None:
    """Run MakePredictions of a date, one pod a step, and say where the time goes."""
    cluster = find_cluster()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        made, image = stack.enter_context(_deployed(cluster, folder))
        url = stack.enter_context(made.forwarded("service/s3", 8333))
        environment = _environment(made, image, url)
        cluster.namespace = made.namespace
        watcher = PodWatcher(cluster, Pod).begin()
        click.echo(load(), err=True)
        runs = []
        for number in range(rounds):
            store = f"s3://tac/{secrets.token_hex(4)}"
            runs.append(measure(["--date", date, "--store", store], environment, folder, watcher))
            seconds = runs[-1].ended - runs[-1].began
            click.echo(f"round {number + 1} of {rounds}: {seconds:.1f} s", err=True)
        click.echo(load(), err=True)
    show(runs)


def measure(
    arguments: list[str], environment: dict[str, str], folder: Path, watcher: PodWatcher
) -> Measured:
    """Run the pipeline, whose store is empty."""
    command = [sys.executable, "-m", "tac", "run", "MakePredictions", "--runner", "kubernetes"]
    began = time.time()
    ended = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    over = time.time()
    if ended.returncode != 0:
        raise click.ClickException(f"tac run: exit {ended.returncode}\n{ended.stderr[-4000:]}")
    wait_until(lambda: all(map(_has_ended, watcher.since(began))), "the end of every pod")
    return Measured(began, over, [PodTimes.of(seen) for seen in watcher.since(began)])


def show(runs: list[Measured]) -> None:
    """Print where the time goes: means, because Kubernetes' timestamps are coarse."""
    whole = [run.ended - run.began for run in runs]
    click.echo(f"{statistics.median(whole):.1f} s ({min(whole):.1f} to {max(whole):.1f})")
    click.echo("pods            starting   running   each, in seconds")
    by_step = defaultdict(list)
    for life in itertools.chain.from_iterable(run.lives for run in runs):
        by_step[life.step].append(life)
    for step, lives in sorted(by_step.items(), key=lambda item: item[1][0].created):
        starting = statistics.mean(life.started - life.created for life in lives)
        running = statistics.mean(life.ended - life.started for life in lives)
        click.echo(f"{len(lives) / len(runs):2.0f} {step:16} {starting:4.1f} {running:9.1f}")
    click.echo("of the whole, along the steps that all others waited for")
    shares = [run.shares() for run in runs]
    for what in shares[0]:
        seconds = statistics.mean(share[what] for share in shares)
        click.echo(f"{seconds:5.1f} s {seconds / statistics.mean(whole):4.0%}   {what}")


@contextlib.contextmanager
def _deployed(cluster: Cluster, folder: Path) -> Iterator[tuple[Deployment, str]]:
    """Deploy S3, and bring the image of this checkout to the nodes."""
    if cluster.state is None:
        raise Unusable(
            f"{cluster.kubeconfig}: is not of `make cluster`, so no image can be brought there"
        )
    with engine.running_engine() as docker:
        engine.build_image(docker, ROOT, TAG)
        image = deployment.load_tac(docker, TAG)
        docker.command("image", "rm", TAG)
        weed = deployment.load_weed(docker, folder)
    namespace = cluster.namespace
    images = {"tac": image, "weed": weed}
    made = Deployment(namespace, deployment.write_overlay(folder / "k8s", "ci", namespace, images))
    try:
        applied = made.do("apply")
        if applied.code != 0:
            raise click.ClickException(f"k8s/deploy.sh apply: {applied.err[-4000:]}")
        yield made, ":".join(image)
    finally:
        made.do("remove", "--with-data")
        # S3's files belong to the user of its pod.
        shutil.rmtree(folder / "k8s", ignore_errors=True)


def _environment(made: Deployment, image: str, url: str) -> dict[str, str]:
    own = os.environ  # noqa: TID251 # a child's
    keys = made.read("secret", "tac-s3")["data"]
    return {
        **{name: value for name, value in own.items() if not name.startswith(("TAC_", "AWS_"))},
        **{name: base64.b64decode(value).decode() for name, value in keys.items()},
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_REGION": "us-east-1",
        "PYTHONPATH": str(ROOT),
        "TAC_IMAGE": image,
        "TAC_KUBERNETES_NAMESPACE": made.namespace,
    }


def _has_ended(seen: SeenPod) -> bool:
    statuses = seen.pod["status"].get("containerStatuses", [])
    return any("terminated" in each["state"] for each in statuses)


def _moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp() + HALF
