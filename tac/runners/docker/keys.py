"""What a container needs to be let in as its driver is: keys, the profile, trusted certificates.

Those are S3's; a source over http gets its header `Authorization`.

All of it is in files that are mounted read-only, never in what the engine shows: a container's
environment and labels can be read by everybody who may ask the engine.
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

HOME = "/tmp"  # noqa: S108 - the container's own: its only place to write beside the store
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
    """Give what brings the user's keys into a container: mounts, and variables that name them.

    The keys are those of the environment, else what this process itself uses now; those of what it
    does not ask, of `s3` or of `http`, it does not get. They are in private files until the block
    ends; a container that outlives it keeps what was mounted.

    Raises:
        ConfigError: keys cannot be had, a file is not there, or the files would lie where the
            container, by what is mounted `beside` them, may write.
        StorageUnavailable: whoever gives the keys did not answer.
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
        _written(folder / "credentials", "AWS_SHARED_CREDENTIALS_FILE", keys),
        _written(folder / "config", "AWS_CONFIG_FILE", chosen.profile),
        _copied(folder / "ca-bundle.pem", chosen.ca_bundle),
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


def _written(
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


def _copied(path: Path, bundle: str) -> tuple[str, Mount] | None:
    """Copy the certificates to where the keys are: an engine in a virtual machine sees few folders.

    Raises:
        ConfigError: there are none.
    """
    if not bundle:
        return None
    source = Path(bundle).absolute()
    if not source.is_file():
        raise ConfigError(
            f"{source}: there is no such file, and S3's certificate is to be trusted by it",
            hint="AWS_CA_BUNDLE, or ca_bundle in ~/.aws/config, names it",
        )
    shutil.copyfile(source, path)
    return "AWS_CA_BUNDLE", Mount(str(path), f"{_FOLDER}/{path.name}")


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a folder that is gone after the block; what killed drivers left goes too."""
    above = Path(tempfile.gettempdir())
    for left in above.glob(f"{PREFIX}*"):
        _remove_if_left(left)
    folder, descriptor = _make_held(above)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _make_held(above: Path) -> tuple[Path, int]:
    """Make a folder, and return it with the descriptor whose lock keeps it.

    Until it is locked it looks like one that was left, and who removes those, in another thread or
    process, may be quicker. They remove under the lock, so what is still there then stays.
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
