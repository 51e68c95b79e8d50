"""The pipeline in tac against one bare Python process that calls the same functions in a loop.

    python benchmarks/pipeline.py day     # one date, cold store, whole processes; and stock luigi
    python benchmarks/pipeline.py year    # MakePredictions of 2023: 2,139 steps; memory too

What runs is timed from its start to its end, imports included, in turn, so that a machine whose
speed drifts is fair to all. The median of the ratios is what counts; seconds are this machine's.
"""

from __future__ import annotations

import datetime
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import click

DAY = "2023-03-01"
YEAR = ("2023-01-11", "2023-12-31")
ROOT = Path(__file__).parents[1]

BARE = '''
"""What a person would write first: every day once, one after the other, files between the parts."""
import datetime, pathlib, sys
from tac import average, fetch, predict, transform
from tac.step import Output

store, first, last = pathlib.Path(sys.argv[1]), *map(datetime.date.fromisoformat, sys.argv[2:4])


def day_of(offset, date):
    return date - datetime.timedelta(days=offset)


def make(path, step, **inputs):
    path = store / path
    if not path.exists():
        step.main.callback(out=Output(str(path), ".parquet"), **inputs)
    return str(path)


date = first
while date <= last:
    days = tuple(
        make(f"flights/{day}.parquet", fetch, date=str(day), source="bundled", schedule=False)
        for day in (day_of(offset, date) for offset in range(10, 0, -1))
    )
    plan = make(f"schedule/{date}.parquet", fetch, date=str(date), source="bundled", schedule=True)
    features = make(f"features/{date}.parquet", transform, days=days, schedule=plan)
    both = tuple(
        make(f"predictions/{date}/{model}.parquet", predict, features=features, model=model,
             save_model=None)
        for model in ("logistic", "gradient_boosting")
    )
    make(f"predictions/{date}.parquet", average, predictions=both)
    date += datetime.timedelta(days=1)
'''

STOCK = '''
"""The same graph in stock Luigi: LocalTarget, and a subprocess for each step."""
import datetime, os, subprocess, sys
import luigi

STORE = os.environ["STORE"]


class Step(luigi.Task):
    date = luigi.DateParameter()

    def output(self):
        return luigi.LocalTarget(f"{STORE}/{self.place()}.parquet")

    def run(self):
        self.output().makedirs()
        subprocess.run([sys.executable, "-m", *self.command()], check=True)


class Fetch(Step):
    schedule = luigi.BoolParameter()

    def place(self):
        return f"{'schedule' if self.schedule else 'flights'}/{self.date}"

    def command(self):
        more = ["--schedule"] if self.schedule else []
        return ["tac.fetch", self.output().path, "--date", str(self.date), *more]


class Transform(Step):
    def requires(self):
        days = [self.date - datetime.timedelta(days=back) for back in range(10, 0, -1)]
        return [*(Fetch(date=day) for day in days), Fetch(date=self.date, schedule=True)]

    def place(self):
        return f"features/{self.date}"

    def command(self):
        *days, plan = (target.path for target in self.input())
        return ["tac.transform", self.output().path, *days, "--schedule", plan]


class Predict(Step):
    model = luigi.Parameter()

    def requires(self):
        return Transform(date=self.date)

    def place(self):
        return f"predictions/{self.date}/{self.model}"

    def command(self):
        return ["tac.predict", self.output().path, self.input().path, "--model", self.model]


class Average(Step):
    def requires(self):
        return [Predict(date=self.date, model=m) for m in ("logistic", "gradient_boosting")]

    def place(self):
        return f"predictions/{self.date}"

    def command(self):
        return ["tac.average", self.output().path, *(target.path for target in self.input())]
'''


@dataclass
class Measured:
    """What one run took: seconds of the whole process, and the most memory of its first process."""

    seconds: float
    memory_mib: float
    predictions: dict[str, bytes]


