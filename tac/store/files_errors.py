"""What a file system answers, in our words; and what is no file, though it has a file's place."""

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

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_MALFORMED = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
_LATER = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EMFILE, errno.ENFILE}


@contextlib.contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Translate every error of the file system's inside the block."""
    try:
        yield
    except OSError as error:
        raise explained(error, path) from error


def explained(error: OSError, path: Path) -> TacError:
    """Return the error for what a file system answered."""
    said = os.strerror(error.errno or 0)
    folder = str(path.absolute().parent)
    if error.errno in NO_ROOM:
        hint = (
            "`ulimit -f` shows the limit"
            if error.errno == errno.EFBIG
            else f"make room: `df -h {quote(folder)}`"
        )
        return StorageFull(f"{path}: no room for it: {said}", hint=hint)
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
    """Return the error for a file that was to be read, and is not there."""
    folder = str(path.absolute().parent)
    if not path.absolute().parent.is_dir():
        return InputMissing(
            f"{path}: there is no such file, nor its directory {folder}", hint="make it first"
        )
    return InputMissing(
        f"{path}: there is no such file",
        hint=f"make it first; `ls {quote(folder)}` shows what is there",
    )


def is_no_file(path: Path, mode: int) -> StorageError:
    """Return the error for something else in a file's place."""
    look = "ls" if stat.S_ISDIR(mode) else "ls -l"
    return StorageError(
        f"{path}: {kind(mode)} stands where the file should be", hint=f"`{look} {quote(str(path))}`"
    )


def require_file(path: Path, mode: int) -> None:
    """Let only files through: a pipe would be waited for, and a device has no end."""
    if not stat.S_ISREG(mode):
        raise is_no_file(path, mode)


def require_file_or_nothing(path: Path) -> None:
    """Let a place through where a file is, or may be made."""
    with contextlib.suppress(FileNotFoundError):
        require_file(path, path.stat().st_mode)
