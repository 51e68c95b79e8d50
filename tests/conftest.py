"""Tiers of tests: which of them run, what they may see of this machine, and which of them ran.

A tier is a folder: `unit` computes, `contract` talks to real processes and a real S3, `browser` to
a real browser, `container` to a real Docker engine, `cluster` to a real Kubernetes, `install` makes
environments with old pips, and `luigi` runs Luigi's own tests. `pytest` alone runs the first two;
`--tier NAME`, or a path in the folder, asks for another. What was asked for and cannot run is an
error.
"""

import os
from collections import Counter
from collections.abc import MutableMapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TIERS = ("unit", "contract", "browser", "container", "cluster", "install", "luigi")
DEFAULT_TIERS = ("unit", "contract")

# A developer's own settings: they would change where tac reads and writes, and how it prints.
FOREIGN = ("TAC_", "AWS_", "LUIGI_", "FORCE_COLOR")
OUR_OWN = "TAC_TEST_"

# Where pods decide how long it takes, waits that are all allowed add up to more than the two
# minutes of pyproject.toml; a test's own mark, or its module's, goes before.
CLUSTER_SECONDS = 300

_asked = pytest.StashKey[frozenset[str]]()
_ran = pytest.StashKey[Counter[str]]()


def tier_of(path: Path) -> str | None:
    """The tier that a file belongs to; None for what belongs to all."""
    try:
        tier = path.resolve().relative_to(TESTS).parts[0]
    except (ValueError, IndexError):
        return None
    return tier if tier in TIERS else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tier",
        action="append",
        choices=TIERS,
        help=f"run these tests (again for more; default: {' and '.join(DEFAULT_TIERS)})",
    )


def forget_the_developer(environment: MutableMapping[str, str]) -> None:
    """Leave tests the same environment everywhere: no settings, no keys, no search for keys."""
    for name in list(environment):
        if name.startswith(FOREIGN) and not name.startswith(OUR_OWN):
            del environment[name]
    environment["AWS_EC2_METADATA_DISABLED"] = "true"
    environment["AWS_CONFIG_FILE"] = os.devnull
    environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def pytest_configure(config: pytest.Config) -> None:
    forget_the_developer(os.environ)  # noqa: TID251 # before tac reads it
    paths = {tier_of(Path(argument.split("::")[0])) for argument in config.args} - {None}
    asked = frozenset(config.getoption("tier") or paths or DEFAULT_TIERS)
    for tier in asked:
        if not (TESTS / tier).is_dir():
            raise pytest.UsageError(f"tier {tier}: there is no {TESTS / tier}")
    config.stash[_asked] = asked
    config.stash[_ran] = Counter()


def pytest_report_header(config: pytest.Config) -> str:
    return f"tiers: {', '.join(tier for tier in TIERS if tier in config.stash[_asked])}"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    tier = tier_of(collection_path)
    return True if tier is not None and tier not in config.stash[_asked] else None


def pytest_itemcollected(item: pytest.Item) -> None:
    tier = tier_of(item.path)
    if tier is None:
        raise pytest.UsageError(f"{item.path}: belongs to no tier; move it to {', '.join(TIERS)}")
    item.add_marker(tier)
    if tier == "cluster" and item.get_closest_marker("timeout") is None:
        item.add_marker(pytest.mark.timeout(CLUSTER_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: was skipped; what cannot run is an error"
    if report.when == "call":
        item.config.stash[_ran].update([tier_of(item.path) or ""])
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    ran = config.stash[_ran]
    counts = [f"{ran[tier]} {tier}" for tier in TIERS if ran[tier]]
    terminalreporter.write_line(f"tests that ran: {', '.join(counts) or 'none'}")
