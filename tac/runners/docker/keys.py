"""S3's keys for a container: in a file that is mounted read-only, never in what the engine shows.

A container's environment and labels can be read by everybody who may ask the engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tac.runners.docker.mounts import Mount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOME = "/tmp"  # noqa: S108 - the container's own: its only place to write beside the store
_CREDENTIALS, _CONFIG = "/run/tac/aws-credentials", "/run/tac/aws-config"
_PREFIX = "tac-keys-"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@contextlib.contextmanager
def mounted(environment: Mapping[str, str]) -> Iterator[tuple[tuple[Mount, ...], dict[str, str]]]:
    """Give what brings the user's keys into a container: mounts, and variables that name them.

    Keys of the environment are in a private file until the block ends; else the user's own files
    are mounted. A container that outlives the block keeps what it has opened and mounted.
    """
    if environment.get(_KEYS[0]) and environment.get(_KEYS[1]):
        with _private_folder() as folder:
            path = folder / "credentials"
            path.touch(mode=0o600)
            path.write_text(_credentials(environment), encoding="utf-8")
            mount = Mount(str(path), _CREDENTIALS)
            yield (mount,), {"AWS_SHARED_CREDENTIALS_FILE": _CREDENTIALS}
        return
    yield _own_files(environment)


def _credentials(environment: Mapping[str, str]) -> str:
    lines = [f"{name.lower()} = {environment[name]}" for name in _KEYS if environment.get(name)]
    return "\n".join(["[default]", *lines, ""])


def _own_files(environment: Mapping[str, str]) -> tuple[tuple[Mount, ...], dict[str, str]]:
    mounts, variables = [], {}
    folder = Path(environment.get("HOME", "/nonexistent")) / ".aws"
    if folder.is_dir():
        mounts.append(Mount(str(folder), f"{HOME}/.aws"))
    named = {"AWS_SHARED_CREDENTIALS_FILE": _CREDENTIALS, "AWS_CONFIG_FILE": _CONFIG}
    for name, target in named.items():
        path = Path(environment.get(name, "")).absolute()
        if environment.get(name) and path.is_file():
            mounts.append(Mount(str(path), target))
            variables[name] = target
    if mounts and (profile := environment.get("AWS_PROFILE")):
        variables["AWS_PROFILE"] = profile
    return tuple(mounts), variables


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a folder that is gone after the block; what killed drivers left goes too."""
    above = Path(tempfile.gettempdir())
    for left in above.glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder of ours that no living process holds."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
