"""Credentials in a container: S3's keys, profile and trusted certificates, and an HTTP header.

The header `Authorization` is for a source over http.

All of it is in files that are mounted read-only, never in the manifest: a container's environment
and labels can be read by everyone with access to the engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tac import settings
from tac.errors import ConfigError
from tac.runners.docker.mounts import Mount, check_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tac.store.s3_access import S3Access

HOME = "/tmp"  # noqa: S108 - the container's own: besides the store only this is writable
_FOLDER = "/run/tac"
PREFIX = "tac-keys-"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@contextlib.contextmanager
def mounted(
    environment: Mapping[str, str],
    access: S3Access | None = None,
    *,
    s3: bool = True,
    http: bool = False,
    beside: Iterable[Mount] = (),
) -> Iterator[tuple[tuple[Mount, ...], dict[str, str]]]:
    """Yield mounts with the user's credentials, and variables that name the files.

    S3's keys are those of the environment, else those that this process uses now. A container gets
    only the credentials it needs, by `s3` and `http`. They are in private files until the block
    ends; a container that outlives it keeps what was mounted.

    Raises:
        ConfigError: a provider of keys failed, a file does not exist, or the files would be
            writable in the container by the mounts `beside` them.
        StorageUnavailable: a provider of keys did not answer.
    """
    authorization = settings.source_authorization() if http else ""
    if not s3 and not authorization:
        yield (), {}
        return
    check_private(Path(tempfile.gettempdir()), beside)
    with _private_folder() as folder:
        given = _for_s3(folder, environment, access) if s3 else []
        given.append(_header(folder / "source-authorization", authorization))
        found = [each for each in given if each is not None]
        yield tuple(mount for _, mount in found), {name: mount.target for name, mount in found}


def _for_s3(
    folder: Path, environment: Mapping[str, str], access: S3Access | None
) -> list[tuple[str, Mount] | None]:
    chosen = access if access is not None else _current_access()
    keys = _keys_of(environment) or chosen.keys
    return [
        _write_section(folder / "credentials", "AWS_SHARED_CREDENTIALS_FILE", keys),
        _write_section(folder / "config", "AWS_CONFIG_FILE", chosen.profile),
        _copy_bundle(folder / "ca-bundle.pem", chosen.ca_bundle),
    ]


def _header(path: Path, authorization: str) -> tuple[str, Mount] | None:
    if not authorization:
        return None
    path.touch(mode=0o600)
    path.write_text(authorization, encoding="utf-8")
    return settings.AUTHORIZATION_FILE, Mount(str(path), f"{_FOLDER}/{path.name}")


def _current_access() -> S3Access:
    from tac.store.s3_access import current_access  # it loads boto3, which few commands need

    return current_access()


def _keys_of(environment: Mapping[str, str]) -> dict[str, str]:
    if not (environment.get(_KEYS[0]) and environment.get(_KEYS[1])):
        return {}
    return {name.lower(): environment[name] for name in _KEYS if environment.get(name)}


def _write_section(
    path: Path, variable: str, values: Mapping[str, str | Mapping[str, str]]
) -> tuple[str, Mount] | None:
    if not values:
        return None
    path.touch(mode=0o600)
    path.write_text("\n".join(["[default]", *_lines(values), ""]), encoding="utf-8")
    return variable, Mount(str(path), f"{_FOLDER}/aws-{path.name}")


def _lines(values: Mapping[str, str | Mapping[str, str]]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, str):
            yield f"{name} = {value}"
        else:
            yield f"{name} ="
            yield from (f"  {line}" for line in _lines(value))


def _copy_bundle(path: Path, bundle: str) -> tuple[str, Mount] | None:
    """Copy the certificates beside the keys: an engine in a virtual machine sees few directories.

    Raises:
        ConfigError: the file does not exist.
    """
    if not bundle:
        return None
    source = Path(bundle).absolute()
    if not source.is_file():
        raise ConfigError(
            f"{source}: no such file; it should hold the certificates to trust for S3",
            hint="AWS_CA_BUNDLE, or ca_bundle in ~/.aws/config, names it",
        )
    shutil.copyfile(source, path)
    return "AWS_CA_BUNDLE", Mount(str(path), f"{_FOLDER}/{path.name}")


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """Create a directory for the block, and remove those of killed drivers."""
    above = Path(tempfile.gettempdir())
    for left in above.glob(f"{PREFIX}*"):
        _remove_if_unlocked(left)
    folder, descriptor = _make_locked(above)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _make_locked(above: Path) -> tuple[Path, int]:
    """Create a directory, and return it with the descriptor that holds its lock.

    Until it is locked it looks like one of a killed driver, and another thread or process may
    remove it. They remove under the lock, so one that exists once it is locked stays.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above))
        with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(folder.stat(), os.fstat(descriptor)):
                stack.pop_all()
                return folder, descriptor


def _remove_if_unlocked(folder: Path) -> None:
    """Remove a directory of this user that no living process has locked."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
