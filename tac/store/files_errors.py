"""Errors of the file system as tac's, and the check that a path is a regular file."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from shlex import quote
from typing import TYPE_CHECKING

from tac.errors import (
    AccessDenied,
    ConfigError,
    InputMissing,
    StorageError,
    StorageFull,
    StorageUnavailable,
    TacError,
)
from tac.real_path import kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_MALFORMED = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
_LATER = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EMFILE, errno.ENFILE}


@contextlib.contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Translate every OSError inside the block."""
    try:
        yield
    except OSError as error:
        raise explained(error, path) from error


def explained(error: OSError, path: Path) -> TacError:
    """Return tac's error for an OSError."""
    said = os.strerror(error.errno or 0)
    folder = str(path.absolute().parent)
    if error.errno in DISK_FULL:
        hint = (
            "`ulimit -f` shows the limit"
            if error.errno == errno.EFBIG
            else f"free disk space: `df -h {quote(folder)}`"
        )
        return StorageFull(f"{path}: could not be written: {said}", hint=hint)
    if error.errno in _DENIED:
        return AccessDenied(
            f"{path}: access denied for user {os.geteuid()}: {said}",
            hint=f"`ls -ld {quote(folder)} {quote(str(path))}`",
        )
    if error.errno in _LATER:
        return StorageUnavailable(
            f"{path}: the file system did not answer: {said}", hint="try again later"
        )
    if error.errno in _MALFORMED:
        return ConfigError(f"{path}: not a usable path: {said}")
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return StorageError(
            f"{path}: a part of its path is a file, not a directory",
            hint=f"`ls -ld {quote(folder)}`",
        )
    return StorageError(f"{path}: {said}", hint=f"`ls -ld {quote(folder)}`")


def missing(path: Path) -> InputMissing:
    """Return the error for an input that does not exist."""
    folder = str(path.absolute().parent)
    if not path.absolute().parent.is_dir():
        return InputMissing(
            f"{path}: no such file, and no directory {folder}", hint="make it first"
        )
    return InputMissing(
        f"{path}: no such file",
        hint=f"make it first; `ls {quote(folder)}` shows what exists",
    )


def is_no_file(path: Path, mode: int) -> StorageError:
    """Return the error for a path that is not a regular file."""
    look = "ls" if stat.S_ISDIR(mode) else "ls -l"
    return StorageError(f"{path}: is {kind(mode)}, not a file", hint=f"`{look} {quote(str(path))}`")


def require_file(path: Path, mode: int) -> None:
    """Refuse all but regular files: reading a pipe may hang, and a device may have no end."""
    if not stat.S_ISREG(mode):
        raise is_no_file(path, mode)


def require_file_or_nothing(path: Path) -> None:
    """Refuse a path where neither is a regular file, nor can one be created."""
    with contextlib.suppress(FileNotFoundError):
        require_file(path, path.stat().st_mode)
