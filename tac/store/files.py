"""A directory as a store: a file is written aside and linked into its place.

A link never replaces what stands there, so the first writer wins, between machines too.
Where the system can, the unfinished file has no name, and nothing of it is left even after
SIGKILL; elsewhere it is `.NAME.XXXX.partial` in the same directory, which no listing shows.

A file system without hard links (FAT, many of FUSE): the file is renamed into its place under a
lock on the directory. So the first writer wins among the processes of one machine; of two
machines that publish one address within the same instant the later file stands, whole, and both
believe that it is theirs.
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
from typing import TYPE_CHECKING, BinaryIO

import tac
from tac.errors import (
    AccessDenied,
    ConfigError,
    InputMissing,
    StorageError,
    StorageFull,
    StorageUnavailable,
    TacError,
)
from tac.limits import check_input_bytes
from tac.store import Draft, Entry, Stat, is_partial

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION_ATTRIBUTE = "user.tac.version"
"""The extended attribute that says which tac made a file, where the file system has such."""

_SCHEME = "file://"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_MALFORMED = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
_LATER = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EMFILE, errno.ENFILE}
# link(2): what file systems without hard links, or with too many to this file, answer.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


class Files:
    """The store of local paths."""

    def stat(self, address: str) -> Stat | None:
        """Return size, time and maker of a file; None when there is none."""
        path = _path(address)
        with _explaining(path):
            try:
                found = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            if stat.S_ISDIR(found.st_mode):
                raise _is_directory(path)
            modified = dt.datetime.fromtimestamp(found.st_mtime, dt.UTC)
            return Stat(found.st_size, modified, _read_version(path))

    def exists(self, address: str, *, fresh: bool = False) -> bool:  # noqa: ARG002 - always fresh
        """Tell whether there is a file at this address, now."""
        return self.stat(address) is not None

    def open(self, address: str, *, most_bytes: int | None = None) -> BinaryIO:
        """Open a file for reading."""
        path = _path(address)
        with _explaining(path):
            try:
                file = path.open("rb")
            except (FileNotFoundError, NotADirectoryError) as error:
                raise _missing(path) from error
            except IsADirectoryError as error:
                raise _is_directory(path) from error
            try:
                check_input_bytes(address, os.fstat(file.fileno()).st_size, most_bytes)
            except BaseException:
                file.close()
                raise
            return file

    @contextlib.contextmanager
    def create(self, address: str) -> Iterator[Draft]:
        """Write a file aside, and link it into its place when the block ends well."""
        path = _path(address)
        with _explaining(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise _is_directory(path)
            aside = _Aside(path)
        try:
            draft = Draft(aside.file)
            try:
                yield draft
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise _explained(error, path) from error
                raise
            with _explaining(path):
                draft.published = aside.publish()
        finally:
            aside.discard()

    def delete(self, address: str) -> bool:
        """Delete a file."""
        path = _path(address)
        with _explaining(path):
            if path.is_dir():
                raise _is_directory(path)
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    def is_folder(self, address: str) -> bool:
        """Tell whether there is a directory at this address."""
        path = _path(address.rstrip("/") or "/.")
        with _explaining(path):
            return path.is_dir()

    def list(self, prefix: str, *, most: int | None = None) -> Iterator[Entry]:
        """Yield the files below a directory, or those whose path starts with `prefix`."""
        folder = prefix[: prefix.rfind("/") + 1]
        root = Path(folder.removeprefix(_SCHEME) or ".")
        with _explaining(root):
            entries = itertools.islice(_walk(root, folder, prefix), most)
            found = sorted(entries, key=lambda entry: entry.address)
        yield from found


class _Aside:
    """A file that is being written, and has no name yet that anybody looks for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial: Path | None = None
        nameless = _open_nameless(path.parent)
        self._descriptor = self._open_partial() if nameless is None else nameless
        # The user's file has a descriptor of its own: a text wrapper that goes away closes what
        # it wraps.
        self.file: BinaryIO = os.fdopen(os.dup(self._descriptor), "w+b")

    def publish(self) -> bool:
        """Give the file its name; False when that name is taken."""
        if not self.file.closed:
            self.file.flush()
        _write_version(self._descriptor)
        # Else a crash of the machine may leave a name without contents. The directory needs no
        # fsync: a name that is lost with the power is an output that is made again.
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
        """Leave nothing behind but what was published."""
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
        return os.open(self._partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)

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
                f"{self._path}: a symbolic link to nothing stands in its place",
                hint=f"`ls -l {self._path}`, then remove it",
            )
        return False


