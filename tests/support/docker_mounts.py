"""What a container would be given of a directory with some data, for tests that start none."""

import pytest

from tac.errors import ConfigError
from tac.runners.docker.mounts import HostDirectories, find_mounts
from tac.settings import Settings


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "day.csv").write_text("")
    (tmp_path / "beside.csv").write_text("")
    (tmp_path / "logistic").write_text("")
    return str(tmp_path)


def find(*argv, store="store", output="", logs=None):
    """The arguments and the mounts of a command, with settings that were read just now."""
    found = Settings(store=store)
    return find_mounts(
        ("python", *argv), HostDirectories(store, found.store_directory, logs), output=output
    )


def mounted(here, *argv, **more):
    """The arguments and the mounts, with the directory written as `.`."""
    words, mounts = find(*argv, **more)
    return (
        [word.replace(here, ".") for word in words[1:]],
        [(each.target.replace(here, "."), "rw" if each.writable else "ro") for each in mounts],
    )


def refused(*argv, **more):
    """The message and the hint of what is not mounted."""
    with pytest.raises(ConfigError) as caught:
        find(*argv, **more)
    return caught.value.message, caught.value.hint


STORE = (("./store", "rw"), ("./store/_tac", "ro"))
