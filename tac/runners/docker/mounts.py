"""Bind mounts of a step's container: the store, and the files that the command names.

Everything is mounted at its path on the host, so one command line works in both places.
A relative path is made absolute, because the image has a working directory of its own.

Where a container may write, it may make links; so nothing behind a link there is mounted for the
next one, and tac's own directories (`_tac` in the store, the logs) are mounted read-only on top.
A link that the settings name has been resolved before the first step ran.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tac.errors import ConfigError
from tac.real_path import kind, open_directory
from tac.settings import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_FILE = "file://"
_OF_THE_IMAGE = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"),
)
_PARENTS = ("/", "/home", "/opt", "/root", "/srv", "/tmp", "/var")  # noqa: S108 - names, not files
"""Directories of the image or the system: parts of them may be mounted, never the whole.
So no container makes a link directly in one of these: any link in them is the system's."""

_MOST_LINKS = 40  # as many as Linux follows


@dataclass(frozen=True)
class Mount:
    """A bind mount: a file or directory of this machine, and its path in the container."""

    source: str
    target: str
    writable: bool = False

    @classmethod
    def same(cls, path: Path, *, writable: bool = False) -> Mount:
        """Mount a path at the same path."""
        return cls(str(path), str(path), writable)


@dataclass(frozen=True)
class HostDirectories:
    """The directories that all steps share; see `tac.settings.Settings`."""

    store: str
    """The store as addresses of targets spell it."""

    store_directory: Path | None = None
    """The real path of the store, if it is a directory."""

    logs: Path | None = None
    """The real path of the logs."""

    @property
    def tac_folder(self) -> Path | None:
        """The part of the store that no step may write."""
        return None if self.store_directory is None else self.store_directory / OWN_FOLDER


def find_mounts(
    argv: Sequence[str], directories: HostDirectories, *, output: str = ""
) -> tuple[tuple[str, ...], tuple[Mount, ...]]:
    """Return the command with its local paths made absolute, and the mounts that it needs.

    The store and the directory of the output are created if they do not exist, and are writable
    but for tac's own directories; everything else is read-only.

    Raises:
        ConfigError: a path would hide files of the image, leads through a link that a step may
            have made, or is neither a file nor a directory.
    """
    written = _written(directories, output)
    guards = list(_guards(written, directories))
    args, read = [argv[0]], []
    for arg in argv[1:]:
        option, equals, value = arg.partition("=") if arg.startswith("--") else ("", "", arg)
        certain = value == output or _is_in(directories.store, value)
        spelled, mount = _mounted_arg(value, written, certain=certain)
        args.append(f"{option}{equals}{spelled}")
        read += [mount] if mount else []
    writable = [
        Mount(str(source), str(target), writable=True) for target, source in written.items()
    ]
    # The last of two mounts with one target wins, so the read-only ones come last.
    found = {each.target: each for each in (*_without_mounted(read), *writable, *guards)}
    return tuple(args), tuple(found[target] for target in sorted(found))


def check_private(folder: Path, mounts: Iterable[Mount]) -> None:
    """Refuse a directory for keys that is writable in the container.

    Raises:
        ConfigError: it is.
    """
    real = Path(os.path.realpath(folder))
    for mount in mounts:
        if mount.writable and real.is_relative_to(mount.source):
            raise ConfigError(
                f"{folder}: is below {mount.source}, which the step may write, and would hold S3's "
                "keys for its container",
                hint="set TMPDIR to another directory for temporary files",
            )


def absolute(address: str) -> str:
    """Return the address of a file with an absolute path."""
    return str(_absolute(address)) if is_local(address) else address


def is_local(address: str) -> bool:
    """Tell whether an address is a path of this machine."""
    return "://" not in address or address.startswith(_FILE)


def _is_in(store: str, arg: str) -> bool:
    return is_local(store) and arg.startswith(f"{store.rstrip('/')}/")


