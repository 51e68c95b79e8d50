"""The limits of a step's container, and the messages when a step hits one."""

import contextlib
import os

import pytest

from tac.runners.docker import container as docker_container
from tac.runners.docker.container import ContainerDefaults, ContainerInputs, build_container
from tac.verdict import Reason
from tests.support.docker_place import DockerPlace, at, message, wire
from tests.support.processes import until

__all__ = ["at", "wire"]


@pytest.mark.parametrize(
    ("chosen", "pids", "tmp"),
    [
        ({}, 2048, "size=1073741824"),
        ({"TAC_DOCKER_PIDS_LIMIT": "40", "TAC_DOCKER_TMP_SIZE": "8Mi"}, 40, "size=8388608"),
        ({"TAC_DOCKER_PIDS_LIMIT": "0", "TAC_DOCKER_TMP_SIZE": "0"}, None, ""),
    ],
)
def test_a_container_is_limited_in_processes_temporary_files_and_what_is_kept_of_its_log(
    at, chosen, pids, tmp
):
    at.set(**chosen)
    with at.running("sleep 600"):
        host = at.container()["HostConfig"]
        at.stop.set()

    assert (host["PidsLimit"], host["Tmpfs"]) == (pids, {"/tmp": tmp})
    assert host["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-size": "512m", "max-file": "2", "compress": "false", "mode": "blocking"},
    }


THREADS = """
import threading
stop, started = threading.Event(), []
try:
    for _ in range(200):
        started.append(threading.Thread(target=stop.wait, args=(60,)))
        started[-1].start()
finally:
    stop.set()
    print("started", len(started) - 1, flush=True)
"""
PIDS = (
    "Hint: it may have 40 processes and threads at once; "
    "TAC_DOCKER_PIDS_LIMIT sets how many; log: {log}"
)


def test_a_step_that_starts_ever_more_threads_fails_and_names_the_limit(at):
    at.set(TAC_DOCKER_PIDS_LIMIT="40")

    verdict = at.run("python", "-c", THREADS)

    assert verdict.reason is Reason.BUG
    assert message(verdict) == (
        "step/x: failed with exit code 1 after T s: RuntimeError: can't start new thread\n"
        + PIDS.format(log=at.log)
    )
    started = next(line for line in at.words.splitlines() if line.startswith("started "))
    assert 30 <= int(started.removeprefix("started ")) < 40


def test_a_step_that_starts_ever_more_processes_is_refused_and_leaves_none(at):
    at.set(TAC_DOCKER_PIDS_LIMIT="40")
    script = "i=0; while [ $i -lt 200 ]; do sleep 61.5 & i=$((i+1)); echo $i; done"

    verdict = at.sh(script)

    # Its last line on standard output may arrive behind that on standard error.
    assert "Cannot fork" in at.words
    assert message(verdict).endswith("\n" + PIDS.format(log=at.log))
    assert verdict.exit_code == 2
    counted = [int(line) for line in at.words.splitlines() if line.isdecimal()]
    assert counted == list(range(1, 40))
    assert at.containers() == []


def test_a_step_may_have_the_processes_that_it_may_have(at):
    at.set(TAC_DOCKER_PIDS_LIMIT="40")

    verdict = at.sh("for i in $(seq 30); do sleep 0.2 & done; wait; echo all")

    assert (verdict.reason, at.words) == (Reason.DONE, "all\n")


@pytest.mark.parametrize(
    ("script", "elsewhere"),
    [
        ("head -c 20000000 /dev/zero > /tmp/x && echo no", True),
        ("head -c 20000000 /dev/zero > /tmp/a; exec cp /tmp/a /tmp/b", False),
        ("""exec python -c 'open("/tmp/x", "wb").write(bytes(20000000))'""", True),
    ],
)
def test_the_error_of_a_full_temporary_directory_has_its_size(at, script, elsewhere):
    at.set(TAC_DOCKER_TMP_SIZE="8Mi")

    verdict = at.sh(script)

    assert "No space left on device" in verdict.detail
    assert verdict.remedy == (
        ("unless the disk of its output is full (`df -h`): " if elsewhere else "")
        + "its /tmp holds 8Mi, which count as its memory; TAC_DOCKER_TMP_SIZE sets how much; "
        f"log: {at.log}"
    )