def _open_nameless(directory: Path) -> int | None:
    """Open a file without a name; None where there is no such thing, or no way to name it later."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(directory, flag | os.O_RDWR, 0o666)
    except OSError as error:
        # open(2): kernels that do not know O_TMPFILE say EISDIR, file systems that do not say
        # EOPNOTSUPP.
        if error.errno in {errno.EISDIR, errno.EOPNOTSUPP, errno.EINVAL}:
            return None
        raise


def _walk(
    directory: Path, spelled: str, prefix: str, above: tuple[Path, ...] = ()
) -> Iterator[Entry]:
    """Yield the files below `directory`, whose address is `spelled`; a loop of links ends."""
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
            if entry.is_dir():
                yield from _walk(Path(entry.path), f"{address}/", prefix, (*above, real))
                continue
            with contextlib.suppress(FileNotFoundError):  # deleted since, or a link to nothing
                yield Entry(address, entry.stat().st_size)


def _path(address: str) -> Path:
    bare = address.removeprefix(_SCHEME)
    if not bare or "\0" in bare:
        raise ConfigError(f"{address!r}: not a path", hint="write the path of a file")
    if bare.endswith("/"):
        raise ConfigError(
            f"{address}: names a directory, not a file", hint="write the path of a file"
        )
    return Path(bare)


def _read_version(path: Path) -> str | None:
    if not hasattr(os, "getxattr"):
        return None
    try:
        return os.getxattr(path, VERSION_ATTRIBUTE).decode(errors="replace")
    except OSError:  # none was written, or this file system has no such attributes
        return None


def _write_version(descriptor: int) -> None:
    """Note who made the file: a courtesy to the reader, and not every file system can."""
    if hasattr(os, "setxattr"):
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, VERSION_ATTRIBUTE, tac.__version__.encode())


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _explained(error, path) from error


def _explained(error: OSError, path: Path) -> TacError:
    said = os.strerror(error.errno or 0)
    folder = path.absolute().parent
    if error.errno in _NO_ROOM:
        hint = (
            "`ulimit -f` shows the limit"
            if error.errno == errno.EFBIG
            else f"make room: `df -h {folder}`"
        )
        return StorageFull(f"{path}: no room for it: {said}", hint=hint)
    if error.errno in _DENIED:
        return AccessDenied(
            f"{path}: access denied for user {os.geteuid()}: {said}",
            hint=f"`ls -ld {folder} {path}`",
        )
    if error.errno in _LATER:
        return StorageUnavailable(
            f"{path}: the file system did not answer: {said}", hint="try again later"
        )
    if error.errno in _MALFORMED:
        return ConfigError(f"{path}: not a usable path: {said}")
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return StorageError(
            f"{path}: a part of its path is a file, not a directory", hint=f"`ls -ld {folder}`"
        )
    return StorageError(f"{path}: {said}", hint=f"`ls -ld {folder}`")


def _missing(path: Path) -> InputMissing:
    folder = path.absolute().parent
    if not folder.is_dir():
        return InputMissing(
            f"{path}: there is no such file, nor its directory {folder}", hint="make it first"
        )
    return InputMissing(
        f"{path}: there is no such file", hint=f"make it first; `ls {folder}` shows what is there"
    )


def _is_directory(path: Path) -> StorageError:
    return StorageError(f"{path}: a directory stands where the file should be", hint=f"`ls {path}`")