def _absolute(address: str) -> Path:
    whole = os.path.abspath(address.removeprefix(_FILE))  # noqa: PTH100 - it removes `..`
    return Path("/" + whole.lstrip("/"))  # abspath keeps two slashes at the beginning


# Writable directories.


def _written(directories: HostDirectories, output: str) -> dict[Path, Path]:
    """Return the directories that the step may write: the path in the container to the real one.

    Raises:
        ConfigError: one cannot be mounted or created.
    """
    written: dict[Path, Path] = {}
    if directories.store_directory is not None:
        store = _absolute(directories.store)
        _refuse_tac_folder(store, directories.store_directory, directories)
        written[store] = _created(store, directories.store_directory)
    if output and is_local(output):
        folder = _absolute(output).parent
        root = _root_of(folder, written)
        if root is not None:
            _check_links(folder, root, written)
            _refuse_tac_folder(folder, written[root] / folder.relative_to(root), directories)
        else:
            real = _real(folder)
            _refuse_tac_folder(folder, real, directories)
            written[folder] = _created(folder, real)
    return written


def _refuse_tac_folder(path: Path, real: Path, directories: HostDirectories) -> None:
    if real == directories.logs or (
        directories.tac_folder is not None and real.is_relative_to(directories.tac_folder)
    ):
        raise ConfigError(
            f"{path}: is reserved for tac, and a step would write its output there",
            hint="give the output another directory, or the logs (TAC_LOGS)",
        )


def _created(path: Path, real: Path) -> Path:
    if _hides_the_image(path) or _hides_the_image(real):
        raise _in_image(path)
    try:
        real.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be created: {error.strerror}",
            hint=f"`ls -ld {quote(str(path.parent))}`",
        ) from error
    return real


def _guards(written: Mapping[Path, Path], directories: HostDirectories) -> Iterator[Mount]:
    """Yield the mounts that keep tac's own directories read-only inside writable ones.

    A mount cannot be renamed, removed or linked across; a directory above one can be renamed, so
    each of those is a mount too.

    Raises:
        ConfigError: a part of the path is not a directory.
    """
    for place in filter(None, (directories.tac_folder, directories.logs)):
        for target, source in written.items():
            if place.is_relative_to(source):
                _create(place)
                yield from _guarded(source, target, place, directories.tac_folder)


def _guarded(source: Path, target: Path, place: Path, tac_folder: Path | None) -> Iterator[Mount]:
    for part in accumulate(place.relative_to(source).parts, os.path.join):
        real = source / part
        kept = real == place or (tac_folder is not None and real.is_relative_to(tac_folder))
        yield Mount(str(real), str(target / part), writable=not kept)


def _create(place: Path) -> None:
    try:
        os.close(open_directory(place, make=True))
    except OSError as error:
        raise ConfigError(
            f"{place}: cannot be created: {error.strerror}",
            hint=f"`ls -ld {quote(str(place.parent))}`",
        ) from error


# Read-only mounts.


def _mounted_arg(
    arg: str, written: Mapping[Path, Path], *, certain: bool
) -> tuple[str, Mount | None]:
    """Return an argument as the container is to read it, and the mount that it needs."""
    if not arg or arg.startswith("-") or not is_local(arg):
        return arg, None
    # Of a template of addresses the directory before the first placeholder is mounted.
    read = arg.partition("{")[0].rpartition("/")[0] + "/" if "{" in arg else arg
    path, named = _absolute(read), arg.startswith(_FILE)
    if named and not _exists(path):
        path = _absolute(unquote(read))  # as the step itself does: tac.store.files
    if not certain and not named and not _names_a_file(arg, path):
        return arg, None
    spelled = (_FILE if named else "") + str(_absolute(arg))
    if arg.endswith("/") and not spelled.endswith("/"):
        spelled += "/"  # a step may read it as "a folder"
    if not _exists(path):
        return spelled, None
    if (root := _root_of(path, written)) is not None:
        _check_links(path, root, written)
        return spelled, None
    mount = _readable(path)
    if mount is None and (named or certain):
        raise _in_image(path)
    return (arg if mount is None else spelled), mount


