"""Which files of this machine a step's container sees: the store, and what the command names.

Everything is mounted at the path that it has here, so one command line works in both places.
A relative path is made absolute, because the image has a working directory of its own.

Where a container may write, it may make links; so nothing behind a link there is mounted for the
next one, and above what is tac's own (`_tac` in the store, the logs) lies a mount that cannot be
written. A link that the settings name has been resolved before the first step ran.
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
"""What holds things of the image or of the system: parts of it may be mounted, never the whole.
So no container makes a link directly in one of these, and those that are there are the system's."""

_MOST_LINKS = 40  # as many as Linux follows


@dataclass(frozen=True)
class Mount:
    """A file or directory of this machine, and where a container finds it."""

    source: str
    target: str
    writable: bool = False

    @classmethod
    def same(cls, path: Path, *, writable: bool = False) -> Mount:
        """Mount it where it is."""
        return cls(str(path), str(path), writable)


@dataclass(frozen=True)
class Places:
    """Where this machine keeps what all steps share; see `tac.settings.Settings`."""

    store: str
    """As targets spell it."""

    store_directory: Path | None = None
    """Where it really is, if it is a directory."""

    logs: Path | None = None
    """Where logs really are."""

    @property
    def own(self) -> Path | None:
        """What of the store no step writes."""
        return None if self.store_directory is None else self.store_directory / OWN_FOLDER


def find_mounts(
    argv: Sequence[str], places: Places, *, output: str = ""
) -> tuple[tuple[str, ...], tuple[Mount, ...]]:
    """Return the command with its local paths made absolute, and what they lead to.

    The store and the directory of the output are made if they are not there, and may be written,
    but for what is tac's own; everything else may be read.

    Raises:
        ConfigError: something lies where the image has files of its own, leads through a link that
            a step may have made, or is neither a file nor a directory.
    """
    written = _written(places, output)
    guards = list(_guards(written, places))
    words, read = [argv[0]], []
    for word in argv[1:]:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        certain = value == output or _is_in(places.store, value)
        spelled, mount = _word(value, written, certain=certain)
        words.append(f"{option}{equals}{spelled}")
        read += [mount] if mount else []
    writable = [
        Mount(str(source), str(target), writable=True) for target, source in written.items()
    ]
    # Of two at one place the later one counts, and what cannot be written comes last.
    found = {each.target: each for each in (*_without_the_mounted(read), *writable, *guards)}
    return tuple(words), tuple(found[target] for target in sorted(found))


def check_private(folder: Path, mounts: Iterable[Mount]) -> None:
    """Refuse a directory for keys that a container may write.

    Raises:
        ConfigError: it is one.
    """
    real = Path(os.path.realpath(folder))
    for mount in mounts:
        if mount.writable and real.is_relative_to(mount.source):
            raise ConfigError(
                f"{folder}: is below {mount.source}, which the step may write, and S3's keys lie "
                "there for its container",
                hint="TMPDIR names another directory for temporary files",
            )


def absolute(address: str) -> str:
    """Return the address of a file as any directory understands it."""
    return str(_absolute(address)) if is_local(address) else address


def is_local(address: str) -> bool:
    """Tell whether an address is a path of this machine."""
    return "://" not in address or address.startswith(_FILE)


def _is_in(store: str, word: str) -> bool:
    return is_local(store) and word.startswith(f"{store.rstrip('/')}/")


def _absolute(address: str) -> Path:
    whole = os.path.abspath(address.removeprefix(_FILE))  # noqa: PTH100 - it takes `..` out
    return Path("/" + whole.lstrip("/"))  # and leaves two slashes at the beginning


# What may be written.


def _written(places: Places, output: str) -> dict[Path, Path]:
    """Return the directories that the step may write: where it finds each, and where it really is.

    Raises:
        ConfigError: one cannot be mounted, or not be made.
    """
    written: dict[Path, Path] = {}
    if places.store_directory is not None:
        store = _absolute(places.store)
        _refuse_own(store, places.store_directory, places)
        written[store] = _made(store, places.store_directory)
    if output and is_local(output):
        folder = _absolute(output).parent
        root = _root_of(folder, written)
        if root is not None:
            _check_links(folder, root, written)
            _refuse_own(folder, written[root] / folder.relative_to(root), places)
        else:
            real = _real(folder)
            _refuse_own(folder, real, places)
            written[folder] = _made(folder, real)
    return written


def _refuse_own(path: Path, real: Path, places: Places) -> None:
    if real == places.logs or (places.own is not None and real.is_relative_to(places.own)):
        raise ConfigError(
            f"{path}: is tac's own, and a step would write its output there",
            hint="give the output another directory, or the logs (TAC_LOGS)",
        )


def _made(path: Path, real: Path) -> Path:
    if _hides_the_image(path) or _hides_the_image(real):
        raise _in_the_image(path)
    try:
        real.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be made: {error.strerror}", hint=f"`ls -ld {quote(str(path.parent))}`"
        ) from error
    return real


