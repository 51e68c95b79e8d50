import os
import stat
import threading
from pathlib import Path

import pytest

from tac.errors import ConfigError
from tac.real_path import kind, open_directory, open_file

WRITE = os.O_RDWR | os.O_APPEND | os.O_CREAT
LINK = "is a symbolic link, and what a step may have made is not followed"


def put(path: Path, what: str) -> None:
    """Let something stand at a path that is not what is looked for there."""
    if what == "a directory":
        path.mkdir()
    elif what == "a FIFO":
        os.mkfifo(path)
    elif what == "a file":
        path.write_text("kept")
    else:
        path.symlink_to(what)


@pytest.fixture
def here(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "secret").write_text("kept")
    yield tmp_path
    assert (tmp_path / "secret").read_text() == "kept"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("what", ["../../secret", "../../none", "../../elsewhere", "x.log"])
def test_a_link_in_place_of_a_file_is_refused_wherever_it_leads(here, what):
    path = here / "a" / "b" / "x.log"
    path.parent.mkdir(parents=True)
    put(path, what)

    with pytest.raises(ConfigError) as caught:
        open_file(path, WRITE)

    assert (caught.value.message, caught.value.hint) == (
        f"{path}: {LINK}",
        f"`ls -l {path}` shows where it leads; remove it, or put there what it leads to",
    )
    assert not (here / "none").exists()


@pytest.mark.parametrize("part", ["a", "a/b"])
def test_a_link_in_place_of_a_directory_is_refused(here, part):
    path = here / "a" / "b" / "x.log"
    (here / part).parent.mkdir(exist_ok=True)
    (here / part).symlink_to(here / "elsewhere")

    with pytest.raises(ConfigError) as caught:
        open_file(path, WRITE)

    assert caught.value.message == f"{here / part}: {LINK}"


@pytest.mark.parametrize("what", ["a directory", "a FIFO", "a device"])
def test_what_is_no_file_is_refused_without_blocking(here, what):
    path = Path(os.devnull) if what == "a device" else here / "x.log"
    if what != "a device":
        put(path, what)

    with pytest.raises(ConfigError) as caught:
        open_file(path, WRITE)

    assert (caught.value.message, caught.value.hint) == (
        f"{path}: is {what}, not a file",
        f"`ls -ld {path}`, then remove it or move it",
    )


@pytest.mark.parametrize("flags", [WRITE, os.O_RDONLY, os.O_WRONLY | os.O_APPEND])
def test_a_fifo_is_refused_even_while_it_is_open_for_reading_and_writing(here, flags):
    path = here / "x.log"
    os.mkfifo(path)
    other_end = os.open(path, os.O_RDWR)

    try:
        with pytest.raises(ConfigError, match="is a FIFO, not a file"):
            open_file(path, flags)
    finally:
        os.close(other_end)


@pytest.mark.parametrize("what", ["a file", "a FIFO"])
def test_what_is_no_directory_is_named(here, what):
    put(here / "a", what)

    with pytest.raises(ConfigError) as caught:
        open_file(here / "a" / "x.log", WRITE)

    assert caught.value.message == f"{here / 'a'}: is {what}, not a directory"


def test_an_ordinary_file_is_made_with_its_directories_and_opened_again(here):
    path = here / "a" / "b" / "x.log"

    for _ in range(2):
        descriptor = open_file(path, WRITE)
        os.write(descriptor, b"so\n")
        os.close(descriptor)

    assert path.read_text() == "so\nso\n"


def test_what_is_not_there_is_not_made_unless_asked(here):
    for path in (here / "x.log", here / "a" / "x.log"):
        with pytest.raises(FileNotFoundError):
            open_file(path, os.O_RDONLY)
    with pytest.raises(FileNotFoundError) as caught:
        open_directory(here / "a")

    assert caught.value.filename == str(here / "a")
    assert not (here / "a").exists()


def test_a_directory_that_several_make_at_once_is_one(here):
    together = threading.Barrier(8)
    opened: list[os.stat_result] = []

    def make() -> None:
        together.wait(10)
        descriptor = open_directory(here / "a" / "b" / "c", make=True)
        opened.append(os.fstat(descriptor))
        os.close(descriptor)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)

    assert len(opened) == 8
    assert len({(each.st_dev, each.st_ino) for each in opened}) == 1


def test_no_descriptor_is_left_open(here):
    put(here / "x.log", "a FIFO")
    put(here / "link", "elsewhere")
    before = len(list(Path("/proc/self/fd").iterdir()))

    for path in (here / "x.log", here / "link" / "x.log", here / "link"):
        with pytest.raises(ConfigError):
            open_file(path, WRITE)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (stat.S_IFREG, "a file"),
        (stat.S_IFSOCK | 0o777, "a socket"),
        (stat.S_IFBLK, "a device"),
        (0o170000, "something else"),
    ],
)
def test_every_kind_of_file_has_a_name(mode, expected):
    assert kind(mode) == expected
