"""Opens paths that contain no link, for what the driver writes where steps can write too.

Each part is opened from the one above it (openat(2)), so what was looked at is what is used,
whatever a step puts in its place meanwhile. What links in a setting mean is resolved once
(`tac.settings`); here every link is refused.
"""

from __future__ import annotations

import errno
import os
import stat
from shlex import quote
from typing import TYPE_CHECKING

from tac.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

# With O_PATH a directory that may be searched and not read, such as a /home of mode 0711, is a way.
_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Without O_NONBLOCK opening a FIFO blocks until its other end is opened."""

_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind(mode: int) -> str:
    """Return what a file of this `st_mode` is called."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def open_directory(path: Path, *, make: bool = False) -> int:
    """Open a directory by its absolute path; with `make`, create the missing parts of it.

    Raises:
        ConfigError: a part of the path is a link, or no directory.
        OSError: it cannot be opened or created.
    """
    descriptor = os.open("/", _DIRECTORY)
    above = type(path)("/")
    try:
        for part in path.parts[1:]:
            above /= part
            below = _step_down(descriptor, part, above, make=make)
            os.close(descriptor)
            descriptor = below
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_file(path: Path, flags: int) -> int:
    """Open an ordinary file by its absolute path; with O_CREAT create its directories too.

    Raises:
        ConfigError: a part of the path is a link, or it is something else than a file.
        OSError: it cannot be opened or created.
    """
    try:
        directory = open_directory(path.parent, make=bool(flags & os.O_CREAT))
    except OSError as error:
        if error.errno in _NO_DESCRIPTOR:  # no directory is the cause
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    try:
        return _opened(directory, path, flags)
    except OSError as error:
        _refuse_if_not(stat.S_IFREG, directory, path.name, path)
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(directory)


def _opened(directory: int, path: Path, flags: int) -> int:
    descriptor = os.open(path.name, flags | _FILE, 0o666, dir_fd=directory)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    _refuse_if_not(stat.S_IFREG, directory, path.name, path)
    raise ConfigError(f"{path}: is no file")  # it was replaced by a file meanwhile


def _step_down(directory: int, part: str, path: Path, *, make: bool) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=directory)
    except FileNotFoundError as error:
        if not make:
            raise OSError(error.errno, error.strerror, str(path)) from error
    except OSError as error:
        _refuse_if_not(stat.S_IFDIR, directory, part, path)
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        os.mkdir(part, dir_fd=directory)
    except FileExistsError:  # another driver was quicker
        pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return _step_down(directory, part, path, make=False)


def _refuse_if_not(wanted: int, directory: int, part: str, path: Path) -> None:
    try:
        found = os.stat(part, dir_fd=directory, follow_symlinks=False).st_mode
    except OSError:  # it was deleted meanwhile: the caller raises its first error
        return
    if stat.S_ISLNK(found):
        raise ConfigError(
            f"{path}: is a symbolic link, and what a step may have made is not followed",
            hint=f"`ls -l {quote(str(path))}` shows where it leads; remove it, "
            "or put there what it leads to",
        )
    if stat.S_IFMT(found) != wanted:
        raise ConfigError(
            f"{path}: is {kind(found)}, not {_KINDS[wanted]}",
            hint=f"`ls -ld {quote(str(path))}`, then remove it or move it",
        )
