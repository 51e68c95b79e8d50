"""What a fetch takes of a foreign server: so many bytes, so many seconds, no other scheme."""

import pytest

from tac.errors import StorageUnavailable
from tac.flights.download import Bounds, download
from tests.support.flights import (
    DAY,
    Reply,
    Server,
    encode,
    flight,
    flights,
    run_step,
)
from tests.support.talking import silence, talking_server, trickle

GOOD = encode(flights(flight(), flight(flight=17)))
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
RAISE = "if it is what it must be, set TAC_MOST_INPUT_BYTES (now 1000)"
WAIT = "if it takes that long, set TAC_DOWNLOAD_SECONDS"
BOUNDS = {"TAC_MOST_INPUT_BYTES": "1000", "TAC_DOWNLOAD_SECONDS": "0.5"}


def fetch(tmp_path, source, **environment):
    arguments = (tmp_path / "out.parquet", "--date", DAY, "--source", source)
    return run_step("fetch", *arguments, environment=environment)


NEVER_ENDING = [
    (
        "a length that is announced",
        silence(HEAD + b"Content-Length: 7000000000\r\n\r\nPAR1"),
        65,
        "announces 7000000000 bytes; at most 1000 are read of one input",
        RAISE,
    ),
    (
        "chunks without an end",
        trickle(CHUNKED, b"64\r\n" + b"x" * 100 + b"\r\n", seconds=0),
        65,
        "sends at least 1001 bytes; at most 1000 are read of one input",
        RAISE,
    ),
    (
        "a body without a length",
        trickle(HEAD + b"\r\n", b"x" * 100, seconds=0),
        65,
        "sends at least 1001 bytes; at most 1000 are read of one input",
        RAISE,
    ),
    (
        "a byte now and then",
        trickle(HEAD + b"Content-Length: 999\r\n\r\n", b"x"),
        75,
        "was not read within 0.5 s (limit 0.5 s)",
        WAIT,
    ),
    (
        "a byte now and then without a length",
        trickle(HEAD + b"\r\n", b"x"),
        75,
        "was not read within 0.5 s (limit 0.5 s)",
        WAIT,
    ),
    (
        "a header without an end",
        trickle(HEAD + b"Name: ", b"x"),
        75,
        "was not read within 0.5 s (limit 0.5 s)",
        WAIT,
    ),
    (
        "an answer without an end to its first line",
        trickle(b"HTTP/1.1 200 ", b"x"),
        75,
        "was not read within 0.5 s (limit 0.5 s)",
        WAIT,
    ),
    ("nothing", silence(), 75, "was not read within 0.5 s (limit 0.5 s)", WAIT),
]


@pytest.mark.parametrize(
    ("talk", "code", "message", "hint"),
    [row[1:] for row in NEVER_ENDING],
    ids=[row[0] for row in NEVER_ENDING],
)
def test_a_download_without_an_end_is_ended(tmp_path, talk, code, message, hint):
    with talking_server(talk) as url:
        result = fetch(tmp_path, f"{url}/{{date}}.parquet", **BOUNDS)

    where = f"{url}/2023-03-01.parquet"
    assert (result.returncode, result.stderr) == (
        code,
        f"Error: {where}: {message}\nHint: {hint}\n",
    )
    assert list(tmp_path.iterdir()) == []


SLOW = [
    (silence(HEAD + b"\r\n"), "was silent for 0.2 s (limit 0.2 s)"),
    (silence(), "was silent for 0.2 s (limit 0.2 s)"),
]


@pytest.mark.parametrize(("talk", "message"), SLOW)
def test_a_silent_server_may_come_back(talk, message):
    with talking_server(talk) as url, pytest.raises(StorageUnavailable) as caught:
        download(f"{url}/day.csv", Bounds(1000, 60, silence_seconds=0.2))

    assert caught.value.message == f"{url}/day.csv: {message}"


def test_a_server_that_sends_too_little_is_given_up_long_before_the_deadline():
    talk = trickle(HEAD + b"\r\n", b"x", seconds=0.05)
    with talking_server(talk) as url, pytest.raises(StorageUnavailable) as caught:
        download(f"{url}/day.csv", Bounds(1000, 60, silence_seconds=0.2))

    assert caught.match(
        rf"^{url}/day\.csv: is too slow: [1-9] bytes in 0\.\d+ s \(limit 1000 a second\)$"
    )


def test_a_day_that_is_as_large_as_allowed_is_read(tmp_path, server: Server):
    server.replies["/day.parquet"] = Reply(GOOD)

    result = fetch(tmp_path, f"{server.url}/day.parquet", TAC_MOST_INPUT_BYTES=str(len(GOOD)))

    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.parquet").read_bytes() == GOOD