class _Memory(threading.Thread):
    """Follows the resident memory of one process: a driver's own, without that of its steps."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self.peak_mib = 0.0

    def run(self) -> None:
        while True:
            try:
                text = self._status.read_text(encoding="utf-8")
            except OSError:
                return
            for line in text.splitlines():
                if line.startswith("VmHWM:"):
                    self.peak_mib = int(line.split()[1]) / 1024
            time.sleep(0.05)  # the kernel keeps the peak; we only have to look before the end


def measure(command: list[str], store: Path, work: Path) -> Measured:
    """Run a command with an empty store, and say what it took."""
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TAC_")},  # noqa: TID251 # a child's
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(work))),
        "TAC_STORE": str(store),
        "STORE": str(store),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    memory = _Memory(process.pid)
    memory.start()
    _, output = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode != 0:
        raise click.ClickException(
            f"{' '.join(command)}: exit code {process.returncode}\n{output.decode()}"
        )
    made = sorted((store / "predictions").glob("*.parquet"))
    return Measured(seconds, memory.peak_mib, {path.name: path.read_bytes() for path in made})


def commands(work: Path, store: Path, first: str, last: str) -> dict[str, list[str]]:
    """Return the command line of each contender."""
    (work / "bare.py").write_text(BARE, encoding="utf-8")
    (work / "stock.py").write_text(textwrap.dedent(STOCK), encoding="utf-8")
    dates = ["--date", first] if first == last else ["--from", first, "--to", last]
    python = sys.executable
    found = {
        "tac": [python, "-m", "tac", "run", "MakePredictions", *dates, "--workers", "2"],
        "bare": [python, "bare.py", str(store), first, last],
    }
    if first == last:
        luigi = [python, "-m", "luigi", "--module", "stock", "Average", "--local-scheduler"]
        found["luigi"] = [*luigi, "--workers", "2", *dates]
    return found


def compare(first: str, last: str, rounds: int, peers: list[str] | None) -> None:
    """Run everybody in turn, and print medians and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        store = work / "store"
        todo = commands(work, store, first, last)
        todo = {name: todo[name] for name in peers or todo}
        runs: dict[str, list[Measured]] = {name: [] for name in todo}
        for number, name in itertools.product(range(rounds), todo):
            runs[name].append(measure(todo[name], store, work))
            click.echo(
                f"round {number + 1} of {rounds}: {name}: {runs[name][-1].seconds:.2f} s", err=True
            )
    for name, measured in runs.items():
        if measured[-1].predictions != runs["tac"][-1].predictions:
            raise click.ClickException(f"{name}: predicts something else than tac")
        median = statistics.median(run.seconds for run in measured)
        ratios = [
            ours.seconds / its.seconds for ours, its in zip(runs["tac"], measured, strict=True)
        ]
        click.echo(
            f"{name:6} {median:8.2f} s   tac takes {statistics.median(ratios):.2f} x"
            f" (from {min(ratios):.2f} to {max(ratios):.2f})"
            f"   first process: {max(run.memory_mib for run in measured):.0f} MiB"
        )


@click.group(help=__doc__.splitlines()[0] if __doc__ else None)
def main() -> None:
    """Group of both benchmarks."""


@main.command()
@click.option("--rounds", default=7, show_default=True)
@click.option("--date", default=DAY, show_default=True)
def day(rounds: int, date: str) -> None:
    """One date: tac, the bare process, and stock luigi with a subprocess for each step."""
    compare(date, date, rounds, None)


@main.command()
@click.option("--rounds", default=1, show_default=True)
@click.option("--from", "first", default=YEAR[0], show_default=True)
@click.option("--to", "last", default=YEAR[1], show_default=True)
def year(rounds: int, first: str, last: str) -> None:
    """Many dates: tac against the bare process."""
    days = (datetime.date.fromisoformat(last) - datetime.date.fromisoformat(first)).days + 1
    click.echo(f"{days} dates, {6 * days + 9} steps", err=True)
    compare(first, last, rounds, ["tac", "bare"])


if __name__ == "__main__":
    main()
