"""Which build of tac this is: its version, and a digest of its source.

Two builds of one version differ once one was edited, and then the same command line may mean
something else. Files that are no modules of the package do not count, nor do the ends of lines and
the order in which a disk lists files, so a checkout, a wheel and an image of one source agree.
setup.py runs this file too, where tac is not installed yet, so it imports nothing of tac at first.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STORED = "source_digest.txt"
"""The file beside the modules that setup.py writes into a wheel: an installed tac does not change,
and reading all of it at each start of a step would cost 5 ms. A checkout has none."""

DIGEST_LENGTH = 12
"""Hexadecimal digits: two sources that are not the same agree once in 3e14 times."""

_PACKAGE = Path(__file__).parent


@functools.cache
def build_id() -> str:
    """Return this build as a version with a local part (PEP 440): `0.1.0+2ab2a5cab929`.

    It stays what it was when this process first asked.
    """
    from tac import __version__

    return f"{__version__}+{source_digest(_PACKAGE)}"


def source_digest(package: Path) -> str:
    """Return the digest that was stored when the package was built; without one, compute it."""
    try:
        return (package / STORED).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return compute_digest(package)


def compute_digest(package: Path) -> str:
    """Condense the names and the texts of all modules of a package."""
    whole = hashlib.sha256()
    modules = {path.relative_to(package).as_posix(): path for path in _modules(package)}
    for name, path in sorted(modules.items()):
        text = path.read_bytes().replace(b"\r\n", b"\n")
        whole.update(f"{name}\0{len(text)}\0".encode() + text)
    return whole.hexdigest()[:DIGEST_LENGTH]


def _modules(package: Path) -> Iterator[Path]:
    """Find what can be imported; an editor's own files beside it cannot."""
    for path in package.iterdir():
        if path.suffix == ".py" and path.stem.isidentifier():
            yield path
        elif (path / "__init__.py").is_file():
            yield from _modules(path)
