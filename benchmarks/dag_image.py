"""The image: what it adds to its base, and how long it takes to build."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import click

from benchmarks.dag_cluster import ROOT
from tests.support.engine import Engine, base_image, build_image, running_engine

CONTEXT = ("Dockerfile", ".dockerignore", "LICENSE", "pyproject.toml", "requirements.txt")
TAG = "tac-benchmark"


def build(rounds: int) -> None:
    """Build the image from nothing, again, and after a change of one line."""
    with running_engine() as engine, tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder)
        shutil.copytree(
            ROOT / "tac", checkout / "tac", ignore=shutil.ignore_patterns("__pycache__")
        )
        for name in (*CONTEXT, "setup.py"):
            shutil.copyfile(ROOT / name, checkout / name)
        try:
            cold = _seconds(engine, checkout, "--no-cache")
            size, base = (_mib(engine, tag) for tag in (TAG, base_image(engine)))
            same = [_seconds(engine, checkout) for _ in range(rounds)]
            changed = []
            for number in range(rounds):
                with (checkout / "tac/average.py").open("a", encoding="utf-8") as file:
                    file.write(f"\nCHANGED = {time.time_ns() + number}\n")
                changed.append(_seconds(engine, checkout))
        finally:
            with contextlib.suppress(RuntimeError):
                engine.command("image", "rm", TAG)
    click.echo(f"size           {size - base:6.0f} MiB over a base of {base:.0f} MiB")
    click.echo(f"from nothing   {cold:6.1f} s   (downloaded packages are kept by BuildKit)")
    click.echo(f"nothing new    {min(same):6.1f} s   (up to {max(same):.1f})")
    click.echo(f"one line of tac{min(changed):6.1f} s   (up to {max(changed):.1f})")


def _seconds(engine: Engine, folder: Path, *options: str) -> float:
    began = time.perf_counter()
    build_image(engine, folder, TAG, *options)
    return time.perf_counter() - began


def _mib(engine: Engine, tag: str) -> float:
    return int(engine.command("image", "inspect", "--format", "{{.Size}}", tag)) / 2**20
