"""The store: files and S3 behind one small interface, published whole, first writer wins.

It knows nothing of Luigi.
An address is a local path (or `file:///path`) or `s3://bucket/key`; `store_of(address)` picks the
implementation.

A folder exists when anything published lies below it, however deep. Empty directories, the
markers `folder/` and `folder_$folder$` that consoles and Hadoop make on S3, unfinished files and
tac's own marker do not make it exist; deleting the folder deletes them too. An upload that is
under way is not touched.

What a link means, in a store of files: reading follows it, so a listing, and a copy of a folder,
hold what links lead to, and a loop of links ends. Removing does not: the link is removed, and its
target stays. The directories above the last part of a path that is removed may be links,
unless one inside the store leads out of it: a step may have made that.
Roots, the home, mount points and the store's root are never removed (tac.store.removal).

Nothing heavy is imported here: boto3 is loaded with the first s3:// address.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tac.errors import ConfigError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Stat:
    """What a store knows of an output: bytes, time of publication (UTC), tac's version."""

    size: int
    modified: dt.datetime
    version: str | None


@dataclass(frozen=True)
class Entry:
    """One output of a listing."""

    address: str
    size: int


@dataclass
class Draft:
    """An output being written; `published` says afterwards whether this writer was the first."""

    file: BinaryIO
    published: bool = False


class Store(Protocol):
    """What every kind of store can do. An address is whole: path or URL.

    Every method raises ConfigError for an address that cannot be one, and AccessDenied,
    BucketMissing or StorageUnavailable when the store did not answer: "could not ask" is never
    "there is none".
    """

    def stat(self, address: str) -> Stat | None:
        """Return what the store knows of `address` now; None when it does not exist."""

    def exists(self, address: str, *, fresh: bool = False) -> bool:
        """Tell whether `address` exists; many calls may be answered by one listing.

        Without `fresh` an answer may be a few seconds old: tac.store.listing_cache has the rules.
        """

    def open(
        self, address: str, *, most_bytes: int | None = None, most_seconds: float | None = None
    ) -> BinaryIO:
        """Open `address` for reading, seekable, positioned at its start.

        Raises:
            DataError: it holds more than `most_bytes`; none of it was read.
            InputMissing: it does not exist.
            StorageUnavailable: its bytes did not arrive in `most_seconds`.
        """

    def create(self, address: str, *, private: bool = False) -> AbstractContextManager[Draft]:
        """Write `address`: published whole when the block ends well, not at all when it raises.

        A `private` file is readable by its owner alone from its first byte; who may read an object
        is the bucket's policy.

        The first writer wins. Losing the race is success: `published` stays False and nothing
        changes.
        The block may close the file.

        Raises:
            StorageFull: not enough space, in the store or in the temporary directory.
        """

    def delete(self, address: str) -> bool:
        """Delete `address`, of a link the link; False when it did not exist.

        Raises:
            ConfigError: it is the root of the store, or something else that is never removed.
        """

    def delete_folder(self, address: str) -> bool:
        """Delete a folder with all that is in it, following no link; False if it did not exist.

        Raises:
            ConfigError: it is, or holds, what is never removed; nothing was deleted.
        """

    def require_removable(self, address: str) -> None:
        """Raise the ConfigError that removing `address` would, if it is never removed."""

    def is_folder(self, address: str, *, or_empty: bool = False, fresh: bool = True) -> bool:
        """Tell whether anything published lies below `address`.

        With `or_empty`, an empty directory counts as well; S3 has none.
        Without `fresh` "no" may be as old as that of `exists`.
        """

    def list(self, prefix: str, *, most: int | None = None) -> Iterator[Entry]:
        """Yield all outputs whose address starts with `prefix`, in order.

        With `most`, no more than the first so many that the store lists.
        """


def store_of(address: str) -> Store:
    """Return the store of `address`, without any request.

    Raises:
        ConfigError: there is no such kind of store.
    """
    scheme, separator, _ = address.partition("://")
    if not separator or scheme == "file":
        return _files()
    if scheme == "s3":
        return _s3()
    raise ConfigError(
        f"{address!r}: there is no store for {scheme}:// addresses",
        hint="write a local path, or s3://bucket/key",
    )


def local_path(address: str) -> Path | None:
    """Return the path of an address of the local store; None: it is another store's."""
    bare = address.removeprefix("file://")
    return None if "://" in bare else Path(bare)


def is_partial(name: str) -> bool:
    """Tell whether a file of this name was never finished; no listing shows it."""
    return name.startswith(".") and name.endswith(".partial")


@functools.cache
def _files() -> Store:
    from tac.store.files import Files

    return Files()


@functools.cache
def _s3() -> Store:
    from tac.store.s3 import S3

    return S3()
