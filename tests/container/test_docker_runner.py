"""The life of a step's container: its manifest, its log, its end."""

import contextlib
import os
import threading

import pytest

from tac.names import WORK
from tac.verdict import Phase, Reason
from tests.container.test_docker_restart import IMAGE, left_open, own
from tests.support.docker_place import GRACE_SECONDS, at, docker_place, message
from tests.support.engine import Engine
from tests.support.processes import until

__all__ = ["at", "own"]


def test_a_container_gets_no_more_rights_than_it_needs(at):
    with at.running("sleep 600"):
        found = at.container()
        at.stop.set()

    host = found["HostConfig"]
    store = f"{at.path}/store"
    assert {
        "user": found["Config"]["User"],
        "read-only": host["ReadonlyRootfs"],
        "dropped": host["CapDrop"],
        "groups": host["GroupAdd"] or [],
        "options": host["SecurityOpt"],
        "temporary": host["Tmpfs"],
        "privileged": host["Privileged"],
        "mounts": host["Mounts"],
    } == {
        "user": f"{os.geteuid()}:{os.getegid()}",
        "read-only": True,
        "dropped": ["ALL"],
        "groups": [str(each) for each in sorted({*os.getgroups()} - {os.getegid()})],
        "options": ["no-new-privileges"],
        "temporary": {"/tmp": "size=1073741824"},
        "privileged": False,
        "mounts": [
            {"Type": "bind", "Source": store, "Target": store},
            {
                "Type": "bind",
                "Source": f"{store}/_tac",
                "Target": f"{store}/_tac",
                "ReadOnly": True,
            },
        ],
    }


def test_a_name_and_labels_tell_whose_container_it_is(at):
    with at.running("sleep 600", attempt=3):
        found = at.container()
        at.stop.set()

    labels = found["Config"]["Labels"]
    work = labels[WORK]
    ours = {name: labels[name] for name in labels if name.startswith(("tac/", "app."))}
    assert ours == {
        "app.kubernetes.io/managed-by": "tac",
        "tac/step": at.name,
        "tac/work": work,
        "tac/attempt": "3",
        "tac/output": "",
    }
    assert found["Name"] == f"/{at.name}-{work}-3"


def test_what_a_container_writes_to_the_store_belongs_to_the_user(at, monkeypatch):
    (at.path / "store").mkdir()
    os.chown(at.path / "store", 1234, 4321)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "getegid", lambda: 4321)

    verdict = at.sh(f"echo so > {at.path}/store/a/x || (mkdir store; exit 7)")
    made = at.sh(f"mkdir {at.path}/store/a && echo so > {at.path}/store/a/x")

    assert (verdict.exit_code, made.reason) == (7, Reason.DONE)
    found = (at.path / "store" / "a" / "x").stat()
    assert (found.st_uid, found.st_gid) == (1234, 4321)


def test_what_the_users_other_groups_may_write_a_container_may_too(at, monkeypatch):
    session = at.path / "store"
    session.mkdir()
    os.chown(session, 0, 3000)
    session.chmod(0o2770)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "getegid", lambda: 1234)
    monkeypatch.setattr(os, "getgroups", lambda: [1234, 3000])

    verdict = at.sh(f"echo so > {session}/x")

    assert verdict.reason is Reason.DONE, verdict.message("x")
    found = (session / "x").stat()
    assert (found.st_uid, found.st_gid) == (1234, 3000)


def test_more_processors_than_there_are_are_as_many_as_there_are(at):
    with contextlib.closing(at.engine.client()) as client:
        there = client.info()["NCPU"]

    with at.running("sleep 600", cpu="1000"):
        found = at.container()
        at.stop.set()

    assert found["HostConfig"]["NanoCpus"] == there * 1_000_000_000


def test_relative_paths_mean_what_they_mean_here_and_inputs_cannot_be_written(at):
    (at.path / "data").mkdir()
    (at.path / "data" / "day.csv").write_text("so")
    (at.path / "beside.csv").write_text("here")

    script = 'cat "$1" "${2#file://}"; echo no > "$1" || echo kept; echo out > "$3"'
    words = ("sh", "-c", script, "sh", "data/day.csv", f"file://{at.path}/beside.csv", "out/x.csv")
    verdict = at.run(*words, output="out/x.csv")

    assert verdict.reason is Reason.DONE, at.words
    assert "sohere" in at.words
    assert "kept\n" in at.words
    assert (at.path / "data" / "day.csv").read_text() == "so"
    assert (at.path / "out" / "x.csv").read_text() == "out\n"


