"""A plugin for the pytest that runs Luigi's own tests: it puts tac's classes in Luigi's place.

That is done before any of those tests imports a class of Luigi's by its name. Without `--with-tac`
nothing is replaced. Either way `--outcomes` names the file that says how each test ended.
"""

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "X" * 20, "AWS_SECRET_ACCESS_KEY": "X" * 40}
"""tac takes the keys that boto3 finds; moto's S3 accepts every key."""

FILE_OPERATIONS = (
    "exists", "isdir", "listdir", "remove", "mkdir", "move", "rename_dont_move",
)  # fmt: skip
FILE_SYSTEM_OPTIONS = {"recursive", "parents", "raise_if_exists"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", required=True, help="write there how each test ended, as JSON")
    parser.addoption("--with-tac", action="store_true", help="put tac's classes in Luigi's place")
    parser.addoption("--luigid-port", type=int, required=True, help="where its tests start luigid")


def pytest_configure(config: pytest.Config) -> None:
    move_luigid(config.getoption("--luigid-port"))
    if config.getoption("--with-tac"):
        put_in_place()
        teach_conditional_writes()
    config.pluginmanager.register(Outcomes(Path(config.getoption("--outcomes"))))


def move_luigid(port: int) -> None:
    """Two runs at once, or a luigid of this machine, would meet at Luigi's own port."""
    luigi = imported("luigi", "rpc", "server", "configuration")
    (_, *others) = luigi.server.run.__defaults__
    luigi.server.run.__defaults__ = (port, *others)
    (_, *others) = luigi.rpc.RemoteScheduler.__init__.__defaults__
    luigi.rpc.RemoteScheduler.__init__.__defaults__ = (f"http://localhost:{port}/", *others)
    luigi.configuration.get_config().set("core", "default-scheduler-port", str(port))


def imported(name: str, *modules: str) -> Any:
    """A package with these of its modules, whose names other things are given."""
    for module in modules:
        importlib.import_module(f"{name}.{module}")
    return importlib.import_module(name)


def put_in_place() -> None:
    """Let whoever asks Luigi for a worker, a scheduler or a target get tac's."""
    luigi = imported("luigi", "contrib.s3", "local_target", "scheduler", "worker")
    from tac.scheduler.local import LocalScheduler
    from tac.target import StoreFileSystem, StoreTarget
    from tac.worker import TacWorker

    class Worker(TacWorker):
        """Runs tasks in its own process where Luigi does: tests look there for what run() did."""

        def run(self):
            own_process = self.worker_processes > 1 or self._config.force_multiprocessing
            luigi.Task.runs_in_thread = not (own_process or self._config.timeout)
            return super().run()

    S3Client = luigi.contrib.s3.S3Client  # noqa: N806 - a class

    class S3Target(StoreTarget):
        """For tests that hand over a client, or options of its requests: tac takes neither."""

        def __init__(self, path, format=None, client=None, **options):  # noqa: A002 - Luigi's name
            super().__init__(path, format)

    for name in FILE_OPERATIONS:
        setattr(S3Client, name, _asked_of(StoreFileSystem(), name, getattr(S3Client, name)))
    S3Client.is_dir = S3Client.isdir
    luigi.worker.Worker = Worker
    luigi.scheduler.Scheduler = LocalScheduler
    luigi.LocalTarget = luigi.local_target.LocalTarget = StoreTarget
    luigi.contrib.s3.S3Target = S3Target


def _asked_of(file_system: object, name: str, of_luigi: Any) -> Any:
    def ask(client, *values, **named):
        if named.keys() <= FILE_SYSTEM_OPTIONS:
            return getattr(file_system, name)(*values, **named)
        return of_luigi(client, *values, **named)  # of S3Client alone, such as start_time

    return ask


def teach_conditional_writes() -> None:
    """S3 has had `If-None-Match: *` since 2024, and moto 4 has not."""
    S3Response = imported("moto", "s3.responses").s3.responses.S3Response  # noqa: N806 - a class
    put = S3Response._key_response_put

    def put_if_absent(response, request, body, bucket, query, key):
        there = response.backend.head_object(bucket, key) is not None
        if there and request.headers.get("If-None-Match") == "*":
            return 412, {}, "<Error><Code>PreconditionFailed</Code><Message/></Error>"
        return put(response, request, body, bucket, query, key)

    S3Response._key_response_put = put_if_absent


@pytest.fixture(autouse=True)
def new_connections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Each test has an S3 of moto's own; tac remembers for seconds what it published."""
    if request.config.getoption("--with-tac"):
        from tac.store import s3_client

        for name, value in KEYS.items():
            monkeypatch.setitem(os.environ, name, value)  # noqa: TID251 - the tests' own
        s3_client.close_connections()


class Outcomes:
    """How each test ended: passed, failed or skipped; a file that cannot be imported failed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._ended.get(report.nodeid) != "failed":
            self._ended[report.nodeid] = report.outcome

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._ended[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        self._path.write_text(json.dumps(self._ended, indent=1), encoding="utf-8")
