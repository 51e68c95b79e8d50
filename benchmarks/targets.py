"""Completeness of many targets on S3: tac's StoreTarget against luigi's own S3Target.

Starts a real S3 (SeaweedFS) and puts a proxy before it that adds latency to every request.
Half of the targets are there. Luigi's own worker then schedules a task for each of them, in a new
process with the scheduler in it, which checks each for completeness. Prints the seconds of that,
the requests that S3 got, and the ratio.

    python -m benchmarks.targets
    python -m benchmarks.targets --targets 10000 --only tac
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import luigi
import luigi.scheduler
import luigi.worker
from luigi.contrib.s3 import S3Target

from tac.target import StoreTarget
from tests.support.faults import running_proxy
from tests.support.s3 import Server, environment_of, running_weed

BUCKET = "benchmark"
KINDS = {"tac": StoreTarget, "luigi": S3Target}


class Output(luigi.Task):
    """An object on S3 that exists, or does not; its task is scheduled and never run."""

    kind: str = luigi.Parameter()
    number: int = luigi.IntParameter()

    def output(self):
        """Return a target of the kind that is measured."""
        return KINDS[self.kind](f"s3://{BUCKET}/outputs/{self.number:06d}.parquet")


class Outputs(luigi.WrapperTask):
    """All of them."""

    kind: str = luigi.Parameter()
    count: int = luigi.IntParameter()

    def requires(self):
        """Return the task of each target."""
        return [Output(kind=self.kind, number=number) for number in range(self.count)]

    def complete(self) -> bool:
        """Return False: else Luigi would check all targets twice."""
        return False


def schedule(kind: str, count: int) -> None:
    """Let luigi's worker check all targets; print what it found and how long it took."""
    began = time.perf_counter()
    scheduler = luigi.scheduler.Scheduler()
    worker = luigi.worker.Worker(scheduler=scheduler)
    if not worker.add(Outputs(kind=kind, count=count)):
        raise SystemExit("the tasks could not be scheduled")
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "complete": len(scheduler.task_list("DONE", ""))}))


def measure(kind: str, count: int, endpoint: str) -> dict[str, float]:
    """Schedule in a process of its own, as a first run would."""
    command = [sys.executable, "-m", "benchmarks.targets", "--schedule", kind]
    process = subprocess.run(
        [*command, "--targets", str(count)],
        env={"PATH": "", "AWS_EC2_METADATA_DISABLED": "true", **environment_of(endpoint)},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(process.stdout))


def make_outputs(server: Server, count: int) -> None:
    client = server.client()
    client.create_bucket(Bucket=BUCKET)

    def put(number: int) -> None:
        client.put_object(Bucket=BUCKET, Key=f"outputs/{number:06d}.parquet", Body=b"")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(0, count, 2)))


def compare(kinds: list[str], count: int, latency_ms: float) -> None:
    seconds: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="tac-benchmark-") as folder,
        running_weed(Path(folder)) as server,
        running_proxy(server.endpoint) as proxy,
    ):
        make_outputs(server, count)
        proxy.delay_seconds = latency_ms / 1000
        print(f"{count} targets, half of them there, {latency_ms:g} ms of added latency")
        for kind in kinds:
            proxy.requests.clear()
            found = measure(kind, count, proxy.endpoint)
            if found["complete"] != (count + 1) // 2:
                raise SystemExit(f"{kind} found {found['complete']} complete, not half of {count}")
            seconds[kind] = found["seconds"]
            print(f"{kind:6} {seconds[kind]:8.2f} s {len(proxy.requests):7} requests", flush=True)
    if len(seconds) == len(KINDS):
        print(f"ratio  {seconds['luigi'] / seconds['tac']:8.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--latency-ms", type=float, default=10, help="added to each (default: 10)")
    parser.add_argument("--only", choices=KINDS, help="measure one of the two")
    parser.add_argument("--schedule", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.schedule:
        schedule(arguments.schedule, arguments.targets)
    else:
        kinds = [arguments.only] if arguments.only else list(KINDS)
        compare(kinds, arguments.targets, arguments.latency_ms)


if __name__ == "__main__":
    main()
