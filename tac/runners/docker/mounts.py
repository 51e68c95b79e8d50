"""Which files of this machine a step's container sees: the store, and what the command names.

Everything is mounted at the path that it has here, so one command line works in both places.
A relative path is made absolute, because the image has a working directory of its own.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_FILE = "file://"
_OF_THE_IMAGE = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"),
)
_PARENTS = ("/", "/home", "/opt", "/root", "/srv", "/tmp", "/var")  # noqa: S108 - names, not files
"""What holds things of the image or of the system: parts of it may be mounted, never the whole."""

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


def find_mounts(
    argv: Sequence[str], *, store: str, output: str = ""
) -> tuple[tuple[str, ...], tuple[Mount, ...]]:
    """Return the command with its local paths made absolute, and what they lead to.

    The store and the directory of the output are made if they are not there, and may be written;
    everything else may be read.

    Raises:
        ConfigError: something lies where the image has files of its own.
    """
    mounts = []
    if is_local(store):
        mounts.append(_writable(_absolute(store)))
    if output and is_local(output):
        mounts.append(_writable(_absolute(output).parent))
    words = [argv[0]]
    for word in argv[1:]:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        spelled, mount = _word(value, certain=value == output or _is_in(store, value))
        words.append(f"{option}{equals}{spelled}")
        mounts += [mount] if mount else []
    kept = _without_the_mounted(mounts)
    return tuple(words), tuple(_without_the_mounted([*kept, *_behind_links(mounts, kept)]))


def absolute(address: str) -> str:
    """Return the address of a file as any directory understands it."""
    return str(_absolute(address)) if is_local(address) else address


def is_local(address: str) -> bool:
    """Tell whether an address is a path of this machine."""
    return "://" not in address or address.startswith(_FILE)


def _is_in(store: str, word: str) -> bool:
    return is_local(store) and word.startswith(f"{store.rstrip('/')}/")


def _word(word: str, *, certain: bool) -> tuple[str, Mount | None]:
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
    if _hides_the_image(path):
        if named or certain:
            raise _in_the_image(path)
        return word, None
    return spelled, Mount.same(path)


def _names_a_file(word: str, path: Path) -> bool:
    # `logistic` is a word even where a file is called so; `day.csv` and `./logistic` are files.
    return _exists(path) if "/" in word else bool(path.suffix) and _exists(path, is_file=True)


def _exists(path: Path, *, is_file: bool = False) -> bool:
    # A sentence or a query may be longer than any name of a file, which is an error.
    with contextlib.suppress(OSError):
        return path.is_file() if is_file else path.exists()
    return False


def _absolute(address: str) -> Path:
    whole = os.path.abspath(address.removeprefix(_FILE))  # noqa: PTH100 - it takes `..` out
    return Path("/" + whole.lstrip("/"))  # and leaves two slashes at the beginning


def _writable(path: Path) -> Mount:
    if _hides_the_image(path):
        raise _in_the_image(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be made: {error.strerror}", hint=f"`ls -ld {path.parent}`"
        ) from error
    return Mount.same(path, writable=True)


def _hides_the_image(path: Path) -> bool:
    inside = any(path.is_relative_to(folder) for folder in _OF_THE_IMAGE)
    return inside or str(path) in _PARENTS


def _in_the_image(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: cannot be mounted into a container, whose own files it would hide",
        hint="keep the store and its inputs in a directory of their own",
    )


def _without_the_mounted(mounts: Iterable[Mount]) -> list[Mount]:
    """Leave out what lies in a directory that is mounted as freely."""
    kept: list[Mount] = []
    for mount in sorted(set(mounts), key=lambda each: (each.target, not each.writable)):
        path = Path(mount.target)
        if not any(
            path.is_relative_to(other.target) and other.writable >= mount.writable for other in kept
        ):
            kept.append(mount)
    return kept


def _behind_links(mounts: Iterable[Mount], kept: Sequence[Mount]) -> Iterator[Mount]:
    """Give what links in mounted directories lead to: there, a container follows them itself."""
    for mount in mounts:
        place = _where_links_lead(Path(mount.target), [Path(each.target) for each in kept])
        if place is not None and _exists(place) and not _hides_the_image(place):
            yield Mount.same(place, writable=mount.writable)


def _where_links_lead(path: Path, mounted: Sequence[Path]) -> Path | None:
    """Return where a path leads out of all that is mounted; None: it does not, or in a circle."""
    for _ in range(_MOST_LINKS):
        holders = [each for each in mounted if path.is_relative_to(each)]
        if not holders:
            return path
        above = max(holders, key=lambda each: len(each.parts))
        # The mounted directory itself may be a link: the engine follows that one here.
        below = [above / part for part in accumulate(path.relative_to(above).parts, os.path.join)]
        link = next((each for each in below if each.is_symlink()), None)
        if link is None:
            return None
        path = _absolute(str(link.parent / link.readlink() / path.relative_to(link)))
    return None