def _names_a_file(arg: str, path: Path) -> bool:
    # `logistic` is no path even where such a file exists; `day.csv` and `./logistic` are paths.
    return _exists(path) and ("/" in arg or (bool(path.suffix) and not path.is_dir()))


def _exists(path: Path) -> bool:
    # An argument longer than any file name (a query, a sentence) raises ENAMETOOLONG.
    with contextlib.suppress(OSError):
        return path.exists()
    return False


def _readable(path: Path) -> Mount | None:
    """Return the mount of a path of the command; None: it would hide files of the image."""
    if _hides_the_image(path) or _hides_the_image(real := _real(path)):
        return None
    mode = real.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ConfigError(
            f"{path}: is {kind(mode)}, and only files and directories can be mounted",
            hint="write its content to a file, and name that",
        )
    return Mount(str(real), str(path))


def _hides_the_image(path: Path) -> bool:
    inside = any(path.is_relative_to(folder) for folder in _OF_THE_IMAGE)
    return inside or str(path) in _PARENTS


def _in_image(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: cannot be mounted into a container, whose own files it would hide",
        hint="keep the store and its inputs in a directory of their own",
    )


def _without_mounted(mounts: Iterable[Mount]) -> list[Mount]:
    """Leave out mounts below another mount."""
    kept: list[Mount] = []
    for mount in sorted(set(mounts), key=lambda each: each.target):
        if not any(Path(mount.target).is_relative_to(other.target) for other in kept):
            kept.append(mount)
    return kept


# Links.


def _root_of(path: Path, written: Mapping[Path, Path]) -> Path | None:
    """Return the innermost writable directory that holds this path."""
    roots = [root for root in written if path.is_relative_to(root)]
    return max(roots, key=lambda root: len(root.parts), default=None)


def _where_links_lead(path: Path, written: Mapping[Path, Path]) -> Path | None:
    """Return where a path leads outside of all writable directories; None: it does not."""
    for _ in range(_MOST_LINKS):
        root = _root_of(path, written)
        if root is None:
            return path
        parts = path.relative_to(root).parts
        below = [written[root] / part for part in accumulate(parts, os.path.join)]
        number = next((number for number, each in enumerate(below) if each.is_symlink()), None)
        if number is None:
            return None
        above = root.joinpath(*parts[:number])
        path = _absolute(str(above / below[number].readlink() / Path(*parts[number + 1 :])))
    return None


def _check_links(path: Path, root: Path, written: Mapping[Path, Path]) -> None:
    place = _where_links_lead(path, written)
    if place is not None:
        raise ConfigError(
            f"{path}: leads by a symbolic link to {place}, out of {root}, where steps may make "
            "links: it is not mounted",
            hint=f"name {place} itself, or mount it into the store (`mount --bind`)",
        )


def _real(path: Path) -> Path:
    """Return the real path of a path.

    Raises:
        ConfigError: a link in it may have been made by a step.
    """
    for _ in range(_MOST_LINKS):
        link = next((each for each in (*reversed(path.parents), path) if each.is_symlink()), None)
        if link is None:
            return path
        to = _absolute(str(link.parent / link.readlink()))
        if not _is_system_link(link):
            raise ConfigError(
                f"{link}: is a symbolic link, and a step may have made it: it is not mounted",
                hint=f"name what it leads to: {to / path.relative_to(link)}",
            )
        path = to / path.relative_to(link)
    raise ConfigError(f"{path}: is a loop of symbolic links", hint=f"`ls -l {quote(str(path))}`")


def _is_system_link(link: Path) -> bool:
    return _hides_the_image(link.parent) or not os.access(link.parent, os.W_OK)
