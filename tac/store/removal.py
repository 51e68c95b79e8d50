"""What is never removed, whatever an address says: roots, the home, mount points, the store's root.

Pure: it compares places, and neither looks nor removes; so every spelling is a row of a test.
A place is a path's or an address' parts, links and `..` taken out by who knows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

DOTS = frozenset({".", ".."})
"""Last parts of an address that name nothing: what they lead to was not asked for by name."""


@dataclass(frozen=True)
class Kept:
    """A place that stays, with all that it is in."""

    parts: tuple[str, ...]
    address: str
    what: str


def require_removable(
    address: str, parts: tuple[str, ...], kept: Sequence[Kept], *, listing: str
) -> None:
    """Let nothing that is kept be removed, nor what holds it; `listing` shows what is in it.

    Raises:
        ConfigError: `address` is such a place, holds one, or names nothing.
    """
    for each in kept:
        if each.parts == parts:
            raise _never(address, f"is {each.what}", listing)
    for each in kept:
        if each.parts[: len(parts)] == parts:
            raise _never(address, f"holds {each.what}, {each.address}", listing)
    last = address.rstrip("/").rpartition("/")[2]
    if last in DOTS:
        raise ConfigError(
            f"{address}: ends in {last!r}: only what is named is removed",
            hint=f"name what is to go: `{listing}` shows what is there",
        )


def _never(address: str, why: str, listing: str) -> ConfigError:
    return ConfigError(
        f"{address}: {why}, which is never removed",
        hint=f"name what is to go in it: `{listing}` shows what is there",
    )
