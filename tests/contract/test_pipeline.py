"""The reference pipeline as people start it: tac run, the stock luigi command, files and S3."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.luigid import luigid
from tests.support.runs import environment, is_running, started_program, tac, wait_until

DAY = "2023-03-01"
PREDICTIONS = f"predictions/{DAY}.parquet"
LUIGI = [sys.executable, "-m", "luigi", "--module", "tac.task"]
DEADLINE_SECONDS = 100


def luigi(at: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the stock command, as a user of Luigi does."""
    return subprocess.run(
        [*LUIGI, *words, "--lock-pid-dir", str(at / "luigi")],
        cwd=at,
        env=environment(at, **more),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """One day's predictions and its report, as `tac run` makes them in an empty directory."""
    at = tmp_path_factory.mktemp("first")
    ended = tac(at, "run", "Report", "--date", DAY, "--workers", "2")
    assert ended.code == 0, ended.err
    return at, ended


def test_a_first_run_ends_with_the_place_of_the_report(first_run):
    at, ended = first_run

    assert ended.out == f"{at}/store/report/{DAY}.html\n"
    assert re.fullmatch(r"65 ran, 0 were complete, \d+\.\d s", ended.err.splitlines()[-1])
    assert (at / "store" / "report" / f"{DAY}.html").stat().st_size > 100_000


def test_a_second_run_starts_no_step_and_says_that_all_outputs_exist(first_run):
    at, _ = first_run
    before = sorted((path, path.stat().st_mtime_ns) for path in at.rglob("*"))

    ended = tac(at, "run", "Report", "--date", DAY)

    assert (ended.code, ended.out) == (0, f"{at}/store/report/{DAY}.html\n")
    assert ended.err == f"Report(date={DAY}, history=7): complete, nothing to do\n"
    assert sorted((path, path.stat().st_mtime_ns) for path in at.rglob("*")) == before


def test_the_stock_command_makes_the_same_bytes_in_ordinary_processes(first_run, tmp_path):
    at, _ = first_run

    ended = luigi(tmp_path, "MakePredictions", "--date", DAY, "--local-scheduler", "--workers", "2")

    assert ended.returncode == 0, ended.stderr
    made = (tmp_path / "store" / PREDICTIONS).read_bytes()
    assert made == (at / "store" / PREDICTIONS).read_bytes()


def test_the_stock_command_shows_progress_and_logs_in_the_dashboard(tmp_path):
    with luigid(tmp_path) as server:
        port = server.url.rpartition(":")[2]
        words = ("TransformData", "--date", DAY, "--scheduler-port", port, "--workers", "2")
        ended = luigi(tmp_path, *words)
        shown = server.tasks()

    assert ended.returncode == 0, ended.stderr
    fetched, transformed = (
        shown[f"{family}(date={DAY})"] for family in ("FetchSchedule", "TransformData")
    )
    logs = tmp_path / "store" / "_tac" / "logs"
    assert (fetched["status"], fetched["status_message"]) == (
        "DONE",
        f"log: {next(logs.glob('fetch-schedule-*.log'))}",
    )
    assert (transformed["status"], transformed["progress_percentage"]) == ("DONE", 100)
    assert transformed["status_message"].splitlines() == [
        f"features: {tmp_path}/store/features/{DAY}.parquet",
        f"log: {next(logs.glob('transform-data-*.log'))}",
    ]


def test_the_pipeline_on_s3_makes_the_same_bytes(first_run, tmp_path, bucket):
    at, _ = first_run

    ended = tac(
        tmp_path,
        *("run", "MakePredictions", "--date", DAY, "--store", bucket.address("v1")),
        **bucket.environment(),
    )

    assert (ended.code, ended.out) == (0, bucket.address(f"v1/{PREDICTIONS}\n")), ended.err
    reply = bucket.client.get_object(Bucket=bucket.name, Key=f"v1/{PREDICTIONS}")
    assert reply["Body"].read() == (at / "store" / PREDICTIONS).read_bytes()
    assert {key.split("/")[1] for key in bucket.list_keys()} >= {
        "features",
        "flights",
        "predictions",
        "schedule",
    }


def test_the_steps_of_a_killed_driver_end_and_the_next_driver_continues(tmp_path):
    words = ("run", "MakePredictions", "--from", DAY, "--to", "2023-03-03", "--workers", "2")

    with started_program(tmp_path, *words) as process:
        wait_until((tmp_path / "store" / "features").is_dir, "a day's features are being made")
        children = descendants(process.pid)
        process.kill()
        process.wait()
        wait_until(lambda: not any(map(is_running, children)), "no step is left", seconds=15)
    ended = tac(tmp_path, *words)

    assert children
    assert ended.code == 0, ended.err
    assert not list((tmp_path / "store").rglob("*.partial"))


def descendants(pid: int) -> list[int]:
    """The processes below a process, as the kernel knows them."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended since
            continue
        parents[int(stat.parent.name)] = int(words[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {pid})


@pytest.mark.parametrize(
    "words",
    [
        ["tac.fetch", "a.parquet", "--date", DAY],
        ["tac.fetch", "s.parquet", "--date", DAY, "--schedule"],
        ["tac.transform", "f.csv", "{flights}", "--schedule", "{schedule}"],
        ["tac.predict", "p.csv", "{features}", "--model", "logistic"],
        ["tac.average", "m.csv", "{logistic}"],
        ["tac.report", "r.html", "{predictions}"],
        [
            *("tac.evaluate", "e.json", "--from", "2023-02-26", "--to", "2023-02-28"),
            *("--predictions", "{store}/predictions/{{date}}.parquet"),
            *("--baseline", "{store}/predictions/{{date}}/carrier_hour_rate.parquet"),
            *("--happened", "{store}/flights/{{date}}.parquet"),
        ],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_no_step_ever_loads_luigi(first_run, tmp_path, words):
    store = first_run[0] / "store"
    days = [str(store / "flights" / f"2023-02-{day}.parquet") for day in range(19, 29)]
    argv: list[str] = []
    for word in words:
        if word == "{flights}":
            argv += days
            continue
        argv.append(
            word.format(
                store=store,
                schedule=store / f"schedule/{DAY}.parquet",
                features=store / f"features/{DAY}.parquet",
                logistic=store / f"predictions/{DAY}/logistic.parquet",
                predictions=store / PREDICTIONS,
            )
        )
    code = (
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "try:\n"
        "    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    print(end.code, sorted({'luigi', 'tac.task'} & set(sys.modules)))\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, *argv],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )

    assert ended.stdout == "0 []\n", ended.stderr
    assert (tmp_path / argv[1]).is_file()
