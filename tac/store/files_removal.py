"""Removing directories: never what is protected (tac.store.removal), and never through a link.

Links above the last part of a path are followed, so a store may lie behind a link; but a link
inside the store must not lead out of it, because a step may have made it.
In the last part and below it links are not followed: the link is removed, its target stays.
What becomes a link after the check is not followed either: the directory above is opened without
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
from tac.store.removal import DOTS, Protected, require_removable

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNTS = Path("/proc/self/mountinfo")
"""The mounts that this process sees, on Linux:
https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html"""

_LINK_INSTEAD = {None, errno.ENOTDIR}
"""The errors for a link in a directory's place: rmtree's has no number, rmdir's has this one."""

_OCTAL = re.compile(rb"\\([0-7]{3})")


def require_removable_path(path: str) -> Path:
    """Return a path with all its links resolved but the last; a file may always be removed.

    Raises:
        ConfigError: it is, or holds, what is never removed, or a link leads it out of the store.
    """
    resolved = _resolve_parent(path)
    _require_no_way_out(path, resolved)
    if not resolved.is_file() or resolved.is_symlink():
        listing = f"ls {quote(str(resolved))}"
        require_removable(path, resolved.parts, list(_protected(resolved)), listing=listing)
    return resolved


def _require_no_way_out(path: str, resolved: Path) -> None:
    """Refuse a path of the store that a link in the store leads out of it.

    A step may make such a link. What tac itself wrote aside has a name that no step knew.
    """
    root = local_path(settings.current().store)
    if root is None or is_partial(resolved.name):
        return
    # As it is spelled, for a link makes the difference; the store has other spellings too.
    spelled = Path(os.path.abspath(path))  # noqa: PTH100 - it takes `..` out
    real = _resolve(str(root))
    in_store = any(_resolve(str(each)) == real for each in spelled.parents)
    roots = (_resolve_parent(str(root)), real)
    if in_store and not any(resolved.is_relative_to(each) for each in roots):
        raise ConfigError(
            f"{path}: a link in the store leads out of it, to {resolved}; nothing is removed there",
            hint=f"to remove it, name {resolved} itself",
        )


def remove_folder(path: str) -> bool:
    """Remove a directory with all that is in it, or a link to one; False when there is none.

    Raises:
        ConfigError: it is, or holds, what is never removed.
    """
    resolved = require_removable_path(path)
    if not resolved.parent.is_dir():
        return False
    above = open_directory(resolved.parent)
    try:
        return _remove(resolved, above)
    finally:
        os.close(above)


def parse_mounts(table: bytes) -> list[str]:
    """Return the mount points of a `mountinfo`, which writes blanks and the like in octal."""
    points = (line.split(b" ")[4] for line in table.splitlines())
    return [os.fsdecode(_OCTAL.sub(lambda code: bytes([int(code[1], 8)]), each)) for each in points]


def _remove(resolved: Path, above: int) -> bool:
    try:
        mode = os.stat(resolved.name, dir_fd=above, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        _remove_tree(resolved, above)
        return True
    if stat.S_ISLNK(mode) and not resolved.is_file():
        os.unlink(resolved.name, dir_fd=above)
        return True
    return False


def _remove_tree(resolved: Path, above: int) -> None:
    try:
        shutil.rmtree(resolved.name, dir_fd=above)
    except OSError as error:
        if error.errno not in _LINK_INSTEAD:
            raise
        raise StorageError(
            f"{resolved}: became a link during its removal; its target was not touched",
            hint=f"`ls -ld {quote(str(resolved))}`",
        ) from error


def _resolve_parent(path: str) -> Path:
    above, last = os.path.split(path.rstrip("/") or "/")
    return _resolve(path) if last in DOTS else _resolve(above or ".") / last


def _resolve(path: str) -> Path:
    # Two slashes at the beginning are one to Linux, and Python leaves them.
    return Path("/" + os.path.realpath(path).lstrip("/"))


def _protected(resolved: Path) -> Iterator[Protected]:
    yield from _as_protected("/", "the root directory")
    for home in _homes():
        yield from _as_protected(home, "the home directory")
    root = local_path(settings.current().store)
    if root is not None and os.path.lexists(root):
        yield from _as_protected(str(root), "the root of the store")
    for point in _mounts(resolved):  # no stat: a network file system without its server hangs
        yield Protected(Path(point).parts, point, "a mount point")


def _as_protected(path: str, what: str) -> Iterator[Protected]:
    """Yield a path both as it is spelled, which may be a link, and resolved."""
    for resolved in dict.fromkeys((_resolve_parent(path), _resolve(path))):
        yield Protected(resolved.parts, str(resolved), what)


def _homes() -> Iterator[str]:
    """Return the home directory of $HOME, and the one of the effective user."""
    homes = [os.path.expanduser("~")]  # noqa: PTH111 - Path.home() raises where there is none
    with contextlib.suppress(KeyError):  # a user without an entry, as in containers
        homes.append(pwd.getpwuid(os.geteuid()).pw_dir)
    return (home for home in homes if Path(home).is_absolute())


def _mounts(resolved: Path) -> list[str]:
    try:
        return parse_mounts(MOUNTS.read_bytes())
    except FileNotFoundError:  # not Linux: only a walk that compares devices finds mounts
        folders = (folder for folder, _, _ in os.walk(resolved))
        return [folder for folder in folders if os.path.ismount(folder)]
