"""Removing directories: never what is kept (tac.store.removal), and never through a link.

A path is followed as the system does down to its last part, so a store may lie behind a link.
The last part and all below it are not: of a link the link goes, and what it leads to stays.
What becomes a link after the look is not followed either: the directory above is opened without
links, and `shutil.rmtree` works from there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import re
import shutil
import stat
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from tac import settings
from tac.errors import StorageError
from tac.store import local_path
from tac.store.removal import DOTS, Kept, require_removable

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNTS = Path("/proc/self/mountinfo")
"""The mounts that this process sees, on Linux:
https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html"""

_LINK_INSTEAD = {None, errno.ENOTDIR}
"""What tells of a link in a directory's place: rmtree's error, without a number, and rmdir's."""

_OCTAL = re.compile(rb"\\([0-7]{3})")
# A path alone is all that is asked of the directories above: they need not be readable.
_ABOVE = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW


def require_removable_path(path: str) -> Path:
    """Return where a path is, by a path without links but the last part; a file may always go.

    Raises:
        ConfigError: it is, or holds, what is never removed.
    """
    place = _place_of(path)
    if not place.is_file() or place.is_symlink():
        require_removable(path, place.parts, list(_kept(place)), listing=f"ls {place}")
    return place


def remove_folder(path: str) -> bool:
    """Remove a directory with all that is in it, or a link to one; False when there is none.

    Raises:
        ConfigError: it is, or holds, what is never removed.
    """
    place = require_removable_path(path)
    try:
        above = _open_directory(place.parent)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return _remove(place, above)
    finally:
        os.close(above)


def parse_mounts(table: bytes) -> list[str]:
    """Return the mount points of a `mountinfo`, which writes blanks and the like in octal."""
    points = (line.split(b" ")[4] for line in table.splitlines())
    return [os.fsdecode(_OCTAL.sub(lambda code: bytes([int(code[1], 8)]), each)) for each in points]


def _remove(place: Path, above: int) -> bool:
    try:
        mode = os.stat(place.name, dir_fd=above, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        _remove_tree(place, above)
        return True
    if stat.S_ISLNK(mode) and not place.is_file():
        os.unlink(place.name, dir_fd=above)
        return True
    return False


def _remove_tree(place: Path, above: int) -> None:
    try:
        shutil.rmtree(place.name, dir_fd=above)
    except OSError as error:
        if error.errno not in _LINK_INSTEAD:
            raise
        raise StorageError(
            f"{place}: became a link while it was to be removed; what it leads to was not touched",
            hint=f"`ls -ld {quote(str(place))}`",
        ) from error


def _open_directory(path: Path) -> int:
    here = os.open("/", _ABOVE)
    for part in path.parts[1:]:
        try:
            below = os.open(part, _ABOVE, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def _place_of(path: str) -> Path:
    above, last = os.path.split(path.rstrip("/") or "/")
    return _real(path) if last in DOTS else _real(above or ".") / last


def _real(path: str) -> Path:
    # Two slashes at the beginning are one to Linux, and Python leaves them.
    return Path("/" + os.path.realpath(path).lstrip("/"))


def _kept(place: Path) -> Iterator[Kept]:
    yield from _as_kept("/", "the root directory")
    for home in _homes():
        yield from _as_kept(home, "the home directory")
    root = local_path(settings.current().store)
    if root is not None and os.path.lexists(root):
        yield from _as_kept(str(root), "the root of the store")
    for point in _mounts(place):  # nobody asks them: a mount whose server is away would not answer
        yield Kept(Path(point).parts, point, "a mount point")


def _as_kept(path: str, what: str) -> Iterator[Kept]:
    """Give a path both as it is spelled, which may be a link, and where that leads to."""
    for place in dict.fromkeys((_place_of(path), _real(path))):
        yield Kept(place.parts, str(place), what)


def _homes() -> Iterator[str]:
    """Give the home that the environment names, and the one of the user."""
    homes = [os.path.expanduser("~")]  # noqa: PTH111 - Path.home() raises where there is none
    with contextlib.suppress(KeyError):  # a user without an entry, as in containers
        homes.append(pwd.getpwuid(os.geteuid()).pw_dir)
    return (home for home in homes if Path(home).is_absolute())


def _mounts(place: Path) -> list[str]:
    try:
        return parse_mounts(MOUNTS.read_bytes())
    except FileNotFoundError:  # no Linux: a mount shows by its device, which takes a walk
        folders = (folder for folder, _, _ in os.walk(place))
        return [folder for folder in folders if os.path.ismount(folder)]
