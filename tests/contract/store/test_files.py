"""Directories with what goes wrong in them."""

import os
import resource
import stat
from pathlib import Path

import pytest

from tac.errors import (
    AccessDenied,
    ConfigError,
    InputMissing,
    StorageError,
    StorageFull,
    TacError,
)
from tac.store import files, store_of
from tests.support.homes import FilesHome, publish, read, start_python

NOBODY = 65534

TELL = """
import os, sys
from tac.errors import TacError
from tac.store import files, store_of
def publish(address):
    with store_of(address).create(address) as draft:
        for _ in range(100):
            draft.file.write(bytes(100_000))
calls = {"stat": lambda a: store_of(a).stat(a), "open": lambda a: store_of(a).open(a),
         "exists": lambda a: store_of(a).exists(a), "create": publish,
         "list": lambda a: list(store_of(a).list(a))}
if os.geteuid() == 0 and sys.argv[3:]:  # nothing is locked for root
    os.setgroups([])
    os.setgid(int(sys.argv[3]))
    os.setuid(int(sys.argv[3]))
try:
    calls[sys.argv[1]](sys.argv[2])
except TacError as error:
    print(type(error).__name__, error.message, error.hint, sep="\\n")
"""


def told(verb: str, address: str, *user: str, **more) -> list[str]:
    """The error of another process, with other limits or rights."""
    process = start_python(TELL, verb, address, *user, environment={}, **more)
    out, err = process.communicate(timeout=60)
    assert err == ""
    return str(out).splitlines()


def failure_of(error: pytest.ExceptionInfo[TacError]) -> tuple[str, str | None]:
    return error.value.message, error.value.hint


def test_the_error_of_a_missing_file_has_its_path(tmp_path: Path):
    with pytest.raises(InputMissing) as error:
        read(f"{tmp_path}/a")
    assert failure_of(error) == (
        f"{tmp_path}/a: no such file",
        f"make it first; `ls {tmp_path}` shows what exists",
    )

    with pytest.raises(InputMissing) as error:
        read(f"{tmp_path}/d/a")
    assert failure_of(error) == (
        f"{tmp_path}/d/a: no such file, and no directory {tmp_path}/d",
        "make it first",
    )


def test_relative_paths_are_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    publish("d/a", b"1")
    publish("b", b"2")

    assert [entry.address for entry in store_of("d/").list("d/")] == ["d/a"]
    assert [entry.address for entry in store_of("b").list("b")] == ["b"]
    assert read("file://" + str(tmp_path / "d/a")) == b"1"


def test_a_directory_is_not_a_file(tmp_path: Path):
    for ask in (read, store_of("a").stat, store_of("a").delete, lambda a: publish(a, b"")):
        with pytest.raises(StorageError) as error:
            ask(str(tmp_path))
        assert failure_of(error) == (
            f"{tmp_path}: is a directory, not a file",
            f"`ls {tmp_path}`",
        )


def test_a_file_is_not_a_directory(tmp_path: Path):
    publish(f"{tmp_path}/a", b"1")

    assert store_of("a").stat(f"{tmp_path}/a/b") is None
    for key in ("a/b", "a/b/c"):
        with pytest.raises(StorageError) as error:
            publish(f"{tmp_path}/{key}", b"2")
        assert error.value.message == (
            f"{tmp_path}/{key}: a part of its path is a file, not a directory"
        )


def test_a_link_to_nothing_is_named(tmp_path: Path):
    (tmp_path / "a").symlink_to(tmp_path / "nothing")

    with pytest.raises(StorageError) as error:
        publish(f"{tmp_path}/a", b"1")
    assert failure_of(error) == (
        f"{tmp_path}/a: is a broken symbolic link",
        f"`ls -l {tmp_path}/a`, then remove it",
    )


def test_a_listing_follows_links_to_directories_and_ends(files_home: FilesHome):
    publish(files_home.address("real/1"), b"")
    (files_home.folder / "linked").symlink_to(files_home.folder / "real")
    (files_home.folder / "real/up").symlink_to(files_home.folder)

    addresses = [entry.address for entry in store_of("a").list(files_home.address(""))]
    assert addresses == [files_home.address(key) for key in ("linked/1", "real/1")]


def test_an_output_has_the_rights_that_the_umask_leaves(tmp_path: Path):
    publish(f"{tmp_path}/a", b"")
    umask = os.umask(0)
    os.umask(umask)

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


def test_a_file_that_may_not_grow_is_a_store_without_room(files_home: FilesHome):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    address = files_home.address("a")
    assert told("create", address, preexec_fn=limit) == [
        "StorageFull",
        f"{address}: could not be written: File too large",
        "`ulimit -f` shows the limit",
    ]
    assert files_home.contents() == {}


def test_a_full_disk_is_a_store_without_room(files_home: FilesHome):
    # The kernel's own full device stands for the disk: every write to it is refused.
    with (
        pytest.raises(StorageFull) as error,
        store_of("a").create(files_home.address("a")),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"1")

    assert failure_of(error) == (
        f"{files_home.address('a')}: could not be written: No space left on device",
        f"free disk space: `df -h {files_home.folder}`",
    )
    assert files_home.contents() == {}


@pytest.mark.parametrize("verb", ["stat", "exists", "open", "create", "list"])
def test_what_may_not_be_seen_is_not_absent(tmp_path: Path, verb: str):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)
    number = os.geteuid() or NOBODY
    address = f"{locked}/" if verb == "list" else f"{locked}/a"

    kind, message, hint = told(verb, address, str(number))

    shown = address.rstrip("/")
    assert kind == "AccessDenied"
    assert message == f"{shown}: access denied for user {number}: Permission denied"
    assert hint == f"`ls -ld {Path(shown).parent} {shown}`"


def test_what_may_not_be_made_says_so(tmp_path: Path):
    # No user, not even root, may create a file there.
    with pytest.raises((AccessDenied, StorageError)) as error:
        publish("/sys/tac", b"")
    assert error.value.message.startswith("/sys/tac: ")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "'': not a path"),
        ("a\0b", "'a\\x00b': not a path"),
        ("d/", "d/: names a directory, not a file"),
        ("a" * 256, f"{'a' * 256}: not a usable path: File name too long"),
        ("gs://a/b", "'gs://a/b': there is no store for gs:// addresses"),
    ],
)
def test_what_cannot_be_a_path_is_refused(address: str, message: str):
    with pytest.raises(ConfigError) as error:
        store_of(address).stat(address)
    assert error.value.message == message


@pytest.mark.parametrize("nameless", [True, False])
def test_a_private_file_is_its_owners_alone_from_its_first_byte(tmp_path, monkeypatch, nameless):
    if not nameless:
        monkeypatch.setattr(files, "_open_nameless", lambda *_: None)
    before = os.umask(0)
    try:
        with store_of(str(tmp_path)).create(f"{tmp_path}/private", private=True) as draft:
            meanwhile = os.fstat(draft.file.fileno()).st_mode
            draft.file.write(b"x")
        with store_of(str(tmp_path)).create(f"{tmp_path}/open") as draft:
            draft.file.write(b"x")
    finally:
        os.umask(before)

    modes = [meanwhile, *((tmp_path / name).stat().st_mode for name in ("private", "open"))]
    assert [oct(mode & 0o777) for mode in modes] == ["0o600", "0o600", "0o666"]
