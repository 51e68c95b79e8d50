"""Luigi's own tests, as they stand in its source: with Luigi's classes, then with tac's.

What fails with Luigi's own stands in stock-fails.txt, what fails with tac's beyond that in
tac-fails.txt, each line with its reason. A test that fails and does not stand there, and one that
stands there and does not fail, are errors.
"""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.wheels import CACHE, alone

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LOCK = HERE / "requirements.txt"
PYTHON = Path(f"{sys.prefix}-luigi/bin/python")
"""In the environment that `make luigi-test` makes beside the one that this runs in."""

TESTS = (
    "worker_test.py",
    "worker_parallel_scheduling_test.py",
    "worker_scheduler_com_test.py",
    "scheduler_test.py",
    "retcodes_test.py",
    "customized_run_test.py",
    "dynamic_import_test.py",
    "task_*test.py",
    "target_test.py",
    "local_target_test.py",
    "contrib/s3_test.py",
)
FAIL_REASONS = ("by design", "tests a private method", "needs fork", "open")
MOST_FAILURES = 25
MOST_OPEN = 13
"""These are only ever closed; at none, `make luigi-test` goes into .ci/run."""
RUN_SECONDS = 900
ONE_TEST_SECONDS = 180
SLOWEST = ("--durations=10",)

pytestmark = pytest.mark.timeout(RUN_SECONDS)


@dataclass(frozen=True)
class Listed:
    """A line of one of the two lists: a test, the class of its reason, and the reason."""

    test: str
    kind: str
    reason: str


def read_list(name: str) -> list[Listed]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    return [Listed(*(part.strip() for part in line.split("|", 2))) for line in kept]


STOCK = read_list("stock-fails.txt")
TAC = read_list("tac-fails.txt")


def stop_for(what: str, hint: str) -> None:
    pytest.exit(f"luigi-test: {what}\nHint: {hint}", returncode=2)


def fetch_source() -> Path:
    """Return the archive of Luigi's source that the lock names, downloaded once."""
    entry = re.search(
        r"^luigi==([\w.]+)(?:.*\\\n)+.*", LOCK.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert entry is not None
    archive = CACHE / f"luigi-{entry[1]}.tar.gz"
    hashes = set(re.findall(r"sha256:(\w{64})", entry[0]))
    with alone(CACHE):
        if not is_whole(archive, hashes):
            wanted = CACHE / "luigi-source.txt"
            wanted.write_text(entry[0], encoding="utf-8")
            # pip keeps an archive only once its build back end, which is locked, has named what it
            # needs. Nothing is built.
            command = (PYTHON, "-m", "pip", "--quiet", "download", "--no-deps", "--require-hashes")
            sources = ("--no-binary=:all:", "--no-build-isolation", f"--dest={CACHE}")
            ended = run(*command, *sources, "--requirement", wanted)
            if ended.returncode != 0:
                stop_for(
                    f"{archive.name}: cannot be downloaded: {ended.stderr[-500:]}",
                    f"lay it into {CACHE}, or let pip reach an index",
                )
        assert is_whole(archive, hashes)
    return archive


def is_whole(archive: Path, hashes: set[str]) -> bool:
    return archive.exists() and hashlib.sha256(archive.read_bytes()).hexdigest() in hashes


def run(*command: object) -> "subprocess.CompletedProcess[str]":
    words = [str(word) for word in command]
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass
class Run:
    """Luigi's tests in a process of their own."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    def begin(cls, archive: Path, folder: Path, *options: str) -> "Run":
        (folder / "tmp").mkdir(parents=True)
        with tarfile.open(archive) as source:
            source.extractall(folder, filter="data")
        place = next(folder.glob("luigi-*"))
        # Luigi is to come from its locked wheel.
        (place / "luigi").rename(place / "luigi-source")
        tests = place / "test"
        # Both runs at once would meet there.
        local = tests / "local_target_test.py"
        local.write_text(local.read_text(encoding="utf-8").replace('"/tmp/', f'"{folder}/tmp/'))
        files = sorted(str(path.relative_to(place)) for each in TESTS for path in tests.glob(each))
        plugins = ("-p", "no:cacheprovider", "-p", "tests.luigi.in_its_place")
        limit = f"--timeout={ONE_TEST_SECONDS}"
        told = (f"--outcomes={folder / 'outcomes.json'}", f"--luigid-port={free_port()}")
        shape = (*told, limit, "-q", "-Wignore", "--continue-on-collection-errors", *SLOWEST)
        own = os.environ  # noqa: TID251 # a child's environment
        with (folder / "log").open("wb") as log:
            command = [PYTHON, "-m", "pytest", *plugins, *shape, *options, *files]
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=place,
                env={**own, "PYTHONPATH": f"{tests}:{ROOT}", "TMPDIR": str(folder / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(folder, process)

    def outcomes(self) -> dict[str, str]:
        """Return how each test ended, by its name."""
        self.process.wait(RUN_SECONDS)
        log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        print(log[-200_000:])
        found = json.loads((self.folder / "outcomes.json").read_text(encoding="utf-8"))
        return {test.removeprefix("test/"): ended for test, ended in found.items()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Iterator[dict[str, Run]]:
    """Both at once: they wait more than they compute."""
    if not PYTHON.exists():
        stop_for(f"{PYTHON}: is not there", "make luigi-test makes it")
    archive = fetch_source()
    folder = tmp_path_factory.mktemp("luigi")
    begun = {
        "stock": Run.begin(archive, folder / "stock"),
        "tac": Run.begin(archive, folder / "tac", "--with-tac"),
    }
    yield begun
    for each in begun.values():
        if each.process.poll() is None:
            os.killpg(each.process.pid, 9)
            each.process.wait()


def failures_of(outcomes: dict[str, str]) -> set[str]:
    return {test for test, ended in outcomes.items() if ended == "failed"}


def test_with_luigis_own_classes_only_what_is_listed_fails(runs):
    outcomes = runs["stock"].outcomes()

    unsteady = {each.test for each in STOCK if each.kind == "unsteady"}
    assert unsteady <= outcomes.keys()
    assert failures_of(outcomes) - unsteady == {each.test for each in STOCK} - unsteady


def test_with_tacs_classes_only_what_is_listed_fails_beyond_that(runs):
    stock, tac = runs["stock"].outcomes(), runs["tac"].outcomes()

    assert tac.keys() == stock.keys()
    beyond = failures_of(tac) - {each.test for each in STOCK}
    assert sorted(beyond) == sorted(each.test for each in TAC)


@pytest.mark.parametrize("each", TAC, ids=lambda each: each.test)
def test_what_fails_has_a_reason_of_a_known_class(each):
    kind, _, page = each.kind.partition(": ")
    assert kind in FAIL_REASONS
    if kind == "by design":
        where, _, heading = page.partition("#")
        text = (ROOT / "docs" / where).read_text(encoding="utf-8").lower()
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in headings}


def test_no_more_fails_than_a_person_can_read():
    still_open = [each for each in TAC if each.kind == "open"]

    assert len(TAC) - len(still_open) <= MOST_FAILURES
    assert len(still_open) <= MOST_OPEN
