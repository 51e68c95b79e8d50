"""What a step costs to start, and how it ends when it is stopped or its server falls silent."""

import shlex
import subprocess
import sys
import threading
import time

import pytest

from tests.support.flights import DAY, ROOT, Reply, command_of, running_server

HEAVY = {"boto3", "jinja2", "luigi", "matplotlib", "numpy", "pandas", "pyarrow", "sklearn"}
LOADED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def loaded_by(*arguments):
    """The packages that a step has loaded when it ends."""
    result = subprocess.run(
        [sys.executable, "-c", LOADED, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return set(result.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("step", ["fetch", "transform", "predict", "average", "evaluate"])
def test_help_loads_nothing_heavy(step):
    assert loaded_by(f"tac.{step}", "--help") & HEAVY == set()


def test_a_fetch_loads_what_reads_parquet_and_no_more(tmp_path):
    loaded = loaded_by("tac.fetch", tmp_path / "out.parquet", "--date", DAY)

    assert loaded & (HEAVY - {"numpy", "pyarrow"}) == set()


def test_a_step_that_is_stopped_leaves_nothing(tmp_path):
    released = threading.Event()
    with running_server() as server:
        server.replies["/day.parquet"] = Reply(b"PAR1", hold=released)
        step = subprocess.Popen(
            command_of(
                *("fetch", tmp_path / "out.parquet", "--date", DAY),
                *("--source", f"{server.url}/day.parquet"),
            ),
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not server.asked:
            assert time.monotonic() < deadline, "the step does not ask its server"
            time.sleep(0.02)
        step.terminate()
        _, words = step.communicate(timeout=60)
        released.set()

    assert (step.returncode, words) == (143, "stopped by SIGTERM; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "2> >(:)", "0<&- 2>&-"])
def test_messages_that_cannot_be_written_end_no_step(tmp_path, closed):
    command = shlex.join(command_of("fetch", tmp_path / "day.parquet", "--date", DAY))

    ended = subprocess.run(
        ["bash", "-c", f"{command} {closed}"], cwd=ROOT, timeout=100, check=False
    )

    assert ended.returncode == 0
    assert (tmp_path / "day.parquet").exists()


def test_data_for_a_standard_output_that_is_closed_is_an_error(tmp_path):
    command = shlex.join(command_of("fetch", "-", "--date", DAY))

    ended = subprocess.run(
        ["bash", "-c", f"{command} >&-"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (
        2,
        "Error: -: standard output is closed\nHint: name a file, or s3://…\n",
    )