def _guards(written: Mapping[Path, Path], places: Places) -> Iterator[Mount]:
    """Give what lies above the written directories, so that no container writes what is tac's own.

    A mount cannot be renamed, removed or linked across; a directory above one can be renamed, so
    each of those is a mount too.

    Raises:
        ConfigError: something else than a directory stands in the way.
    """
    for place in filter(None, (places.own, places.logs)):
        for target, source in written.items():
            if place.is_relative_to(source):
                _make(place)
                yield from _guarded(source, target, place, places.own)


def _guarded(source: Path, target: Path, place: Path, own: Path | None) -> Iterator[Mount]:
    for part in accumulate(place.relative_to(source).parts, os.path.join):
        real = source / part
        kept = real == place or (own is not None and real.is_relative_to(own))
        yield Mount(str(real), str(target / part), writable=not kept)


def _make(place: Path) -> None:
    try:
        os.close(open_directory(place, make=True))
    except OSError as error:
        raise ConfigError(
            f"{place}: cannot be made: {error.strerror}",
            hint=f"`ls -ld {quote(str(place.parent))}`",
        ) from error


# What is read.


def _word(word: str, written: Mapping[Path, Path], *, certain: bool) -> tuple[str, Mount | None]:
    """Return a word as the container is to read it, and what of this machine it names."""
    if not word or word.startswith("-") or not is_local(word):
        return word, None
    # A template of addresses names the directory before what is to be filled in.
    path = _absolute(word.partition("{")[0].rpartition("/")[0] + "/" if "{" in word else word)
    named = word.startswith(_FILE)
    if not certain and not named and not _names_a_file(word, path):
        return word, None
    spelled = (_FILE if named else "") + str(_absolute(word))
    if word.endswith("/") and not spelled.endswith("/"):
        spelled += "/"  # to a step it may say that a folder is meant
    if not _exists(path):
        return spelled, None
    if (root := _root_of(path, written)) is not None:
        _check_links(path, root, written)
        return spelled, None
    mount = _readable(path)
    if mount is None and (named or certain):
        raise _in_the_image(path)
    return (word if mount is None else spelled), mount


def _names_a_file(word: str, path: Path) -> bool:
    # `logistic` is a word even where a file is called so; `day.csv` and `./logistic` are files.
    return _exists(path) and ("/" in word or (bool(path.suffix) and not path.is_dir()))


def _exists(path: Path) -> bool:
    # A sentence or a query may be longer than any name of a file, which is an error.
    with contextlib.suppress(OSError):
        return path.exists()
    return False


def _readable(path: Path) -> Mount | None:
    """Return the mount of what a command names; None: the image has files of its own there."""
    if _hides_the_image(path) or _hides_the_image(real := _real(path)):
        return None
    mode = real.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ConfigError(
            f"{path}: is {kind(mode)}, and a container is given files and directories only",
            hint="write what comes out of it to a file, and name that",
        )
    return Mount(str(real), str(path))


def _hides_the_image(path: Path) -> bool:
    inside = any(path.is_relative_to(folder) for folder in _OF_THE_IMAGE)
    return inside or str(path) in _PARENTS


def _in_the_image(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: cannot be mounted into a container, whose own files it would hide",
        hint="keep the store and its inputs in a directory of their own",
    )


def _without_the_mounted(mounts: Iterable[Mount]) -> list[Mount]:
    """Leave out what lies in a directory that is mounted too."""
    kept: list[Mount] = []
    for mount in sorted(set(mounts), key=lambda each: each.target):
        if not any(Path(mount.target).is_relative_to(other.target) for other in kept):
            kept.append(mount)
    return kept


# Links.


def _root_of(path: Path, written: Mapping[Path, Path]) -> Path | None:
    """Return the directory that may be written and holds this path."""
    roots = [root for root in written if path.is_relative_to(root)]
    return max(roots, key=lambda root: len(root.parts), default=None)


def _where_links_lead(path: Path, written: Mapping[Path, Path]) -> Path | None:
    """Return where a path leads out of all that is mounted; None: it does not, or in a circle."""
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
    """Return where a path really is.

    Raises:
        ConfigError: it leads there through a link that a step may have made.
    """
    for _ in range(_MOST_LINKS):
        link = next((each for each in (*reversed(path.parents), path) if each.is_symlink()), None)
        if link is None:
            return path
        to = _absolute(str(link.parent / link.readlink()))
        if not _is_the_systems(link):
            raise ConfigError(
                f"{link}: is a symbolic link, and a step may have made it: it is not mounted",
                hint=f"name what it leads to: {to / path.relative_to(link)}",
            )
        path = to / path.relative_to(link)
    raise ConfigError(
        f"{path}: leads in a circle of symbolic links", hint=f"`ls -l {quote(str(path))}`"
    )


def _is_the_systems(link: Path) -> bool:
    return _hides_the_image(link.parent) or not os.access(link.parent, os.W_OK)