def test_an_input_behind_a_link_in_the_store_a_folder_and_a_sentence_are_what_they_are_here(at):
    store = at.path / "store"
    (store / "of").mkdir(parents=True)
    (store / "of" / "day.csv").write_text("so\n")
    (store / "day.csv").symlink_to("of/day.csv")
    sentence = f"SELECT 1/2 {'x' * 300}."

    words = ("sh", "-c", 'cat "$1"; echo "$2"; echo "$3"', "sh")
    verdict = at.run(*words, f"{store}/day.csv", f"{store}/parts/", sentence)

    assert verdict.reason is Reason.DONE, verdict.message("x")
    assert at.words.splitlines() == ["so", f"{store}/parts/", sentence]


def test_only_the_temporary_directory_can_be_written_beside_the_store(at):
    # On one stream: the engine reads two of them in any order.
    verdict = at.sh("exec 2>&1; echo so > /tmp/x && cat /tmp/x && echo $HOME && echo no > /x")

    assert at.words.splitlines()[:2] == ["so", "/tmp"]
    assert "Read-only file system" in verdict.detail


def test_the_output_of_a_step_is_followed_while_it_runs_on_either_stream(at):
    told: list[str] = []
    heard = threading.Event()

    def follow(line: str) -> None:
        told.append(line)
        if line == "[ 40 %] reading":
            heard.set()

    script = (
        "echo '[ 40 %] reading' >&2; until [ -e $1/go ]; do sleep 0.1; done; printf 'ä\\377 end'"
    )
    words = ("sh", "-c", script, "sh", f"{at.path}/store")
    thread = threading.Thread(target=at.run, args=words, kwargs={"follow": follow})
    thread.start()
    assert heard.wait(20)
    (at.path / "store" / "go").touch()
    thread.join(20)

    assert told == ["[ 40 %] reading", "ä\ufffd end"]
    # The engine keeps text, so a byte that is none is replaced already there.
    assert at.log.read_bytes().endswith("\n[ 40 %] reading\nä\ufffd end".encode())


def test_every_line_of_many_is_followed_once_and_in_order(at):
    told: list[str] = []

    at.sh("i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done", follow=told.append)

    assert told == [f"line {number}" for number in range(30000)]


OPTIONS = {"max-size": "20k", "max-file": "2", "compress": "true", "mode": "non-blocking"}


@left_open
@pytest.mark.parametrize(
    "own",
    [[f"--log-opt={name}={value}" for name, value in OPTIONS.items()]],
    indirect=True,
    ids=["rotating"],
)
def test_no_line_is_lost_where_the_engine_keeps_the_last_ones_only(own, tmp_path, monkeypatch):
    told: list[str] = []
    script = "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done"

    with docker_place(tmp_path, Engine(own.host), IMAGE, monkeypatch) as at:
        verdict = at.run("/bin/sh", "-c", script, follow=told.append)

    assert verdict.reason is Reason.DONE, verdict.message("x")
    assert told == [f"line {number}" for number in range(30000)]


@pytest.mark.parametrize(
    ("script", "grace_seconds", "detail"),
    [
        (
            "trap 'exit 143' TERM; echo on; while :; do sleep 0.1; done",
            15.0,
            "stopped on request after T s",
        ),
        (
            "trap '' TERM; echo on; while :; do sleep 0.1; done",
            GRACE_SECONDS,
            "stopped on request after T s, by SIGKILL because SIGTERM did not end it",
        ),
    ],
)
def test_a_stopped_driver_stops_its_container(at, script, grace_seconds, detail):
    at.grace_seconds = grace_seconds
    with at.running(script) as verdicts:
        until(lambda: at.log.exists() and "on" in at.words, "the first word")
        at.stop.set()

    assert (verdicts[0].phase, verdicts[0].reason) == (Phase.RUNNING, Reason.STOPPED)
    assert message(verdicts[0]) == (
        f"step/x: {detail}\nHint: run the same command again: what is finished is kept"
    )


def test_a_closed_runner_stops_what_it_runs(at):
    with at.running("echo on; sleep 600") as verdicts:
        at.container()
        at.close()

    assert verdicts[0].reason is Reason.STOPPED


def test_what_the_follower_raises_ends_the_container(at):
    def follow(_: str) -> None:
        raise LookupError("of the test")

    with pytest.raises(LookupError, match="of the test"):
        at.sh("echo on; sleep 600", follow=follow)

    assert at.containers() == []
