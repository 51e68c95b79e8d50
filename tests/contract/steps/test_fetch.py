"""`python -m tac.fetch`: one day from each kind of source, and each way that a day can be bad."""

import datetime
import socket
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet
import pytest

from tac.flights.calendar import today
from tac.flights.day import read_day
from tests.support.flights import (
    DAY,
    ONE_DAY,
    Reply,
    Server,
    encode,
    flight,
    flights,
    run_step,
)
from tests.support.s3 import Bucket

TWO = flights(flight(), flight(flight=17))
GOOD = encode(TWO)


def fetch(tmp_path, *arguments, day=DAY, **keywords):
    return run_step("fetch", tmp_path / "out.parquet", "--date", day, *arguments, **keywords)


def refusal(message, hint=None):
    """What a step that refuses prints."""
    return f"Error: {message}\n" + (f"Hint: {hint}\n" if hint else "")


def test_a_day_of_the_bundled_year(tmp_path):
    result = fetch(tmp_path)

    assert (result.returncode, result.stdout) == (0, "")
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").equals(read_day("bundled", DAY))


@pytest.mark.parametrize("folder", ["my dir", "météo", "what? now", "a#b", "a+b", "50%", "a&b"])
def test_a_source_in_a_folder_of_any_name(tmp_path, bucket: Bucket, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / f"{DAY}.parquet").write_bytes(GOOD)
    bucket.client.put_object(Bucket=bucket.name, Key=f"{folder}/{DAY}.parquet", Body=GOOD)

    for source in (
        f"{tmp_path}/{folder}/{{date}}.parquet",
        f"file://{tmp_path}/{folder}/{{date}}.parquet",
        f"file://{tmp_path}/{quote(folder)}/{{date}}.parquet",
        bucket.address(f"{folder}/{{date}}.parquet"),
    ):
        assert read_day(source, DAY).equals(TWO)


def test_a_folder_that_is_called_like_a_percent_encoded_one_is_found(tmp_path):
    (tmp_path / "my%20dir").mkdir()
    (tmp_path / "my%20dir" / "day.parquet").write_bytes(GOOD)
    (tmp_path / "my dir").mkdir()

    assert read_day(f"file://{tmp_path}/my%20dir/day.parquet", DAY).equals(TWO)


@pytest.mark.parametrize(
    ("pasted", "asked"),
    [
        ("/my dir/day.parquet", "/my%20dir/day.parquet"),
        ("/my%20dir/day.parquet", "/my%20dir/day.parquet"),
        ("/météo/day.parquet?q=é b", "/m%C3%A9t%C3%A9o/day.parquet?q=%C3%A9%20b"),
        ("/a+b/day.parquet#part 1", "/a+b/day.parquet"),
    ],
)
def test_a_web_address_is_requested_as_a_browser_does(server: Server, pasted, asked):
    server.replies[asked.partition("?")[0]] = Reply(GOOD)

    assert read_day(f"{server.url}{pasted}", DAY).equals(TWO)
    assert [path for path, _ in server.asked] == [asked]


def test_a_schedule_to_standard_output(tmp_path):
    result = run_step("fetch", "-", "--date", DAY, "--schedule", "--format", "csv")

    planned = read_day("bundled", DAY, schedule=True)
    assert (result.returncode, result.stdout) == (0, encode(planned, ".csv").decode())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept_and_nothing_is_read(tmp_path):
    (tmp_path / "out.parquet").write_bytes(b"mine")

    result = fetch(tmp_path, "--source", "/nowhere/{date}.csv")

    assert result.returncode == 0
    assert result.stderr.startswith(f"{tmp_path}/out.parquet: exists, 4 bytes, made ")
    assert (tmp_path / "out.parquet").read_bytes() == b"mine"


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_day_over_http(tmp_path, server: Server, suffix):
    server.replies["/2023/03/01" + suffix] = Reply(encode(TWO, suffix))

    result = fetch(tmp_path, "--source", server.url + "/{date:%Y/%m/%d}" + suffix)

    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.parquet").read_bytes() == GOOD


