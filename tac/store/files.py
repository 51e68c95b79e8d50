"""A directory as a store: a file is written aside and linked into its place.

A link never replaces an existing file, so the first writer wins, between machines too.
Where the system can (`O_TMPFILE`), the unfinished file has no name, and nothing of it is left even
after SIGKILL; otherwise it is `.NAME.XXXX.partial` in the same directory, which no listing shows.

A file system without hard links (FAT, many of FUSE): the file is renamed into its place under a
lock on the directory. So the first writer wins among the processes of one machine; of two
machines that publish one address within the same instant the later file wins, whole, and both
report that they published.

Only files are read: a pipe, a device or a socket in a file's place is refused, not waited for.
tac.store says what links mean, tac.store.files_removal how directories are removed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import itertools
import os
import secrets
import shutil
import stat
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote

import tac
from tac.errors import ConfigError, StorageError
from tac.limits import check_input_bytes
from tac.store import Draft, Entry, Stat, is_partial
from tac.store.files_errors import (
    DISK_FULL,
    explained,
    explaining,
    is_no_file,
    missing,
    require_file,
    require_file_or_nothing,
)
from tac.store.files_removal import remove_folder, require_removable_path

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION_ATTRIBUTE = "user.tac.version"
"""The extended attribute with the version of tac that wrote a file, on file systems with these."""

_SCHEME = "file://"
_PRIVATE, _AS_THE_UMASK_SAYS = 0o600, 0o666
# link(2): the errors of file systems without hard links, or with too many of this file.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


class Files:
    """The store of local paths."""

    def stat(self, address: str) -> Stat | None:
        """Return size, time and tac's version of a file; None when it does not exist."""
        path = _path(address)
        with explaining(path):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            require_file(path, found.st_mode)
            modified = dt.datetime.fromtimestamp(found.st_mtime, dt.UTC)
            return Stat(found.st_size, modified, _read_version(path))

    def exists(self, address: str, *, fresh: bool = False) -> bool:  # noqa: ARG002 - always fresh
        """Tell whether there is a file at this address, now."""
        return self.stat(address) is not None

    def open(
        self,
        address: str,
        *,
        most_bytes: int | None = None,
        most_seconds: float | None = None,  # noqa: ARG002 - only a download takes long
    ) -> BinaryIO:
        """Open a file for reading."""
        path = _input(address)
        with explaining(path):
            try:
                require_file(path, path.stat().st_mode)
                file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - the caller closes it
            except (FileNotFoundError, NotADirectoryError) as error:
                raise missing(path) from error
            try:
                found = os.fstat(file.fileno())
                require_file(path, found.st_mode)
                check_input_bytes(address, found.st_size, most_bytes)
            except BaseException:
                file.close()
                raise
            return file

    @contextlib.contextmanager
    def create(self, address: str, *, private: bool = False) -> Iterator[Draft]:
        """Write a file aside, and link it into its place when the block ends well."""
        path = _path(address)
        with explaining(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            require_file_or_nothing(path)
            unpublished = _UnpublishedFile(path, _PRIVATE if private else _AS_THE_UMASK_SAYS)
        try:
            draft = Draft(unpublished.file)
            try:
                yield draft
            except OSError as error:
                if error.errno in DISK_FULL:
                    raise explained(error, path) from error
                raise
            with explaining(path):
                draft.published = unpublished.publish()
        finally:
            unpublished.discard()

    def delete(self, address: str) -> bool:
        """Delete a file, or a link."""
        path = _path(address)
        with explaining(path):
            try:
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode):
                    raise is_no_file(path, mode)
                require_removable_path(str(path))
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    def delete_folder(self, address: str) -> bool:
        """Delete a directory with all that is in it, or a link to one."""
        folder = _folder(address)
        with explaining(Path(folder)):
            return remove_folder(folder)

    def require_removable(self, address: str) -> None:
        """Raise if a path is, or holds, what is never removed."""
        folder = _folder(address)
        with explaining(Path(folder)):
            require_removable_path(folder)

    def is_folder(
        self,
        address: str,
        *,
        or_empty: bool = False,
        fresh: bool = True,  # noqa: ARG002 - always fresh
    ) -> bool:
        """Tell whether there is a directory at this address, and a file below it."""
        path = Path(_folder(address))
        with explaining(path):
            if or_empty:
                return path.is_dir()
            return next(_walk(path, "", ""), None) is not None

    def list(self, prefix: str, *, most: int | None = None) -> Iterator[Entry]:
        """Yield the files below a directory, or those whose path starts with `prefix`."""
        folder = prefix[: prefix.rfind("/") + 1]
        root = Path(folder.removeprefix(_SCHEME) or ".")
        with explaining(root):
            entries = itertools.islice(_walk(root, folder, prefix), most)
            found = sorted(entries, key=lambda entry: entry.address)
        yield from found


