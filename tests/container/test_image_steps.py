"""Steps in containers of the image: as anybody, with no rights, stopped in time."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tac
from tac.step import format_size
from tests.support.engine import REPOSITORY, Engine

STRANGER = 12345
DATE = "2023-03-01"
DAYS = [f"2023-02-{day}" for day in range(19, 29)]
END_SECONDS = 60

Runner = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that belongs to a user whom the image does not know."""
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, STRANGER, STRANGER)
    return folder


@pytest.fixture
def start(engine: Engine, image: str, folder: Path) -> Iterator[Runner]:
    """Start a command with as few rights as a container can have, the folder at its own path."""
    started = []
    with contextlib.closing(engine.client()) as client:

        def start(*command: str, **options: Any) -> Any:
            container = client.containers.run(
                image,
                list(command),
                detach=True,
                user=f"{STRANGER}:{STRANGER}",
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                volumes={str(folder): {"bind": str(folder), "mode": "rw"}},
                **{"network_mode": "none", **options},
            )
            started.append(container)
            return container

        yield start
        for container in started:
            container.remove(force=True)


@pytest.fixture
def run(start: Runner) -> Runner:
    """Run such a command to its end; returns its exit code and what it said."""

    def run(*command: str, **options: Any) -> tuple[int, str]:
        container = start(*command, **options)
        code = container.wait(timeout=END_SECONDS)["StatusCode"]
        return code, container.logs().decode()

    return run


def step(name: str, *words: object) -> tuple[str, ...]:
    return ("python", "-m", f"tac.{name}", *map(str, words))


def run_here(*words: str) -> str:
    """Run a step on this machine instead; returns what it said."""
    command = [sys.executable, *words[1:]]
    ended = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=END_SECONDS, check=True
    )
    return ended.stderr


def test_a_step_writes_into_a_mounted_folder_as_the_user_it_runs_as(run, folder):
    out = folder / "day.parquet"

    code, words = run(*step("fetch", out, "--date", DATE))

    assert (code, words.splitlines()) == (
        0,
        [f"{out}: written, {format_size(out.stat().st_size)}", f"{DATE}: 1307 flights"],
    )
    assert (out.stat().st_uid, out.stat().st_gid) == (STRANGER, STRANGER)
    assert [path.name for path in folder.iterdir()] == ["day.parquet"]


@pytest.mark.timeout(300)
def test_the_bytes_of_a_prediction_are_those_of_this_machine(run, folder, tmp_path):
    (tmp_path / "here").mkdir()

    assert predict(folder, lambda *words: run(*words)[0]) == [0] * 13
    predict(tmp_path / "here", run_here)

    assert contents(folder) == contents(tmp_path / "here")
    assert len(contents(folder)) == 13


def predict(folder: Path, run: Runner) -> list[Any]:
    """Take the steps from flights to a prediction, all in one folder."""
    days = [folder / f"{day}.parquet" for day in DAYS]
    schedule, features = folder / "schedule.parquet", folder / "features.parquet"
    return [
        *(run(*step("fetch", day, "--date", day.stem)) for day in days),
        run(*step("fetch", schedule, "--date", DATE, "--schedule")),
        run(*step("transform", features, *days, "--schedule", schedule)),
        run(*step("predict", folder / "predictions.csv", features, "--model", "logistic")),
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("command", "first_line"),
    [
        (step("fetch", "--help"), "Usage: python -m tac.fetch [OPTIONS] OUT"),
        (step("transform", "--help"), "Usage: python -m tac.transform [OPTIONS] OUT DAYS..."),
        (("tac", "--help"), "Usage: tac [OPTIONS] COMMAND [ARGS]..."),
        (("tac", "--version"), f"tac {tac.__version__}"),
        (("luigi",), "No task specified"),
    ],
)
def test_it_answers_as_a_checkout_does(command, first_line, run):
    # Whoever schedules, not a step, wants a place for temporary files.
    code, words = run(*command, tmpfs={"/tmp": ""})
    assert (code, words.splitlines()[0]) == (command == ("luigi",), first_line)


SILENT_SERVER = """
import socket
listener = socket.create_server(("127.0.0.1", 8080))
print("listening", flush=True)
client, _ = listener.accept()
print("asked", flush=True)
client.recv(1 << 16)
listener.accept()
"""


def test_a_step_is_process_1_and_handles_sigterm(start, folder):
    server = start("python", "-c", SILENT_SERVER)
    wait_for_line(server, "listening")
    source = "http://127.0.0.1:8080/never.csv"
    words = step("fetch", folder / "x.csv", "--date", DATE, "--source", source)
    container = start(*words, network_mode=f"container:{server.id}")
    wait_for_line(server, "asked")  # and so the step waits for what is never answered
    asked = time.monotonic()
    container.kill("SIGTERM")
    code = container.wait(timeout=END_SECONDS)["StatusCode"]
    seconds = time.monotonic() - asked

    assert seconds < 10
    assert (code, container.logs()) == (143, b"stopped by SIGTERM; nothing was written\n")
    assert list(folder.iterdir()) == []


def wait_for_line(container: Any, line: str) -> None:
    deadline = time.monotonic() + END_SECONDS
    while line not in container.logs().decode().splitlines():
        assert time.monotonic() < deadline, container.logs()
        time.sleep(0.05)  # between two looks, before the deadline