def test_every_user_may_write_as_much_as_there_is_and_no_program_runs_from_there(at, monkeypatch):
    at.set(TAC_DOCKER_TMP_SIZE="8Mi")
    (at.path / "store").mkdir()
    os.chown(at.path / "store", 1234, 4321)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "getegid", lambda: 4321)

    verdict = at.sh("head -c 8000000 /dev/zero > /tmp/x && cp /bin/true /tmp/ && /tmp/true")

    assert "Permission denied" in verdict.detail


def test_what_fills_the_memory_by_way_of_the_temporary_directory_ran_out_of_memory(at):
    verdict = at.sh("head -c 200000000 /dev/zero > /tmp/x", memory="32Mi")

    assert verdict.reason in {Reason.OUT_OF_MEMORY, Reason.PERHAPS_OUT_OF_MEMORY}
    assert "TAC_MEMORY (now 32Mi)" in (verdict.remedy or "")


BATCHES, LINES = 12, 500
TALKS = """
for b in $(seq 1 12); do
    seq -f "line $b.%03g of a step that says much" 1 500
    echo batch $b
    until [ -e $1/go-$b ]; do sleep 0.05; done
done
"""


def kept(at: DockerPlace) -> str:
    """What the engine still knows of what the container said."""
    with contextlib.closing(at.engine.client()) as client:
        return str(client.api.logs(at.container()["Id"]).decode())


def test_no_line_is_lost_that_the_engine_drops_while_it_is_followed(at, wire, monkeypatch):
    small = {**docker_container.LOG, "max-size": "200k"}
    monkeypatch.setattr(docker_container, "LOG", small)
    told: list[str] = []
    forgotten: list[bool] = []

    def follow(line: str) -> None:
        told.append(line)
        if line.startswith("batch "):
            number = int(line.removeprefix("batch "))
            forgotten.append("line 1.001 " not in kept(at))
            if number in {2, 5, 8, 11}:
                wire.cut()
                wire.mend()
            (at.path / "store" / f"go-{number}").touch()

    verdict = at.run("sh", "-c", TALKS, "sh", f"{at.path}/store", follow=follow)

    assert verdict.reason is Reason.DONE, verdict.message("x")
    assert forgotten[0] is False
    assert forgotten[-1] is True
    assert told == [
        line
        for batch in range(1, BATCHES + 1)
        for line in (
            *(f"line {batch}.{n:03} of a step that says much" for n in range(1, LINES + 1)),
            f"batch {batch}",
        )
    ]


def test_a_driver_that_falls_far_behind_reads_the_end_in_order_and_nothing_twice(at, monkeypatch):
    monkeypatch.setattr(docker_container, "LOG", {**docker_container.LOG, "max-size": "300k"})
    told: list[str] = []

    def follow(line: str) -> None:
        told.append(line)
        if line == "0":  # so slow that all the rest is written before the next line is read
            (at.path / "store" / "go").touch()
            until(lambda: not any(c["State"]["Running"] for c in at.containers()), "its end")

    script = "echo 0; until [ -e $1/go ]; do sleep 0.05; done; seq 1 40000; echo end"
    verdict = at.run("sh", "-c", script, "sh", f"{at.path}/store", follow=follow)

    assert verdict.reason is Reason.DONE, verdict.message("x")
    # Docker 20.10 passes over files that it rotated twice meanwhile, in silence.
    numbers = [int(line) for line in told if line.isdecimal()]
    assert numbers == sorted(set(numbers))
    assert (told[0], numbers[-1000:], told[-1]) == ("0", list(range(39001, 40001)), "end")


def test_a_container_without_these_limits_is_adopted(at):
    """As an earlier tac made them: what is limited does not belong to a container's identity."""
    words = ("sh", "-c", "echo begun; until [ -e $1/go ]; do sleep 0.1; done", "sh")
    command = at.command(*words, f"{at.path}/store")
    defaults = ContainerDefaults(image=at.runner._settings.image, user="0:0")
    built = build_container(command, command.argv, defaults, ContainerInputs())
    manifest = dict(built.manifest)
    bind = f"{at.path}/store:{at.path}/store"
    manifest["HostConfig"] = {"Binds": [bind]}
    (at.path / "store").mkdir()
    with contextlib.closing(at.engine.client()) as client:
        made = client.api.create_container_from_config(manifest, built.name)["Id"]
        client.api.start(made)

    def follow(line: str) -> None:
        if line == "begun":
            (at.path / "store" / "go").touch()

    verdict = at.run(*command.argv, follow=follow)

    assert verdict.reason is Reason.DONE, verdict.message("x")
    assert f"# adopted container {made[:12]}, running" in at.words
