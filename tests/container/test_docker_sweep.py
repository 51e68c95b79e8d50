"""What a driver removes of others' containers when it ends, and how long it may take."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.docker_place import DockerPlace, at
from tests.support.processes import until

__all__ = ["at"]


def leave(at: DockerPlace, script: str, *, output: str) -> str:
    """Run a script in a container that its driver leaves, and return its id when it has ended.

    No two of one place are the same work: each is told its output.
    """
    at.set(TAC_ON_STOP="leave")
    at.stop.clear()
    (at.path / "go").mkdir(exist_ok=True)
    waiting = f"until [ -e $1/now ]; do sleep 0.1; done; {script}"
    words = ("sh", "-c", waiting, "sh", f"{at.path}/go/", output)
    thread = threading.Thread(target=at.run, args=words, kwargs={"output": output})
    thread.start()
    found = str(at.container()["Id"])
    at.stop.set()
    thread.join(60)
    assert not thread.is_alive()
    at.close()
    (at.path / "go" / "now").touch()
    until(lambda: not any(each["State"]["Running"] for each in at.containers()), "its end")
    (at.path / "go" / "now").unlink()
    return found


def left(at: DockerPlace) -> list[str]:
    return [each["Id"] for each in at.containers()]


def remove(at: DockerPlace) -> None:
    for each in at.containers():
        at.engine.command("rm", each["Id"])


def test_what_ended_well_is_removed_and_what_failed_or_left_nothing_stays(at):
    store = at.path / "store"
    done = leave(at, "exit 0", output=f"{store}/done")
    failed = leave(at, "exit 7", output=f"{store}/failed")
    nothing = leave(at, "exit 0", output=f"{store}/nothing")
    assert set(left(at)) == {done, failed, nothing}
    for name in ("done", "failed"):
        (store / name).touch()

    at.new_runner().sweep()

    assert set(left(at)) == {failed, nothing}
    remove(at)


def test_one_that_cannot_be_judged_does_not_keep_the_others(at):
    store = at.path / "store"
    done = leave(at, "exit 0", output=f"{store}/done")
    strange = leave(at, "exit 0", output=f"{store}/strange")  # the newest is looked at first
    (store / "done").touch()
    (store / "strange").mkdir()
    assert set(left(at)) == {done, strange}

    at.new_runner().sweep()

    assert left(at) == [strange]
    remove(at)


def test_what_belongs_to_another_store_is_left_to_its_own_drivers(at):
    other = leave(at, "exit 0", output=f"{at.path}/other/x")
    (at.path / "other" / "x").touch()

    at.new_runner().sweep()
    assert left(at) == [other]

    at.set(TAC_STORE=str(at.path / "other"))
    at.new_runner().sweep()
    assert left(at) == []


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that takes every connection and says nothing."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(60)
            for each in taken:
                each.close()


def sweepers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "sweep"]


@pytest.mark.timeout(100)  # the store itself has patience for three minutes
def test_a_store_without_an_answer_does_not_keep_a_driver_from_ending(at):
    with silent_server() as address:
        at.set(
            TAC_STORE="s3://bucket/prefix",
            AWS_ENDPOINT_URL_S3=address,
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY="secret",
            TAC_DOCKER_NETWORK="host",
        )
        container = leave(at, "exit 0", output="s3://bucket/prefix/x")

        at.new_runner().sweep()

        assert left(at) == [container]
        assert sweepers(), "it was not asked"
    until(lambda: not sweepers(), "the end of the question")
    remove(at)
