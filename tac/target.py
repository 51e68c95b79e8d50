"""Luigi targets over the store: published whole or not at all, and the first writer wins.

A drop-in for `luigi.contrib.s3.S3Target` and `luigi.LocalTarget`: change the class.
What is different, by design (docs/luigi.md has the whole list):

- `open("w")` of a target that exists does not change it; nor do `move` and `copy`, which raise
  `luigi.target.FileAlreadyExists`.
- A `with` block that raises publishes nothing, nor does a writer that is never closed.
- `exists()` raises when the store could not be asked; it never says "absent" instead.
- A path that ends with a slash is a folder, and exists when anything published is in it.
- Removing follows no link, and removes no root: not a bucket's, the store's or the machine's, no
  home and no mount point. `move` of a folder copies what links in it lead to, and leaves that.

`tac.store` says what counts as being in a folder, and what a link means.

How fresh `exists()` is. A file is always checked. On S3 a thousand targets are answered from a few
listings: "absent" may be two seconds old, "present" five; what this process published or deleted
counts at once. From the first task that luigi runs in this process "absent" is confirmed by a HEAD,
so a task that has just ended is never called incomplete. `exists(fresh=True)` always sends a HEAD,
for programs without luigi. `tac.store.listing_cache` has all the rules.

Creating a target sends no request; a pipeline may have thousands. They can be pickled.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

import luigi
from luigi.format import Format, Text
from luigi.target import (
    FileAlreadyExists,
    FileSystem,
    FileSystemException,
    FileSystemTarget,
    MissingParentDirectory,
    NotADirectory,
)

from tac import settings
from tac.errors import ConfigError, InputMissing, StorageError
from tac.store import Store, local_path, store_of
from tac.store.listing_cache import ListingCache
from tac.store.removal import DOTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType


_READS = frozenset({"r", "rb", "br", "rt", "tr"})
_WRITES = frozenset({"w", "wb", "bw", "wt", "tw"})


class TargetMissing(InputMissing, FileSystemException, FileNotFoundError):
    """A target that was to be read is missing; Luigi's and Python's `except` know it too."""


class StoreFileSystem(FileSystem):
    """Luigi's file operations, over addresses of every kind."""

    def exists(self, path: str) -> bool:
        """Tell whether `path` is a file, an object or a folder, asked now."""
        return self.isdir(path) or (
            not path.endswith("/") and store_of(path).exists(path, fresh=True)
        )

    def isdir(self, path: str) -> bool:
        """Tell whether `path` is a directory; on S3, whether anything published lies below it."""
        return store_of(path).is_folder(path, or_empty=True)

    def listdir(self, path: str) -> Iterator[str]:
        """Yield the addresses of everything below the folder `path`, behind links too."""
        if not path:
            raise ConfigError("'': not a path", hint="write '.' for the current directory")
        for entry in store_of(path).list(f"{path.rstrip('/')}/"):
            yield entry.address

    def remove(self, path: str, recursive: bool = True, skip_trash: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - Luigi's signature
        """Delete a file, an object, or with `recursive` a folder; False when it does not exist.

        A link is deleted, in a folder too, and never what it leads to.

        Raises:
            ConfigError: it is, or holds, what is never removed; nothing was deleted.
        """
        store = store_of(path)
        store.require_removable(path)
        if not path.endswith("/") and not _is_directory(path) and store.delete(path):
            return True
        if not recursive and self.isdir(path):
            raise FileAlreadyExists(f"{path}: a folder; remove it with recursive=True")
        return store.delete_folder(path)

    def mkdir(self, path: str, parents: bool = True, raise_if_exists: bool = False) -> None:  # noqa: FBT001, FBT002 - Luigi's signature
        """Create a directory; on S3 there is nothing to do."""
        directory = local_path(path)
        if self.exists(path):
            if raise_if_exists:
                raise FileAlreadyExists(path)
            if not self.isdir(path):
                raise NotADirectory(path)
        elif directory is not None:
            if not parents and not directory.parent.is_dir():
                raise MissingParentDirectory(path)
            directory.mkdir(parents=True, exist_ok=True)

    def copy(self, path: str, dest: str) -> None:
        """Copy a file, an object, or a folder with all that is in it, from anywhere to anywhere.

        What a link leads to is copied, and no link is made.

        Raises:
            FileAlreadyExists: `dest` exists; it is not changed.
        """
        _copy_all(self._pairs(path, dest))

    def move(self, path: str, dest: str) -> None:
        """Copy, then remove what was copied; of a link the link.

        Raises:
            FileAlreadyExists: `dest` exists; it is not changed.
            ConfigError: `path` is never removed, or `dest` lies in it; nothing was changed.
            StorageError: others have published in `path` meanwhile; nothing was removed.
        """
        store_of(path).require_removable(path)
        if self.isdir(path) and _lies_in(dest, path):
            raise ConfigError(
                f"{dest}: lies in {path}, which cannot be moved into itself",
                hint="move it to another place first, or copy it",
            )
        pairs = self._pairs(path, dest)
        _copy_all(pairs)
        if self._pairs(path, dest) != pairs:
            raise StorageError(
                f"{path}: changed while it was copied to {dest}; nothing of it was removed",
                hint="move what is new in it by its name, then remove it",
            )
        self.remove(path)

    def rename_dont_move(self, path: str, dest: str) -> None:
        """Move `path` to `dest`, never into it."""
        if self.exists(dest):
            raise FileAlreadyExists(dest)
        self.move(path, dest)

    def settle(self, path: str, dest: str) -> None:
        """Publish what is at `path` as `dest`, unless `dest` exists; delete it."""
        for source, target in self._pairs(path, dest):
            _copy(source, target)
        self.remove(path)

    def _pairs(self, path: str, dest: str) -> list[tuple[str, str]]:
        if not self.isdir(path):
            return [(path, dest)]
        source, target = path.rstrip("/"), dest.rstrip("/")
        return [(each, target + each[len(source) :]) for each in self.listdir(path)]


class StoreTarget(FileSystemTarget):
    """A file or an object, by its address; `format` is Luigi's, and text by default.

    With `is_tmp` it is removed with the target; without a path it is a temporary file's.
    """

    fs = StoreFileSystem()
    is_tmp = False

    def __init__(
        self,
        path: str | Path | None = None,
        format: Format | None = None,  # noqa: A002 - Luigi's name for it
        is_tmp: bool = False,  # noqa: FBT001, FBT002 - Luigi's signature
    ) -> None:
        if not path:
            if not is_tmp:
                raise ConfigError("a target without a path", hint="name one, or say is_tmp=True")
            path = Path(tempfile.gettempdir(), f"tac-{secrets.token_hex(8)}")
        super().__init__(path)  # type: ignore[no-untyped-call]  # Luigi's has no annotations
        self.format = format
        self.is_tmp = is_tmp

    def __del__(self) -> None:
        if self.is_tmp:
            self.remove()

    def __repr__(self) -> str:
        return f"StoreTarget({self.path!r})"

    def exists(self, *, fresh: bool = False) -> bool:
        """Tell whether it is published; the module's docstring says how old the answer may be."""
        store = store_of(self.path)
        if self.path.endswith("/"):
            return store.is_folder(self.path)
        if local_path(self.path) is not None:
            return store.is_folder(self.path, or_empty=True) or store.exists(self.path)
        return store.exists(self.path, fresh=fresh) or store.is_folder(self.path, fresh=fresh)

    def remove(self) -> None:
        """Delete it, if it exists."""
        self.fs.remove(self.path)

    def copy(self, new_path: str, raise_if_exists: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Luigi's signature
        """Copy it to `new_path`; raises FileAlreadyExists if something exists there."""
        self.fs.copy(self.path, new_path)

    def move(self, new_path: str, raise_if_exists: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - Luigi's signature
        """Move it to `new_path`; raises FileAlreadyExists if something exists there."""
        self.fs.move(self.path, new_path)

    def move_dir(self, new_path: str) -> None:
        """Move a folder to `new_path`."""
        self.fs.move(self.path, new_path)

    def makedirs(self) -> None:
        """Make the directory that it lies in; S3 needs none."""
        if parent := self.path.rstrip("/").rpartition("/")[0]:
            self.fs.mkdir(parent)

    @property
    def fn(self) -> str:
        """Its path, under the name that LocalTarget once had for it."""
        return self.path

    def open(self, mode: str = "r") -> Any:
        """Open it with `r` for reading or `w` for publishing, through its format."""
        # As with Luigi's targets, the format decides between text and bytes, not a "b" or a "t".
        if mode not in _READS | _WRITES:
            raise ValueError(f"{self.path}: cannot be opened with mode {mode!r}, only 'r' and 'w'")
        shape = self.format or Text
        store = store_of(self.path)
        if mode in _WRITES:
            return shape.pipe_writer(_Writer(store, self.path))
        try:
            return shape.pipe_reader(store.open(self.path))
        except InputMissing as error:
            raise TargetMissing(error.message, hint=error.hint) from error

    @contextlib.contextmanager
    def temporary_path(self) -> Iterator[str]:
        """Yield a path beside it to write to, which is published when the block ends well."""
        slash = "/" if self.path.endswith("/") else ""
        folder, between, name = self.path.rstrip("/").rpartition("/")
        aside = f"{folder}{between}.{name}.{secrets.token_hex(8)}.partial{slash}"
        if between:
            self.fs.mkdir(f"{folder}/")
        try:
            yield aside
            self.fs.settle(aside, self.path)
        finally:
            self.fs.remove(aside)


def _doubt_listings(_: luigi.Task) -> None:
    """Confirm absence by HEAD from now on: a task may just have published."""
    ListingCache.confirms_absence = True


luigi.Task.event_handler(luigi.Event.START)(_doubt_listings)


def target_at(address: str | Path) -> StoreTarget:
    """Return the target at a path or URL."""
    return StoreTarget(address)


def in_store(path: str) -> StoreTarget:
    """Return the target at `path` inside the store that the settings name.

    Raises:
        ConfigError: `path` could lead out of it.
    """
    if path.startswith("/") or "://" in path:
        raise _not_in_store(path, "is no path inside the store")
    if dots := [part for part in path.split("/") if part in DOTS]:
        raise _not_in_store(path, f"may lead out of the store by {dots[0]!r}")
    return StoreTarget(f"{settings.current().store.rstrip('/')}/{path}")


def _not_in_store(path: str, why: str) -> ConfigError:
    return ConfigError(
        f"in_store({path!r}): {why}",
        hint="write it as from the store's root, such as 'counts/2023-03-01.csv'; "
        "target_at() takes any address",
    )


class _Writer:
    """A file for Luigi's formats that publishes when it is closed, and not when it is collected."""

    def __init__(self, store: Store, path: str) -> None:
        self._creation = store.create(path)
        self._draft = self._creation.__enter__()
        self._finished = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # nothing of our own: __init__ did not get that far
            raise AttributeError(name)
        return getattr(self._draft.file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._finished:
            self._finished = True
            self._creation.__exit__(kind, error, traceback)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, _Dropped):
            self.__exit__(_Dropped, _Dropped(), None)

    def close(self) -> None:
        self.__exit__(None, None, None)

    @property
    def closed(self) -> bool:
        return self._finished


class _Dropped(Exception):
    """A writer was garbage-collected without being closed."""


def _is_directory(path: str) -> bool:
    local = local_path(path)
    return local is not None and local.is_dir() and not local.is_symlink()


def _lies_in(path: str, folder: str) -> bool:
    place, above = _parts_of(path), _parts_of(folder)
    return place[: len(above)] == above


def _parts_of(path: str) -> tuple[str, ...]:
    local = local_path(path)
    return PurePosixPath(path).parts if local is None else local.resolve().parts


def _copy_all(pairs: Sequence[tuple[str, str]]) -> None:
    for source, target in pairs:
        if not _copy(source, target):
            raise FileAlreadyExists(target)


def _copy(source: str, target: str) -> bool:
    with store_of(source).open(source) as file, store_of(target).create(target) as draft:
        shutil.copyfileobj(file, draft.file)
    return draft.published
