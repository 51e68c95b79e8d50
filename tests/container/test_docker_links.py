"""What a step plants in the store leads neither its driver nor the next container out of it."""

import os
import socket
from pathlib import Path

import pytest

from tac.verdict import Phase, Reason, Verdict
from tests.support.docker_place import DockerPlace, message
from tests.support.docker_place import at as docker_at
from tests.support.processes import until

__all__ = ["docker_at"]

LINK = "is a symbolic link, and what a step may have made is not followed"
OUT = "where steps may make links: it is not mounted"


@pytest.fixture
def at(docker_at):
    """A place whose logs are in the store, and beside it what no step is to read or to write."""
    docker_at.log = docker_at.path / "store" / "_tac" / "logs" / "x.log"
    (docker_at.path / "home" / ".ssh").mkdir(parents=True)
    (docker_at.path / "home" / "secret").write_text("kept")
    yield docker_at
    found = sorted(
        each.relative_to(docker_at.path) for each in (docker_at.path / "home").rglob("*")
    )
    assert found == [Path("home/.ssh"), Path("home/secret")]
    assert (docker_at.path / "home" / "secret").read_text() == "kept"


def in_store(at: DockerPlace, script: str, *more: str) -> Verdict:
    """Run a script in the store, which is its working directory."""
    return at.run("sh", "-c", f'exec 2>&1; cd "$1"; {script}', "sh", f"{at.path}/store", *more)


@pytest.mark.parametrize(
    ("script", "refused"),
    [
        ("ln -sf /home/secret _tac/logs/x.log", "Read-only file system"),
        ("rm _tac/logs/x.log", "Read-only file system"),
        ("echo forged >> _tac/logs/other.log", "Read-only file system"),
        ("mkfifo _tac/logs/new.log", "Read-only file system"),
        ("mkdir _tac/memory", "Read-only file system"),
        ("mv _tac/logs _tac/gone", "Read-only file system"),
        ("mv _tac gone", "Device or resource busy"),
        ("rm -r _tac", "Read-only file system"),
        ("rmdir _tac", "Device or resource busy"),
        ("ln _tac/logs/other.log mine", "Invalid cross-device link"),
        ("chmod 777 _tac/logs", "Read-only file system"),
        ("mount --bind . _tac", "mount: "),
        ("umount _tac", "umount: "),
    ],
)
def test_a_step_cannot_touch_what_is_tacs_own_and_writes_the_rest_of_the_store(at, script, refused):
    at.log.parent.mkdir(parents=True)
    other = at.log.with_name("other.log")
    other.write_text("of another\n")

    verdict = in_store(at, f"mkdir a && echo so > a/x; {script} && echo done it; :")

    assert verdict.reason is Reason.DONE, at.words
    assert refused in at.words
    assert "done it" not in at.words
    assert other.read_text() == "of another\n"
    assert (at.path / "store" / "a" / "x").read_text() == "so\n"
    assert sorted(each.name for each in (at.path / "store").iterdir()) == ["_tac", "a"]


def test_a_store_below_the_directory_of_an_output_cannot_be_moved_away_with_its_logs(at):
    script = 'exec 2>&1; cd "$1"; mv store gone; mkdir -p store/_tac/logs; ls; echo out > "$2"'
    output = f"{at.path}/x.csv"

    verdict = at.run("sh", "-c", script, "sh", f"{at.path}/", output, output=output)

    assert verdict.reason is Reason.DONE, at.words
    assert "Device or resource busy" in at.words
    assert sorted(each.name for each in at.path.iterdir()) == ["home", "store", "x.csv"]
    assert (at.path / "x.csv").read_text() == "out\n"