def test_a_file_and_an_object_are_bounded_too(tmp_path, bucket):
    (tmp_path / "day.parquet").write_bytes(GOOD)
    bucket.client.put_object(Bucket=bucket.name, Key="day.parquet", Body=GOOD)

    for where in (f"{tmp_path}/day.parquet", bucket.address("day.parquet")):
        result = fetch(
            tmp_path, where, **bucket.environment(), TAC_MOST_INPUT_BYTES=str(len(GOOD) - 1)
        )

        assert (result.returncode, result.stderr) == (
            65,
            f"Error: {where}: is {len(GOOD)} bytes; at most {len(GOOD) - 1} are read of one input\n"
            f"Hint: if it is what it must be, set TAC_MOST_INPUT_BYTES (now {len(GOOD) - 1})\n",
        )


def test_a_file_that_is_longer_than_it_says_is_not_read_to_its_end(tmp_path):
    (tmp_path / "day.csv").symlink_to("/proc/kallsyms")  # says that it has no bytes

    result = fetch(tmp_path, f"{tmp_path}/day.csv", TAC_MOST_INPUT_BYTES="1Ki")

    assert (result.returncode, result.stderr) == (
        65,
        f"Error: {tmp_path}/day.csv: holds at least 1025 bytes;"
        " at most 1024 are read of one input\n"
        "Hint: if it is what it must be, set TAC_MOST_INPUT_BYTES (now 1Ki)\n",
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_and_the_password_stays_with_its_host(
    tmp_path, server: Server, status
):
    other = server.url.replace("127.0.0.1", "localhost")
    server.replies["/old.parquet"] = Reply(status=status, headers={"Location": "/new one.parquet"})
    server.replies["/new%20one.parquet"] = Reply(
        status=status, headers={"Location": f"{other}/there.parquet"}
    )
    server.replies["/there.parquet"] = Reply(GOOD)

    url = server.url.replace("http://", "http://anna:pa%20ss@")
    result = fetch(tmp_path, f"{url}/old.parquet?sig=secret")

    assert result.returncode == 0, result.stderr
    assert [(path, headers.get("authorization")) for path, headers in server.asked] == [
        ("/old.parquet?sig=secret", "Basic YW5uYTpwYSBzcw=="),
        ("/new%20one.parquet", "Basic YW5uYTpwYSBzcw=="),
        ("/there.parquet", None),
    ]
    assert not any(word in result.stderr for word in ("anna", "pa ss", "pa%20ss", "secret"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x.csv", "data:text/csv,a"])
def test_a_redirect_to_another_scheme_is_not_followed(tmp_path, server: Server, target):
    server.replies["/day.csv"] = Reply(status=302, headers={"Location": target})

    result = fetch(tmp_path, f"{server.url}/day.csv")

    assert (result.returncode, result.stderr) == (
        2,
        f"Error: {server.url}/day.csv: redirects from http:// to {target!r},"
        " which is not followed\n"
        "Hint: if you trust that address, name it as the source\n",
    )


def test_a_redirect_in_a_circle_ends(tmp_path, server: Server):
    server.replies["/day.csv"] = Reply(status=302, headers={"Location": "/day.csv"})

    result = fetch(tmp_path, f"{server.url}/day.csv")

    assert (result.returncode, result.stderr) == (
        2,
        f"Error: {server.url}/day.csv: redirects more than 10 times\n",
    )
    assert len(server.asked) == 11


@pytest.mark.parametrize("scheme", ["ftp", "gopher", "FTP", "data", "hdfs"])
def test_a_source_of_another_scheme_is_refused(tmp_path, scheme):
    result = fetch(tmp_path, f"{scheme}://anna:secret@host/{{date}}.parquet")

    assert (result.returncode, result.stderr) == (
        2,
        f"Error: {scheme}://***@host/2023-03-01.parquet: a source is not read by {scheme.lower()}://\n"
        "Hint: http://, https://, s3:// and file:// work, and a path of this machine\n",
    )


OBJECT = (
    HEAD
    + b'ETag: "a"\r\nLast-Modified: Wed, 01 Mar 2023 12:00:00 GMT\r\nContent-Length: 999\r\n\r\n'
)


@pytest.mark.parametrize("talk", [trickle(OBJECT, b"x"), silence(OBJECT)], ids=["slow", "silent"])
def test_an_object_that_does_not_arrive_in_time_is_given_up(tmp_path, talk):
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with talking_server(talk) as url:
        result = fetch(tmp_path, "s3://bucket/day.csv", AWS_ENDPOINT_URL_S3=url, **keys, **BOUNDS)

    assert (result.returncode, result.stderr) == (
        75,
        f"Error: s3://bucket/day.csv: was not read within 0.5 s (limit 0.5 s)\nHint: {WAIT}\n",
    )


def test_an_answer_without_a_length_is_not_of_s3(tmp_path):
    talk = trickle(HEAD + b'ETag: "a"\r\n\r\n', b"x" * 100)
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with talking_server(talk) as url:
        result = fetch(tmp_path, "s3://bucket/day.csv", AWS_ENDPOINT_URL_S3=url, **keys)

    assert (result.returncode, result.stderr) == (
        2,
        f"Error: s3://bucket/day.csv: the server at {url} is not S3\n"
        "Hint: check AWS_ENDPOINT_URL_S3: it names the S3 API's port, not a web page's\n",
    )
