"""Diagnosis and manifests are functions of their arguments: no clock, no file, no environment.

The import contracts see what is imported at the head of a module; this sees what is called, and
what is imported inside a function.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tac.kubernetes

HERE = Path(tac.kubernetes.__file__).parent
PURE = [
    *sorted((HERE / "diagnosis").glob("*.py")),
    *sorted((HERE / "manifests").glob("*.py")),
    HERE / "objects.py",
    HERE / "place.py",
]
SYSTEM = {"os", "socket", "subprocess", "threading", "time", "random", "uuid", "requests", "pykube"}
CLOCKS = {"now", "today", "utcnow", "monotonic", "perf_counter", "time_ns", "sleep"}
FILES = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "exists", "input", "print"}
ENVIRONMENT = {"environ", "getenv"}


def impurities(source: str) -> Iterator[str]:
    """What in a module's text depends on more than its arguments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] in SYSTEM)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in SYSTEM:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in CLOCKS | FILES:
                yield f"{called}()"
        elif isinstance(node, ast.Attribute | ast.Name):
            name = ast.unparse(node).rpartition(".")[2]
            if name in ENVIRONMENT:
                yield name


@pytest.mark.parametrize("path", PURE, ids=[str(path.relative_to(HERE)) for path in PURE])
def test_a_pure_module_asks_neither_clock_nor_file_nor_environment(path):
    assert list(impurities(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("datetime.now(UTC)", ["now()"]),
        ("date.today()", ["today()"]),
        ("datetime.utcnow()", ["utcnow()"]),
        ("time.monotonic()", ["monotonic()"]),
        ("open(path)", ["open()"]),
        ("Path(path).read_text()", ["read_text()"]),
        ("os.environ['A']", ["environ"]),
        ("from os import environ", ["os"]),
        ("def f():\n    import time", ["time"]),
        ("def f():\n    from socket import socket", ["socket"]),
        ("import os.path", ["os.path"]),
        ("now = found.now", []),
        ("datetime.fromisoformat(text)", []),
    ],
)
def test_each_way_to_ask_is_seen(source, found):
    assert list(impurities(source)) == found
