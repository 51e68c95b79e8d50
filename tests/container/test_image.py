"""What is in the image, and what is not."""

import datetime as dt
import re

import pytest

import tac
from tests.support.engine import Engine, pip_settings
from tests.support.layers import Entry, attributes, base_of, read_layers

LIMIT_MB = 600
DATE = dt.datetime(1980, 1, 1, tzinfo=dt.UTC).timestamp()

NOBODY_NEEDS = (
    ("tests", r"/site-packages/(.*/)?tests?/"),
    ("a repository", r"/\.git(/|$)"),
    (
        "what installs",
        r"/(pip|setuptools|pkg_resources|_distutils_hack|wheel)(-[^/]*)?(/|$)|/bin/pip",
    ),
    ("apt's lists", r"^/var/(lib/apt|cache)/."),
    ("a cache", r"/\.cache(/|$)|^/pip-cache|/\.(mypy|ruff|pytest)_cache"),
    ("settings of pip", r"/pip\.conf$|/\.pip(/|$)|/\.config(/|$)"),
    (
        "keys and logins",
        r"/\.(aws|ssh|docker|kube|netrc|pypirc|git-credentials)(/|$)|\.(key|p12|pfx)$",
    ),
    ("what only a compiler reads", r"/site-packages/.*\.(c|cc|cpp|h|hpp|pyx|pxd|a|o)$"),
    ("a compiler", r"/bin/(.*-)?(gcc|g\+\+|cc|clang|ld|make|rustc|cargo|go)$"),
    ("a file that replaces one of the base", r"/\.wh\."),
    ("a device or a home", r"^/(dev|root|home|run|proc|sys|tmp|src)/."),
)
SECRETS = (
    ("a private key", rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}"),
    ("an AWS key", rb"AKIA(?!IOSFODNN7EXAMPLE)[A-Z0-9]{16}(?![A-Z0-9])"),
    ("an AWS key for a session", rb"ASIA(?!IOSFODNN7EXAMPLE)[A-Z0-9]{16}(?![A-Z0-9])"),
    ("a token of GitHub", rb"(?s)gh[pousr]_[A-Za-z0-9]{36}(?!\w)(?<!\w.{40})"),
    ("a token of Slack", rb"xox[abprs]-[0-9]{8,}"),
    ("a token of PyPI", rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20}"),
)


@pytest.fixture(scope="module")
def entries(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    return list(read_layers(engine, image, tmp_path_factory.mktemp("image")))


@pytest.mark.parametrize(("what", "pattern"), NOBODY_NEEDS, ids=[what for what, _ in NOBODY_NEEDS])
def test_no_layer_holds(what, pattern, entries):
    found = re.compile(pattern)
    assert [each.path for each in entries if found.search(each.path)] == []


@pytest.mark.parametrize(("what", "pattern"), SECRETS, ids=[what for what, _ in SECRETS])
def test_no_byte_of_a_layer_is(what, pattern, entries):
    found = re.compile(pattern)
    assert [each.path for each in entries if found.search(each.content)] == []


def test_the_settings_of_pip_that_built_it_are_nowhere(engine, image, entries):
    settings = pip_settings().encode()
    history = engine.command("history", "--no-trunc", image)

    assert len(settings.splitlines()) > 1 or settings == b"[global]\n"
    assert [each.path for each in entries if settings in each.content] == []
    assert [line for line in settings.decode().splitlines()[1:] if line in history] == []


def test_every_file_has_one_date_and_belongs_to_root_who_alone_may_change_it(entries):
    odd = {
        each.path: (each.info.mtime, each.info.uid, each.info.gid, oct(each.info.mode))
        for each in entries
        if each.info.mtime != DATE
        or (each.info.uid, each.info.gid) != (0, 0)
        or (not each.info.issym() and each.info.mode & 0o7022)
    }
    assert odd == {}


def test_a_layer_over_another_of_ours_is_the_same_in_both_of_dockers_orders(entries):
    # Docker 20.10 writes a layer down folder by folder, but by whole path where the layer below was
    # built twice and the engine has started since: then a-1 comes between a/ and what is in it.
    above = [(each.layer, each.path.rstrip("/")) for each in entries if each.layer > 0]

    assert {layer for layer, _ in above} == {1, 2}
    assert sorted(above) == sorted(above, key=lambda each: (each[0], each[1].split("/")))


def test_every_module_has_its_bytecode_and_it_is_never_compared_with_its_source(entries):
    sources = {each.path for each in entries if re.search(r"/lib/.*\.py$", each.path)}
    compiled = {each.path: each.content for each in entries if each.path.endswith(".pyc")}
    with_bytecode = {re.sub(r"/__pycache__/([^.]+)\..*", r"/\1.py", path) for path in compiled}

    assert sources - with_bytecode == set()
    # PEP 552: the second word of the file; 1 means an unchecked hash of the source.
    flags = {int.from_bytes(content[4:8], "little") for content in compiled.values()}
    assert flags == {1}


def test_it_adds_to_its_base_less_than_the_limit(engine, image):
    added = attributes(engine, image)["Size"] - base_of(engine, image)["Size"]
    assert added / 1e6 < LIMIT_MB


def test_its_labels_say_what_it_is(engine, image):
    labels = attributes(engine, image)["Config"]["Labels"]
    own = {
        key.removeprefix("org.opencontainers.image."): value
        for key, value in labels.items()
        if key.startswith("org.opencontainers.image.")
    }
    base = own.pop("base.name")
    own.pop("revision")  # tests/container/test_image_builds.py
    assert own == {
        "title": "tac",
        "description": tac.__doc__.partition(": ")[2].rstrip("."),
        "licenses": "MIT",
        "version": tac.__version__,
    }
    assert base


def test_it_runs_as_nobody_and_shows_its_help_without_arguments(engine, image):
    config = attributes(engine, image)["Config"]

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] is None
    assert config["Cmd"] == ["tac", "--help"]
