"""Wheels to install from without a network: those that are locked, and newer ones that are empty.

The locked ones are downloaded once, into the user's cache. The newer ones are what an index holds
some weeks after a lock was written: an installer that takes one of them does not keep to the lock.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

CACHE = Path.home() / ".cache/tac-wheels"
DOWNLOAD_SECONDS = 600
NEWER = "99999"


def locked(lock: Path) -> dict[str, str]:
    """What a lock installs on Linux: the version by name."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([\w.-]+)==([\w.]+)(.*)", line) for line in lines)
    return {entry[1]: entry[2] for entry in found if entry and "win32" not in entry[3]}


def locked_wheels(lock: Path, version: str) -> Path:
    """Return a folder that holds every wheel of a lock for a version of Python, and others."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with alone(CACHE):
        # From the folder itself first: it says whether all are there, and whole.
        if _download(lock, version, "--no-index", f"--find-links={CACHE}").returncode != 0:
            ended = _download(lock, version)
            if ended.returncode != 0:
                raise RuntimeError(f"{lock.name}: cannot be downloaded: {ended.stderr[-2000:]}")
    return CACHE


def _download(lock: Path, version: str, *options: str) -> "subprocess.CompletedProcess[str]":
    exactly = ("--no-deps", "--require-hashes", "--requirement", str(lock))
    where = ("--only-binary=:all:", f"--python-version={version}", f"--dest={CACHE}")
    return subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "download", *options, *exactly, *where],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DOWNLOAD_SECONDS,
        check=False,
    )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one session at a time change the folder."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_newer_wheels(folder: Path, names: Iterable[str]) -> Path:
    """Make an empty wheel of each package, of a version that none will ever reach."""
    folder.mkdir()
    for name in names:
        stem = f"{name.replace('-', '_')}-{NEWER}"
        about = f"{stem}.dist-info"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {NEWER}\n"
            wheel.writestr(f"{about}/METADATA", metadata)
            tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{about}/WHEEL", tag)
            files = (f"{about}/{file},,\n" for file in ("METADATA", "WHEEL", "RECORD"))
            wheel.writestr(f"{about}/RECORD", "".join(files))
    return folder


def offline(*folders: Path) -> dict[str, str]:
    """Return settings with which pip finds the wheels of these folders and nothing else."""
    return {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": " ".join(map(str, folders)),
        "PIP_COMPILE": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
