"""What is never removed, whatever an address says: roots, the home, mount points, the store's root.

Pure: it compares parts of paths, and neither looks nor removes; so every spelling is a row of a
test. The parts are those of a path or an address; the caller has resolved links and `..`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

DOTS = frozenset({".", ".."})
"""Last parts of an address that name nothing: only what is named is removed."""


@dataclass(frozen=True)
class Protected:
    """A directory or prefix that is never removed, nor is any directory that holds it."""

    parts: tuple[str, ...]
    address: str
    what: str


def require_removable(
    address: str, parts: tuple[str, ...], protected: Sequence[Protected], *, listing: str
) -> None:
    """Refuse to remove what is protected, or holds it; the command `listing` shows its content.

    Raises:
        ConfigError: `address` is protected, holds what is, or names nothing.
    """
    for each in protected:
        if each.parts == parts:
            raise _never(address, f"is {each.what}", listing)
    for each in protected:
        if each.parts[: len(parts)] == parts:
            raise _never(address, f"holds {each.what}, {each.address}", listing)
    last = address.rstrip("/").rpartition("/")[2]
    if last in DOTS:
        raise ConfigError(
            f"{address}: ends in {last!r}: only what is named is removed",
            hint=f"name what to remove: `{listing}` lists it",
        )


def _never(address: str, why: str, listing: str) -> ConfigError:
    return ConfigError(
        f"{address}: {why}, which is never removed",
        hint=f"name what to remove in it: `{listing}` lists it",
    )
