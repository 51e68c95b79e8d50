import os
from pathlib import Path

import pytest

from tac.errors import ConfigError
from tac.runners.docker.mounts import HostDirectories, Mount, check_private, find_mounts
from tac.settings import Settings
from tests.support.docker_mounts import STORE, find, here, mounted, refused

__all__ = ["here"]


@pytest.mark.parametrize(
    ("links", "argv"),
    [
        ({"store/a.csv": "b.csv", "store/b.csv": "sub/day.csv"}, "store/a.csv"),
        ({"store/a": "sub"}, "store/a/day.csv"),
        ({"store/a": "{here}/store/sub"}, "store/a/day.csv"),
        # These lead to nothing, which is the step's to say.
        ({"store/in.csv": "in.csv"}, "store/in.csv"),
        ({"store/in.csv": "../nothing"}, "store/in.csv"),
    ],
)
def test_a_link_that_stays_in_the_store_is_followed_by_the_container_itself(here, links, argv):
    Path("store/sub").mkdir(parents=True)
    Path("store/sub/day.csv").touch()
    for name, target in links.items():
        Path(name).symlink_to(target.format(here=here))

    assert mounted(here, argv) == ([f"./{argv}"], [*STORE])


@pytest.mark.parametrize(
    ("links", "argv", "place"),
    [
        ({"store/in.csv": "{here}/data/day.csv"}, "store/in.csv", "data/day.csv"),
        ({"store/in.csv": "../data/day.csv"}, "store/in.csv", "data/day.csv"),
        ({"store/sub": "../data"}, "store/sub/day.csv", "data/day.csv"),
        (
            {"store/in.csv": "../more.csv", "more.csv": "data/day.csv"},
            "store/in.csv",
            "more.csv",
        ),
        ({"store/a.csv": "b.csv", "store/b.csv": "../data/day.csv"}, "store/a.csv", "data/day.csv"),
        ({"store/in.csv": "../{etc}/passwd"}, "store/in.csv", "/etc/passwd"),
    ],
)
@pytest.mark.parametrize("output", ["", "store/x.csv"])
def test_what_a_link_in_the_store_leads_out_to_is_not_mounted(here, links, argv, place, output):
    Path("store").mkdir()
    for name, target in links.items():
        Path(name).symlink_to(target.format(here=here, etc="../" * 20 + "etc"))
    place = place if place.startswith("/") else f"{here}/{place}"

    assert refused(argv, output=output) == (
        f"{here}/{argv}: leads by a symbolic link to {place}, out of {here}/store, where steps may "
        "make links: it is not mounted",
        f"name {place} itself, or mount it into the store (`mount --bind`)",
    )


def test_no_output_is_written_where_a_link_in_the_store_leads(here):
    Path("store").mkdir()
    Path("store/big").symlink_to("../data")

    assert refused("store/big/new/x.csv", output="store/big/new/x.csv") == (
        f"{here}/store/big/new: leads by a symbolic link to {here}/data/new, out of {here}/store, "
        "where steps may make links: it is not mounted",
        f"name {here}/data/new itself, or mount it into the store (`mount --bind`)",
    )
    assert not Path("data/new").exists()


@pytest.mark.parametrize(
    ("argv", "output"), [("link/day.csv", ""), ("data/x.csv", "link/x.csv"), ("link/", "")]
)
def test_outside_the_store_a_link_is_followed_only_where_no_step_can_have_made_it(
    here, argv, output
):
    Path("link").symlink_to("data")
    Path("data/x.csv").touch()
    leads_to = f"{here}/data" + (f"/{argv[5:]}".rstrip("/") if argv.startswith("link/d") else "")

    assert refused(argv, output=output) == (
        f"{here}/link: is a symbolic link, and a step may have made it: it is not mounted",
        f"name what it leads to: {leads_to}",
    )


def test_a_link_in_a_directory_that_the_user_may_not_write_is_followed(here, monkeypatch):
    Path("link").symlink_to("data")
    monkeypatch.setattr(os, "access", lambda path, _: str(path) != here)

    _, mounts = find("link/day.csv")

    assert mounts[0] == Mount(f"{here}/data/day.csv", f"{here}/link/day.csv")


