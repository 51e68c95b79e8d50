"""Removing directories: never what is kept (tac.store.removal), and never through a link.

A path is followed as the system does down to its last part, so a store may lie behind a link; but
a link in the store leads no removal out of it, because a step may have made it.
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
from tac.errors import ConfigError, StorageError
from tac.real_path import open_directory
from tac.store import is_partial, local_path
from tac.store.removal import DOTS, Kept, require_removable

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNTS = Path("/proc/self/mountinfo")
"""The mounts that this process sees, on Linux:
https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html"""

_LINK_INSTEAD = {None, errno.ENOTDIR}
"""What tells of a link in a directory's place: rmtree's error, without a number, and rmdir's."""

_OCTAL = re.compile(rb"\\([0-7]{3})")


def require_removable_path(path: str) -> Path:
    """Return where a path is, by a path without links but the last part; a file may always go.

    Raises:
        ConfigError: it is, or holds, what is never removed, or a link leads it out of the store.
    """
    place = _place_of(path)
    _require_no_way_out(path, place)
    if not place.is_file() or place.is_symlink():
        require_removable(path, place.parts, list(_kept(place)), listing=f"ls {quote(str(place))}")
    return place


def _require_no_way_out(path: str, place: Path) -> None:
    """Refuse a path of the store that a link in the store leads out of it.

    A step may make such a link. What tac itself put aside has a name that no step knew.
    """
    root = local_path(settings.current().store)
    if root is None or is_partial(place.name):
        return
    # As it is spelled, for a link makes the difference; the store has other spellings too.
    spelled = Path(os.path.abspath(path))  # noqa: PTH100 - it takes `..` out
    real = _real(str(root))
    in_store = any(_real(str(each)) == real for each in spelled.parents)
    roots = (_place_of(str(root)), real)
    if in_store and not any(place.is_relative_to(each) for each in roots):
        raise ConfigError(
            f"{path}: a link in the store leads out of it, to {place}; nothing is removed there",
            hint=f"remove {place} by that name, if it is to go",
        )


def remove_folder(path: str) -> bool:
    """Remove a directory with all that is in it, or a link to one; False when there is none.

    Raises:
        ConfigError: it is, or holds, what is never removed.
    """
    place = require_removable_path(path)
    if not place.parent.is_dir():
        return False
    above = open_directory(place.parent)
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