HTTP_REFUSALS = [
    (
        Reply(status=404),
        2,
        "no such file: the server answered 404 Not Found",
        "a day may be published later; `--date` and `--source` name what is requested",
    ),
    (
        Reply(status=401),
        2,
        "not authenticated: the server answered 401 Unauthorized",
        "if it wants a password or a token, set TAC_SOURCE_AUTHORIZATION, such as 'Bearer …';"
        " on Kubernetes it is a key of the Secret tac-s3",
    ),
    (
        Reply(status=403),
        2,
        "no permission: the server answered 403 Forbidden",
        "if it wants a password or a token, set TAC_SOURCE_AUTHORIZATION, such as 'Bearer …';"
        " on Kubernetes it is a key of the Secret tac-s3",
    ),
    (Reply(status=400), 2, "cannot be read: the server answered 400 Bad Request", None),
    (Reply(GOOD, status=206), 2, "cannot be read: the server answered 206 Partial Content", None),
    (
        Reply(status=302, headers={"Location": "http://[::1"}),
        2,
        "redirects to 'http://[::1', which is no URL",
        None,
    ),
    (Reply(status=204), 2, "cannot be read: the server answered 204 No Content", None),
    (
        Reply(status=503),
        75,
        "cannot be read now: the server answered 503 Service Unavailable",
        None,
    ),
    (
        Reply(GOOD[:1000], promised=len(GOOD)),
        75,
        f"the connection broke after 1000 of {len(GOOD)} bytes",
        None,
    ),
    (
        Reply(b"<!doctype html><title>Sign in</title>"),
        65,
        "is an HTML page, not Parquet: 37 bytes that begin with"
        " '<!doctype html><title>Sign in</title>'",
        "it is a login or error page; open the address in a browser",
    ),
    (
        Reply(GOOD[:1000]),
        65,
        "is truncated: 1000 bytes of Parquet without the footer at its end",
        "fetch it again; an upload or download was cut off",
    ),
]


@pytest.mark.parametrize(("reply", "code", "message", "hint"), HTTP_REFUSALS)
def test_what_a_server_answers_has_its_exit_code(tmp_path, server, reply, code, message, hint):
    server.replies["/2023-03-01.parquet"] = reply

    url = server.url.replace("http://", "http://anna:secret@")
    result = fetch(tmp_path, "--source", url + "/{date}.parquet")

    where = f"{server.url.replace('http://', 'http://***@')}/2023-03-01.parquet"
    assert (result.returncode, result.stderr) == (code, refusal(f"{where}: {message}", hint))
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_a_temporary_error(tmp_path):
    with socket.socket() as taken:  # bound and not listening: no other process can listen here
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = fetch(tmp_path, "--source", url + "/{date}.csv")

    assert (result.returncode, result.stderr) == (
        75,
        refusal(f"{url}/2023-03-01.csv: cannot be reached: [Errno 111] Connection refused"),
    )


def changed(name, values):
    return TWO.set_column(TWO.column_names.index(name), name, pa.array(values))


OTHER_DAY = flights(flight(), flight(datetime.date(2023, 2, 28), flight=17))
BAD_DAYS = [
    (
        encode(TWO.drop_columns(["arr_delay"])),
        "has no column 'arr_delay'; its 18 columns are year, month, day, dep_time, sched_dep_time,"
        " dep_delay, arr_time, sched_arr_time, carrier, flight, tailnum, origin, dest, air_time,"
        " distance, hour, minute, time_hour",
    ),
    (
        encode(changed("arr_delay", ["-3", "n/a"])),
        "column 'arr_delay' is 'n/a' in row 2 of 2; it must be a whole number",
    ),
    (
        encode(changed("hour", [17, 24])),
        "column 'hour' is 24 in row 2; 0 to 23 is possible",
    ),
    (encode(TWO.slice(0, 0)), "holds no rows"),
    (
        encode(flights(flight(), flight())),
        "flight B6 502 from JFK at 1710 is there twice, in rows 1 and 2",
    ),
    (
        encode(OTHER_DAY),
        "is not 2023-03-01: 1 of 2 rows are of other days, first 2023-02-28 in row 2",
    ),
]


@pytest.mark.parametrize(("data", "message"), BAD_DAYS)
def test_a_bad_day_is_not_published(tmp_path, data, message):
    source = tmp_path / "2023-03-01.parquet"
    source.write_bytes(data)

    result = fetch(tmp_path, "--source", f"{tmp_path}/{{date}}.parquet")

    assert (result.returncode, result.stderr) == (65, refusal(f"{source}: {message}"))
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_that_does_not_exist_is_a_missing_input(tmp_path):
    result = fetch(tmp_path, "--source", f"{tmp_path}/{{date}}.parquet")

    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: {tmp_path}/2023-03-01.parquet: ")
    assert list(tmp_path.iterdir()) == []


def test_a_future_day_is_refused(tmp_path):
    tomorrow = today() + ONE_DAY
    result = fetch(tmp_path, day=tomorrow)

    assert (result.returncode, result.stderr) == (
        2,
        refusal(
            f"{tomorrow}: is in the future; in New York it is {tomorrow - ONE_DAY}",
            "--date yesterday is the last day that is over",
        ),
    )


def test_a_day_from_s3_to_s3(bucket: Bucket):
    bucket.client.put_object(Bucket=bucket.name, Key="in/2023-03-01.csv", Body=encode(TWO, ".csv"))

    result = run_step(
        "fetch",
        *(bucket.address("out.parquet"), "--date", DAY),
        *("--source", bucket.address("in/{date}.csv")),
        environment=bucket.environment(),
    )

    assert result.returncode == 0, result.stderr
    stored = bucket.client.get_object(Bucket=bucket.name, Key="out.parquet")
    assert stored["Body"].read() == GOOD
