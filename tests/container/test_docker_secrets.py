"""A source's password on its way into a container, and what everybody may read of that."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tac.verdict import Reason
from tests.support.docker_place import DockerPlace, at, message
from tests.support.flights import Reply, Server, encode, flight, flights, running_server

__all__ = ["at"]

SECRET = "hush-7f3a"
"""A password that occurs nowhere else."""

PAGE = "/2023-03-01.parquet"


@pytest.fixture
def server():
    with running_server() as server:
        server.replies[PAGE] = Reply(encode(flights(flight())))
        yield server


def fetch(at: DockerPlace, source: str):
    """Run a step that reads a source over http."""
    out = str(at.path / "store" / "day.parquet")
    words = ("python", "-m", "tac.fetch", out, "--date", "2023-03-01", "--source", source)
    return at.run(*words, output=out)


def test_a_container_sends_the_header_to_its_source_and_to_no_other_server(
    at: DockerPlace, server: Server
):
    at.set(TAC_DOCKER_NETWORK="host", TAC_SOURCE_AUTHORIZATION=f"Bearer {SECRET}")
    hold = threading.Event()
    server.replies[PAGE] = Reply(server.replies[PAGE].body, hold=hold)

    with ThreadPoolExecutor() as pool:
        running = pool.submit(fetch, at, server.url + "/{date}.parquet")
        try:
            known = at.container()
        finally:
            hold.set()
        verdict = running.result()

    assert verdict.reason is Reason.DONE, at.words
    assert [headers["authorization"] for _, headers in server.asked] == [f"Bearer {SECRET}"]
    assert SECRET not in json.dumps(known)
    assert "TAC_SOURCE_AUTHORIZATION_FILE=/run/tac/source-authorization" in known["Config"]["Env"]
    files = [path for path in at.path.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("before", "after"), [(f"anna:{SECRET}@", ""), ("", f"?X-Amz-Signature={SECRET}")]
)
def test_an_address_with_a_secret_never_becomes_a_container(
    at: DockerPlace, server: Server, before, after
):
    url = server.url.replace("http://", f"http://{before}")

    verdict = fetch(at, f"{url}/{{date}}.parquet{after}")

    shown = server.url.replace("http://", "http://***@" if before else "http://")
    assert message(verdict) == (
        f"step/x: could not be started: '{shown}/{{date}}.parquet{'?***' if after else ''}': has a"
        " password or a key in it, and everyone with access to the engine can read a container's "
        "command\n"
        "Hint: leave it out, and set TAC_SOURCE_AUTHORIZATION, such as 'Bearer …': containers get"
        " it in a file that only you can read"
    )
    assert (at.containers(), server.asked) == ([], [])
    assert SECRET not in at.log.read_text()
