"""What boto3's chain finds on this machine, for a step elsewhere: with real files and helpers."""

import datetime as dt
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tac import settings
from tac.errors import ConfigError, StorageUnavailable, TacError
from tac.store.s3_access import S3Access, current_access
from tac.store.s3_client import close_connections, connection

KEYS = {"aws_access_key_id": "known", "aws_secret_access_key": "hush"}


class Machine:
    """A home of its own for what boto3 reads, and nothing of ours in the environment."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self._patch = monkeypatch
        (home / ".aws").mkdir()

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)
        settings.current.cache_clear()
        close_connections()

    def write(self, name: str, *lines: str) -> None:
        (self.home / ".aws" / name).write_text("\n".join(lines))

    def make_helper(self, *lines: str) -> Path:
        """A program for `credential_process`, which counts its calls in the file `calls`."""
        helper = self.home / "helper"
        helper.write_text("\n".join(["#!/bin/sh", f"echo >> {self.home}/calls", *lines, ""]))
        helper.chmod(0o755)
        return helper

    def calls(self) -> int:
        return len((self.home / "calls").read_text().splitlines())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name in settings.child_environment():
        if name.startswith("AWS_"):
            monkeypatch.delenv(name, raising=False)
    made = Machine(tmp_path, monkeypatch)
    made.set(HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true")
    yield made
    monkeypatch.undo()
    settings.current.cache_clear()
    close_connections()


def printed(**more: str) -> str:
    known = {"Version": 1, "AccessKeyId": "known", "SecretAccessKey": "hush", **more}
    return f"echo '{json.dumps(known)}'"


def in_an_hour() -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()


def test_a_machine_without_keys_has_no_access(machine):
    assert current_access() == S3Access()


def test_keys_of_the_environment_win_and_the_profile_still_says_how_s3_is_spoken_to(machine):
    machine.write("config", "[profile mine]", "region = eu-west-1", "s3 =", "  x = y")
    machine.write("credentials", "[mine]", "aws_access_key_id = a", "aws_secret_access_key = b")
    machine.set(AWS_ACCESS_KEY_ID="known", AWS_SECRET_ACCESS_KEY="hush", AWS_PROFILE="mine")

    assert current_access() == S3Access(KEYS, {"region": "eu-west-1", "s3": {"x": "y"}})


def test_of_a_profile_nothing_is_handed_on_that_leads_to_keys(machine):
    machine.write(
        "config",
        *("[profile mine]", "region = eu-west-1", "services = own", "ca_bundle = /own.pem"),
        *("credential_process = false", "endpoint_url = http://any", "output = json"),
        *("s3 =", "  addressing_style = path", "[services own]"),
        *("s3 =", "  endpoint_url = http://own", "sts =", "  endpoint_url = http://no"),
    )
    machine.write(
        "credentials",
        *("[mine]", "aws_access_key_id = known", "aws_secret_access_key = hush"),
        "aws_session_token = too",
    )
    machine.set(AWS_PROFILE="mine")

    assert current_access() == S3Access(
        {**KEYS, "aws_session_token": "too"},
        {
            "region": "eu-west-1",
            "s3": {"addressing_style": "path"},
            "endpoint_url": "http://own",
        },
        "/own.pem",
    )


def test_a_helper_is_asked_once_by_all_threads_of_a_driver(machine):
    helper = machine.make_helper(printed(SessionToken="too", Expiration=in_an_hour()))
    machine.write("config", "[default]", f"credential_process = {helper}")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: current_access(), range(40)))

    assert found == [S3Access({**KEYS, "aws_session_token": "too"})] * 40
    assert machine.calls() == 1


def test_keys_that_expire_soon_are_asked_for_anew(machine):
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)).isoformat()
    helper = machine.make_helper(
        f"[ $(wc -l < {machine.home}/calls) -gt 1 ] && "
        + printed(AccessKeyId="newer", Expiration=in_an_hour())
        + " || "
        + printed(Expiration=soon)
    )
    machine.write("config", "[default]", f"credential_process = {helper}")
    connection()

    assert current_access() == S3Access({**KEYS, "aws_access_key_id": "newer"})
    assert machine.calls() == 2


def error_of(ask: Callable[[], object]) -> TacError:
    with pytest.raises(TacError) as raised:
        ask()
    return raised.value


def test_a_helper_that_fails_is_named(machine):
    helper = machine.make_helper("echo log in first >&2", "exit 3")
    machine.write("config", "[default]", f"credential_process = {helper}")

    error = error_of(current_access)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        "S3: no client can be made: Error when retrieving credentials from custom-process: "
        "log in first",
        "check AWS_ENDPOINT_URL_S3, AWS_PROFILE and ~/.aws/config",
    )


def test_a_helper_that_fails_later_is_named_too(machine):
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)).isoformat()
    helper = machine.make_helper(
        f"[ $(wc -l < {machine.home}/calls) -gt 1 ] && echo log in first >&2 && exit 3",
        printed(Expiration=soon),
    )
    machine.write("config", "[default]", f"credential_process = {helper}")
    connection()

    error = error_of(current_access)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        "S3's keys: their provider failed: Error when retrieving credentials from custom-process: "
        "log in first",
        "log in again, or check AWS_PROFILE and ~/.aws/config",
    )


@pytest.fixture
def giver() -> Iterator[http.server.ThreadingHTTPServer]:
    """Who gives keys to a container of a cloud, for a minute each: they are asked for each time."""

    class Gives(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            soon = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)).isoformat()
            keys = {"AccessKeyId": "known", "SecretAccessKey": "hush", "Token": "too"}
            body = json.dumps({**keys, "Expiration": soon}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gives) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(60)


def test_keys_come_from_the_address_that_a_cloud_gives_its_containers(machine, giver):
    machine.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://127.0.0.1:{giver.server_port}/")

    assert current_access() == S3Access({**KEYS, "aws_session_token": "too"})


def test_an_address_that_gives_no_keys_any_more_is_a_reason_to_try_again(machine, giver):
    address = f"http://127.0.0.1:{giver.server_port}/"
    machine.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=address)
    connection()
    giver.shutdown()
    giver.server_close()

    error = error_of(current_access)

    assert type(error) is StorageUnavailable
    assert error.message.startswith("S3's keys: their provider did not answer: ")
    assert address in error.message
    assert error.hint == "try again"


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_the_environment_wins_over_the_profiles(machine, variable):
    machine.write("config", "[default]", "region = eu-west-1")
    assert connection().client.meta.region_name == "eu-west-1"

    machine.set(**{variable: "eu-west-2"})

    assert connection().client.meta.region_name == "eu-west-2"
