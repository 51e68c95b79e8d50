"""make as a person runs it whose shell holds these variables and nothing else of the Makefile's."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

OPTIONS = ("PYTHON", "DATE", "STORE", "ARGS", "NODES")
# make passes its own options to a make that it calls, and a test may run under one.
_OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "GNUMAKEFLAGS")


def make(
    folder: Path, *words: str, seconds: float = 60, variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run make in a folder to its end; `variables` come on top of this process's own."""
    own = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 # a child's environment
        if name not in {*OPTIONS, *_OF_MAKE} and not name.startswith("PIP_")
    }
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env={**own, **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
