from typing import Any

import pytest

from tac import runners
from tac.errors import ConfigError
from tac.request import RunRequest
from tac.runners.local import LocalRunner
from tac.runners.step_server import pack, unpack


def test_a_runner_that_there_is_not_is_a_wrong_setting():
    with pytest.raises(ConfigError) as caught:
        runners.runner_named("locale")

    assert (caught.value.message, caught.value.hint) == (
        "runner: there is none called 'locale'",
        "use local, docker or kubernetes",
    )


def test_a_process_has_one_runner_until_another_is_used():
    first = runners.current()
    assert isinstance(first, LocalRunner)
    assert runners.current() is first

    with runners.using(LocalRunner()) as other:
        assert runners.current() is other
    assert runners.current() is first


def test_the_repr_of_a_request_has_neither_environment_nor_arguments(tmp_path):
    argv = ("fetch", "--source", "https://bob:hush@host/x")
    command = RunRequest("x", argv, {"AWS_SECRET_ACCESS_KEY": "hush"}, tmp_path / "x.log")

    assert "hush" not in repr(command)


MESSAGES: list[dict[str, Any]] = [
    {"run": 1, "argv": ["a", "ä", "\udcff"], "pid": None},
    {"stop": 7},
    {"f": 0.5},
]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_messages_arrive_whole_in_whatever_pieces(size):
    sent = b"".join(pack(message) for message in MESSAGES)
    received = bytearray()
    messages: list[dict[str, Any]] = []
    for begin in range(0, len(sent), size):
        received += sent[begin : begin + size]
        messages += unpack(received)

    assert messages == MESSAGES
    assert not received
