"""A source over http gets the header Authorization, and no other server does."""

import pytest

from tests.support.flights import (
    DAY,
    Reply,
    Server,
    encode,
    flight,
    flights,
    run_step,
    running_server,
)

GOOD = encode(flights(flight()))
PAGE = "/2023-03-01.parquet"


@pytest.fixture
def server(server):
    server.replies[PAGE] = Reply(GOOD)
    return server


def fetch(tmp_path, url, **environment):
    source = url + "/{date}.parquet"
    words = (tmp_path / "out.parquet", "--date", DAY, "--source", source)
    return run_step("fetch", *words, environment=environment)


def test_the_header_comes_from_the_environment(tmp_path, server: Server):
    ended = fetch(tmp_path, server.url, TAC_SOURCE_AUTHORIZATION="Bearer hush")

    assert ended.returncode == 0, ended.stderr
    assert [headers["authorization"] for _, headers in server.asked] == ["Bearer hush"]


def test_the_header_comes_from_a_file_as_in_a_container(tmp_path, server: Server):
    (tmp_path / "header").write_text("Basic aHVzaA==\n")

    ended = fetch(tmp_path, server.url, TAC_SOURCE_AUTHORIZATION_FILE=str(tmp_path / "header"))

    assert ended.returncode == 0, ended.stderr
    assert [headers["authorization"] for _, headers in server.asked] == ["Basic aHVzaA=="]


def test_the_header_is_not_carried_along_to_another_host(tmp_path, server: Server):
    with running_server() as other:
        other.replies["/there.parquet"] = Reply(GOOD)
        elsewhere = {"Location": f"{other.url}/there.parquet"}
        server.replies[PAGE] = Reply(status=302, headers=elsewhere)

        ended = fetch(tmp_path, server.url, TAC_SOURCE_AUTHORIZATION="Bearer hush")

    assert ended.returncode == 0, ended.stderr
    assert [headers["authorization"] for _, headers in server.asked] == ["Bearer hush"]
    assert [headers.get("authorization") for _, headers in other.asked] == [None]


def test_a_password_in_the_address_and_a_header_are_one_too_many(tmp_path, server: Server):
    url = server.url.replace("http://", "http://anna:hush@")

    ended = fetch(tmp_path, url, TAC_SOURCE_AUTHORIZATION="Bearer hush")

    shown = server.url.replace("http://", "http://***@")
    assert (ended.returncode, ended.stderr) == (
        2,
        f"Error: {shown}{PAGE}: has a user or a password, and TAC_SOURCE_AUTHORIZATION is set\n"
        "Hint: leave one of them out: `unset TAC_SOURCE_AUTHORIZATION`\n",
    )
    assert server.asked == []


@pytest.mark.parametrize("word", ["hu/sh", "hu?sh", "hu#sh", "hu@s/h"])
def test_a_password_that_no_address_can_hold_is_not_shown_either(tmp_path, server: Server, word):
    ended = fetch(tmp_path, server.url.replace("http://", f"http://anna:{word}@"), DEBUG="1")

    assert ended.returncode in {2, 75}
    assert word not in ended.stderr
    assert "hu" not in ended.stderr