def test_a_store_that_is_a_link_is_what_it_was_when_the_settings_were_read(here):
    Path("real").mkdir()
    Path("link").symlink_to("real")
    settings = Settings(store="link")
    directories = HostDirectories("link", settings.store_directory, settings.log_directory)
    Path("link").unlink()
    Path("link").symlink_to("data")

    words, mounts = find_mounts(("python", "link/in.csv"), directories)

    assert words == ("python", f"{here}/link/in.csv")
    assert mounts == (
        Mount(f"{here}/real", f"{here}/link", writable=True),
        Mount(f"{here}/real/_tac", f"{here}/link/_tac"),
        Mount(f"{here}/real/_tac/logs", f"{here}/link/_tac/logs"),
    )
    assert not Path("data/_tac").exists()


@pytest.mark.parametrize(
    ("store", "logs", "output", "expected"),
    [
        ("store", "store/_tac/logs", "", [*STORE, ("./store/_tac/logs", "ro")]),
        ("store", "logs", "", [*STORE]),
        ("store", ".", "", [*STORE]),
        (
            "store",
            "store/a/logs",
            "",
            [STORE[0], STORE[1], ("./store/a", "rw"), ("./store/a/logs", "ro")],
        ),
        ("s3://b", "logs", "x.csv", [(".", "rw"), ("./logs", "ro")]),
        (
            "data/store",
            "logs",
            "x.csv",
            [
                (".", "rw"),
                ("./data", "rw"),
                ("./data/store", "rw"),
                ("./data/store/_tac", "ro"),
                ("./logs", "ro"),
            ],
        ),
    ],
)
def test_what_is_tacs_own_cannot_be_written_nor_moved_away(here, store, logs, output, expected):
    _, mounts = mounted(here, store=store, logs=Path(here) / logs, output=output)

    assert mounts == expected
    assert all(Path(target).is_dir() for target, _ in mounts)


@pytest.mark.parametrize(
    ("store", "logs", "output", "path"),
    [
        ("store", "logs", "store/_tac/x.csv", "store/_tac"),
        ("store", "logs", "store/_tac/memory/x.csv", "store/_tac/memory"),
        ("s3://b", "out", "out/x.csv", "out"),
        ("store", "store", "", "store"),
    ],
)
def test_a_step_that_would_write_beside_the_logs_is_refused(here, store, logs, output, path):
    assert refused(store=store, logs=Path(here) / logs, output=output) == (
        f"{here}/{path}: is reserved for tac, and a step would write its output there",
        "give the output another directory, or the logs (TAC_LOGS)",
    )


@pytest.mark.parametrize("name", ["store/_tac", "store/_tac/logs"])
def test_a_link_where_tacs_own_should_be_is_refused_and_nothing_is_made_behind_it(here, name):
    Path(name).parent.mkdir(parents=True)
    Path(name).symlink_to(f"{here}/data")

    assert refused(logs=Path(here) / "store/_tac/logs") == (
        f"{here}/{name}: is a symbolic link, and what a step may have made is not followed",
        f"`ls -l {here}/{name}` shows where it leads; remove it, or put there what it leads to",
    )
    assert [each.name for each in Path("data").iterdir()] == ["day.csv"]


def test_what_is_neither_a_file_nor_a_directory_is_not_mounted(here):
    os.mkfifo("pipe.csv")

    for name in ("pipe.csv", "./pipe.csv"):
        assert refused(name) == (
            f"{here}/pipe.csv: is a FIFO, and only files and directories can be mounted",
            "write its content to a file, and name that",
        )


def test_keys_are_not_kept_where_a_step_may_write(here):
    _, mounts = find(store="store")
    Path("store/tmp").mkdir()
    Path("link").symlink_to("store")

    check_private(Path(here), mounts)
    for name in ("store/tmp", "link/tmp"):
        with pytest.raises(ConfigError) as caught:
            check_private(Path(here) / name, mounts)
        assert (caught.value.message, caught.value.hint) == (
            f"{here}/{name}: is below {here}/store, which the step may write, and would hold "
            "S3's keys for its container",
            "set TMPDIR to another directory for temporary files",
        )
