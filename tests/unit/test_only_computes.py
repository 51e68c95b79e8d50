"""The guard over the unit tests holds, even where a library swallows every exception."""

import asyncio
import os
import socket
import subprocess
import sys

import pytest


def open_a_connection():
    socket.create_connection(("127.0.0.1", 9))


def listen():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))


def look_up_a_name():
    socket.getaddrinfo("localhost", 80)


def start_a_process() -> None:
    subprocess.run([sys.executable, "--version"], check=True)


def start_a_shell():
    os.system("true")


def fork():
    if os.fork() == 0:
        os._exit(0)


def start_a_process_and_swallow_what_comes_of_it():
    try:
        start_a_process()
    except Exception:  # noqa: BLE001 # what the guard must survive
        return


@pytest.mark.parametrize(
    "forbidden",
    [
        open_a_connection,
        listen,
        look_up_a_name,
        start_a_process,
        start_a_shell,
        fork,
        start_a_process_and_swallow_what_comes_of_it,
    ],
)
def test_a_unit_test_that_does_more_than_compute_fails(forbidden):
    with pytest.raises(pytest.fail.Exception, match="a unit test may not do this"):
        forbidden()


def test_an_event_loop_and_a_pair_of_sockets_are_no_network():
    async def nothing() -> str:
        return "done"

    assert asyncio.run(nothing()) == "done"


def test_nothing_of_the_developers_settings_is_left():
    left = [name for name in os.environ if name.startswith(("TAC_", "LUIGI_"))]  # noqa: TID251 # to look
    assert left == []
