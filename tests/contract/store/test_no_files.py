"""Pipes, devices and sockets in a file's place: refused at once, by every door."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tac.errors import StorageError
from tac.store import store_of
from tac.target import StoreFileSystem, StoreTarget
from tests.support.homes import FilesHome, publish, read, start_python

FS = StoreFileSystem()


@pytest.fixture
def make(files_home: FilesHome) -> Iterator[Callable[[str], Path]]:
    """Make something at a path that is no file."""
    listener = socket.socket(socket.AF_UNIX)
    path = files_home.folder / "x"

    def make(kind: str) -> Path:
        if kind == "FIFO":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(str(path))
        elif kind == "device":
            path.symlink_to("/dev/zero")  # to make one takes root; a link is as good
        else:
            os.mkfifo(files_home.folder / "pipe")
            path.symlink_to("pipe")
        return path

    with listener:
        yield make


KINDS = {"FIFO": "FIFO", "socket": "socket", "device": "device", "link": "FIFO"}
DOORS: dict[str, Callable[[str], object]] = {
    "open": read,
    "stat": lambda address: store_of(address).stat(address),
    "exists": lambda address: store_of(address).exists(address, fresh=True),
    "create": lambda address: publish(address, b"1"),
    "target's open": lambda address: StoreTarget(address).open("r"),
    "target's exists": lambda address: StoreTarget(address).exists(),
    "copy": lambda address: FS.copy(address, f"{address}-copied"),
    "move": lambda address: FS.move(address, f"{address}-moved"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_and_not_waited_for(
    make: Callable[[str], Path], kind: str, door: str
):
    path = make(kind)

    with pytest.raises(StorageError) as raised:
        DOORS[door](str(path))

    assert (raised.value.message, raised.value.hint, raised.value.exit_code) == (
        f"{path}: is a {KINDS[kind]}, not a file",
        f"`ls -l {path}`",
        2,
    )
    assert os.path.lexists(path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_nothing_in_a_folder(
    files_home: FilesHome, make: Callable[[str], Path], kind: str
):
    make(kind)
    assert not StoreTarget(files_home.address("")).exists()
    publish(files_home.address("a"), b"1")

    assert list(FS.listdir(files_home.address(""))) == [files_home.address("a")]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_can_be_removed_by_its_name(make: Callable[[str], Path], kind: str):
    path = make(kind)

    assert FS.remove(str(path))
    assert not os.path.lexists(path)


SWAPPED = """
import os, sys
from tac.errors import StorageError
from tac.store import store_of
path = sys.argv[1]
def swap(name, arguments):
    if name == "open" and arguments[0] == path and not os.path.lexists(f"{path}-was"):
        os.rename(path, f"{path}-was")
        os.mkfifo(path)
sys.addaudithook(swap)
try:
    store_of(path).open(path)
except StorageError as error:
    print(error.message)
"""


def test_a_file_that_became_a_pipe_is_not_waited_for(files_home: FilesHome):
    publish(files_home.address("a"), b"1")

    process = start_python(SWAPPED, files_home.address("a"), environment={})
    out, err = process.communicate(timeout=20)

    assert (out, err) == (
        f"{files_home.address('a')}: is a FIFO, not a file\n",
        "",
    )


def test_a_step_refuses_a_pipe_as_its_input(tmp_path: Path):
    os.mkfifo(tmp_path / "day.csv")
    code = "import runpy; runpy.run_module('tac.fetch', run_name='__main__', alter_sys=True)"
    words = ("--date", "2023-03-01", "--source", f"file://{tmp_path}/day.csv")

    process = start_python(code, f"{tmp_path}/out.csv", *words, environment={})
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err.splitlines()) == (
        2,
        "",
        [
            f"Error: {tmp_path}/day.csv: is a FIFO, not a file",
            f"Hint: `ls -l {tmp_path}/day.csv`",
        ],
    )
