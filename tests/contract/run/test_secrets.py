"""A run with a password in everything that has an address: nothing it says or keeps holds one."""

import base64
import json
from pathlib import Path

import pytest

from tests.support.faults import Answer, running_proxy
from tests.support.flights import Reply, encode, flight, flights, running_server
from tests.support.luigid import luigid
from tests.support.runs import tac

SECRET = "hush-7f3a"
"""A password that occurs nowhere else."""

BASIC = f"Basic {base64.b64encode(f'anna:{SECRET}'.encode()).decode()}"


def with_password(url: str) -> str:
    return url.replace("http://", f"http://anna:{SECRET}@")


@pytest.fixture
def server():
    with running_server() as server:
        yield server


@pytest.fixture
def door(tmp_path):
    """A luigid behind a proxy that wants a password."""
    (tmp_path / "luigid").mkdir()
    with luigid(tmp_path / "luigid") as behind, running_proxy(behind.url) as proxy:
        proxy.fault = lambda request: (
            None if request.headers.get("authorization") == BASIC else Answer(401)
        )
        yield behind, proxy


def run(at: Path, server, door, *words: str):
    at.mkdir()
    _, proxy = door
    url = with_password(server.url)
    return tac(
        at,
        *("run", "FetchData", "--date", "2023-03-01", "--verbose", "--debug"),
        *("--source", f"{url}/{{date}}.parquet?X-Amz-Signature={SECRET}&token={SECRET}"),
        *("--luigid", with_password(proxy.endpoint), *words),
        HOME=str(at),
        https_proxy=f"http://anna:{SECRET}@127.0.0.1:1",
        no_proxy="127.0.0.1",
    )


def assert_nothing_holds_it(ended, at: Path, door) -> None:
    behind, _ = door
    assert SECRET not in ended.out + ended.err
    known = behind.tasks()
    errors = [behind.ask("fetch_error", task_id=name) for name in behind.ask("task_list")]
    assert SECRET not in json.dumps([known, errors, behind.ask("worker_list")])
    files = [path for path in at.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert any(path.suffix == ".log" for path in files)


def test_a_run_that_succeeds_shows_no_password(tmp_path, server, door):
    server.replies["/2023-03-01.parquet"] = Reply(encode(flights(flight())))

    ended = run(tmp_path / "at", server, door)

    assert ended.code == 0, ended.err
    assert [headers["authorization"] for _, headers in server.asked] == [BASIC]
    assert_nothing_holds_it(ended, tmp_path / "at", door)


@pytest.mark.parametrize("how", ["denied", "strange", "bad", "redirected"])
def test_a_run_that_fails_shows_no_password(tmp_path, server, door, how):
    elsewhere = {"Location": f"/none?sig={SECRET}"}
    replies = {
        "denied": Reply(status=403),
        "strange": Reply(status=400),
        "bad": Reply(b"not Parquet"),
        "redirected": Reply(status=302, headers=elsewhere),
    }
    server.replies["/2023-03-01.parquet"] = replies[how]

    ended = run(tmp_path / "at", server, door)

    assert ended.code == 30, ended.err
    assert "http://***@127.0.0.1" in ended.err
    assert_nothing_holds_it(ended, tmp_path / "at", door)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["FetchData", "--date", "2023-03-01", "--luigid", "http://anna:{0}/x@127.0.0.1:1"], 2),
        (["FetchData", "--date", "2023-03-01", "--luigid", "http://anna:{0}@127.0.0.1:x"], 2),
        (["FetchData", "--date", "2023-03-01", "--store", "s3://anna:{0}@bucket/x"], 35),
        (["FetchData", "--date", "2023-03-01", "--runner", "http://anna:{0}@host"], 2),
        (["FetchData", "--date", "http://anna:{0}@host"], 2),
        (["--module", "http://anna:{0}@host", "FetchData"], 2),
        (["http://anna:{0}@host"], 2),
        (["FetchData", "http://anna:{0}@host"], 2),
    ],
)
def test_a_command_line_that_cannot_be_is_refused_without_its_password(tmp_path, words, code):
    ended = tac(tmp_path, "run", *(word.format(SECRET) for word in words), "--debug")

    assert ended.code == code, ended.err
    assert ended.err
    assert SECRET not in ended.out + ended.err
