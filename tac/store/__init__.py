"""The store: files and S3 behind one small interface, published whole or not at all, first writer wins.

It knows nothing of Luigi.
An address is a local path or `s3://bucket/key`; `store_of(address)` picks the implementation.
Nothing heavy is imported here: boto3 is loaded with the first s3:// address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Stat:
    """What is known of something published: bytes, moment (UTC), and the version of tac that made it."""

    size: int
    modified: datetime.datetime
    version: str | None


@dataclass(frozen=True)
class Entry:
    """One published thing of a listing."""

    address: str
    size: int


@dataclass
class Draft:
    """An output being written; `published` says afterwards whether ours is the one that stands."""

    file: BinaryIO
    published: bool = False


class Store(Protocol):
    """What every kind of store can do. An address is whole: path or URL."""

    def stat(self, address: str) -> Stat | None:
        """Return what is known of `address`, None when nothing is there.

        Raises:
            BucketMissing, AccessDenied, StorageUnavailable: it could not be asked. Never None for these.
        """

    def open(self, address: str) -> BinaryIO:
        """Open `address` for reading, seekable, positioned at its start.

        Raises:
            InputMissing: nothing is there.
        """

    def create(self, address: str) -> AbstractContextManager[Draft]:
        """Write `address`: published whole when the block ends well, not at all when it raises.

        The first writer wins. Losing the race is success: `published` stays False and nothing changes.
        """

    def delete(self, address: str) -> bool:
        """Delete `address`; False when nothing was there."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield everything published whose address starts with `prefix`, in the order of the addresses."""