class _UnpublishedFile:
    """A file that is being written, and does not yet have the name it is published by."""

    def __init__(self, path: Path, mode: int) -> None:
        self._path = path
        self._mode = mode
        self._partial: Path | None = None
        nameless = _open_nameless(path.parent, mode)
        self._descriptor = self._open_partial() if nameless is None else nameless
        # The caller's file has a descriptor of its own: a text wrapper closes what it wraps when
        # it is collected.
        self.file: BinaryIO = os.fdopen(os.dup(self._descriptor), "w+b")

    def publish(self) -> bool:
        """Give the file its name; False when that name is taken."""
        if not self.file.closed:
            self.file.flush()
        _write_version(self._descriptor)
        # Else a crash of the machine may leave a name without contents. The directory needs no
        # fsync: an output whose name is lost in a power failure is made again.
        os.fsync(self._descriptor)
        source = self._partial or f"/proc/self/fd/{self._descriptor}"
        try:
            os.link(source, self._path, follow_symlinks=self._partial is None)
        except FileExistsError:
            return self._lost()
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._publish_without_links()
        return True

    def discard(self) -> None:
        """Remove the file, unless it was published."""
        with contextlib.suppress(
            OSError
        ):  # a full disk refuses the last bytes of the buffer once more
            self.file.close()
        os.close(self._descriptor)
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)

    def _open_partial(self) -> int:
        # 255 bytes are the longest name of nearly every file system.
        name = self._path.name.encode()[:200].decode(errors="ignore")
        self._partial = self._path.with_name(f".{name}.{secrets.token_hex(8)}.partial")
        return os.open(self._partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, self._mode)

    def _publish_without_links(self) -> bool:
        partial = self._partial or self._copy_to_partial()
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            if os.path.lexists(self._path):
                return self._lost()
            partial.rename(self._path)
        finally:
            os.close(directory)
        return True

    def _copy_to_partial(self) -> Path:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        with (
            os.fdopen(self._open_partial(), "wb") as copy,
            open(self._descriptor, "rb", closefd=False) as ours,
        ):
            shutil.copyfileobj(ours, copy)
            copy.flush()
            _write_version(copy.fileno())
            os.fsync(copy.fileno())
        if self._partial is None:  # pragma: no cover - _open_partial has set it
            raise RuntimeError
        return self._partial

    def _lost(self) -> bool:
        if not self._path.exists():
            raise StorageError(
                f"{self._path}: is a broken symbolic link",
                hint=f"`ls -l {quote(str(self._path))}`, then remove it",
            )
        require_file_or_nothing(self._path)
        return False


def _open_nameless(directory: Path, mode: int) -> int | None:
    """Open a file without a name; None where that, or naming it later, is not possible."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(directory, flag | os.O_RDWR, mode)
    except OSError as error:
        # open(2): a kernel without O_TMPFILE answers EISDIR, a file system without it EOPNOTSUPP.
        if error.errno in {errno.EISDIR, errno.EOPNOTSUPP, errno.EINVAL}:
            return None
        raise


def _walk(
    directory: Path, spelled: str, prefix: str, above: tuple[Path, ...] = ()
) -> Iterator[Entry]:
    """Yield the files below `directory`, whose address is `spelled`; loops of links end."""
    real = directory.resolve()
    if real in above:
        return
    try:
        scanned = os.scandir(real)
    except (FileNotFoundError, NotADirectoryError):
        return
    with scanned as entries:
        for entry in entries:
            address = spelled + entry.name
            if is_partial(entry.name) or not address.startswith(prefix):
                continue
            found = _stat_of(entry)
            if found is None:
                continue
            if stat.S_ISDIR(found.st_mode):
                yield from _walk(Path(entry.path), f"{address}/", prefix, (*above, real))
            elif stat.S_ISREG(found.st_mode):
                yield Entry(address, found.st_size)


def _stat_of(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except (FileNotFoundError, NotADirectoryError):  # deleted since, or a link to nothing
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:  # a link to itself
            raise
        return None


def _path(address: str) -> Path:
    bare = address.removeprefix(_SCHEME)
    if not bare or "\0" in bare:
        raise ConfigError(f"{address!r}: not a path", hint="write the path of a file")
    if bare.endswith("/"):
        raise ConfigError(
            f"{address}: names a directory, not a file", hint="write the path of a file"
        )
    return Path(bare)


def _input(address: str) -> Path:
    """Return the path of an input; a file:// address may be percent-encoded, as URLs are."""
    path = _path(address)
    if "%" in address and address.startswith(_SCHEME) and not path.exists():
        decoded = _path(unquote(address))
        return decoded if decoded.exists() else path
    return path


def _folder(address: str) -> str:
    bare = address.removeprefix(_SCHEME)
    if not bare or "\0" in bare:
        raise ConfigError(f"{address!r}: not a path", hint="write the path of a directory")
    return bare


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # else opening a pipe waits for a writer


def _read_version(path: Path) -> str | None:
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(path, VERSION_ATTRIBUTE).decode(errors="replace")
    except OSError:  # none was written, or this file system has no such attributes
        return None


def _write_version(descriptor: int) -> None:
    """Note which tac wrote the file, where the file system has extended attributes."""
    if hasattr(os, "setxattr"):
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, VERSION_ATTRIBUTE, tac.__version__.encode())