@pytest.mark.parametrize("kind", ["input", "output", "both"])
def test_what_a_step_links_to_is_not_given_to_the_next(at, kind):
    home, store = at.path / "home", at.path / "store"
    assert in_store(at, f"ln -s {home} b").reason is Reason.DONE

    read = "cat $2" if kind != "output" else ":"
    write = "mkdir -p b/new && echo no > b/new/x" if kind != "input" else ":"
    output = f"{store}/b/new/x" if kind != "input" else ""
    verdict = at.run(
        *("sh", "-c", f"cd $1; {read}; {write}", "sh", f"{store}/"),
        f"{store}/b/secret" if kind != "output" else output,
        output=output,
    )

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    path = "b/secret" if kind == "input" else "b/new"
    assert message(verdict) == (
        f"step/x: could not be started: {store}/{path}: leads by a symbolic link to "
        f"{home}{path[1:]}, out of {store}, {OUT}\n"
        f"Hint: name {home}{path[1:]} itself, or mount it into the store (`mount --bind`)"
    )


def test_a_link_that_no_command_names_leads_to_nothing_in_a_container(at):
    assert in_store(at, f"ln -s {at.path}/home b; ln -s /etc c").reason is Reason.DONE

    verdict = in_store(at, "ls b/ || echo nothing; cat c/hostname")

    assert verdict.reason is Reason.DONE
    assert "nothing\n" in at.words
    assert socket.gethostname() not in at.words


def test_another_driver_mounts_what_exists_when_it_starts(at):
    """The link is made while a container has the store; the next is given no more for it."""
    with at.running(f"ln -s {at.path}/home {at.path}/store/b; echo made; sleep 600"):
        at.container()
        until((at.path / "store" / "b").is_symlink, "the link")
        second = at.new_runner()
        command = at.command("cat", f"{at.path}/store/b/secret")
        verdict = second.run(command, follow=lambda _: None, stop=at.stop)
        second.close()
        at.stop.set()

    assert verdict.reason is Reason.CANNOT_START
    assert OUT in verdict.detail


@pytest.mark.parametrize(
    ("what", "where", "said"),
    [
        ("link", "_tac/logs/x.log", LINK),
        ("FIFO", "_tac/logs/x.log", "is a FIFO, not a file"),
        ("directory", "_tac/logs/x.log", "is a directory, not a file"),
        ("link", "_tac/logs", LINK),
        ("link", "_tac", LINK),
        ("FIFO", "_tac", "is a FIFO, not a directory"),
    ],
)
def test_what_a_step_of_another_runner_has_planted_stops_the_next_one_in_one_sentence(
    at, what, where, said
):
    """A step of the local runner may, for one: it is the user."""
    path = at.path / "store" / where
    path.parent.mkdir(parents=True)
    if what == "FIFO":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    else:
        path.symlink_to(at.path / "home" / ("secret" if where.endswith("log") else "."))

    verdict = in_store(at, "echo ran > ran")

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    first, hint = message(verdict).splitlines()
    assert first == f"step/x: could not be started: {path}: {said}"
    assert hint.startswith("Hint: `ls -l")
    assert not (at.path / "store" / "ran").exists()
    assert at.containers() == []


def test_a_store_that_is_a_link_is_mounted_where_it_led_when_the_driver_began(at):
    (at.path / "disk").mkdir()
    (at.path / "link").symlink_to("disk")
    at.set(TAC_STORE=str(at.path / "link"))
    at.log = at.path / "disk" / "_tac" / "logs" / "x.log"
    assert at.run("sh", "-c", "echo so > $0", f"{at.path}/link/x").reason is Reason.DONE
    (at.path / "link").unlink()
    (at.path / "link").symlink_to("home")

    verdict = at.run("sh", "-c", "cat $0; echo more > $1", f"{at.path}/link/x", f"{at.path}/link/y")

    assert verdict.reason is Reason.DONE, at.words
    assert "so\n" in at.words
    assert sorted(each.name for each in (at.path / "disk").iterdir()) == ["_tac", "x", "y"]


def test_a_socket_of_this_machine_is_not_given_to_a_container(at):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.sock")

        verdict = at.run("true", "./s.sock")

    assert message(verdict) == (
        f"step/x: could not be started: {at.path}/s.sock: is a socket, and only files and "
        "directories can be mounted\n"
        "Hint: write its content to a file, and name that"
    )
