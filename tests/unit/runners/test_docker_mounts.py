from pathlib import Path

import pytest

from tac.errors import ConfigError
from tac.runners.docker.mounts import Mount, find_mounts


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "day.csv").write_text("")
    (tmp_path / "beside.csv").write_text("")
    (tmp_path / "logistic").write_text("")
    return str(tmp_path)


def mounted(here, *argv, store="store", output=""):
    """The words and the mounts, with the directory written as `.`."""
    words, mounts = find_mounts(("python", *argv), store=store, output=output)
    return (
        [word.replace(here, ".") for word in words[1:]],
        [(each.target.replace(here, "."), "rw" if each.writable else "ro") for each in mounts],
    )


STORE = ("./store", "rw")
LONG = "x" * 300
"""No file has so long a name."""


@pytest.mark.parametrize(
    ("argv", "words", "mounts"),
    [
        (["store/a.parquet"], ["./store/a.parquet"], [STORE]),
        (["store/a/{date}.parquet"], ["./store/a/{date}.parquet"], [STORE]),
        (["data/day.csv"], ["./data/day.csv"], [("./data/day.csv", "ro"), STORE]),
        (["../" + "x", "data/no.csv"], ["../x", "data/no.csv"], [STORE]),
        (["data/{date}.csv"], ["./data/{date}.csv"], [("./data", "ro"), STORE]),
        (["data/day.csv", "data/"], ["./data/day.csv", "./data/"], [("./data", "ro"), STORE]),
        (["beside.csv"], ["./beside.csv"], [("./beside.csv", "ro"), STORE]),
        (["--model", "logistic"], ["--model", "logistic"], [STORE]),
        (["--in=data/day.csv"], ["--in=./data/day.csv"], [("./data/day.csv", "ro"), STORE]),
        (["-x", "-", "", "2023-03-01"], ["-x", "-", "", "2023-03-01"], [STORE]),
        (["s3://data/day.csv"], ["s3://data/day.csv"], [STORE]),
        (["https://x/{date:%Y}.csv"], ["https://x/{date:%Y}.csv"], [STORE]),
        (["file://data/day.csv"], ["file://./data/day.csv"], [("./data/day.csv", "ro"), STORE]),
        (["file://no/{date}.csv"], ["file://./no/{date}.csv"], [STORE]),
        (["store/parts/"], ["./store/parts/"], [STORE]),
        (["file://data/"], ["file://./data/"], [("./data", "ro"), STORE]),
        (["/etc/passwd", "/"], ["/etc/passwd", "/"], [STORE]),
        ([f"SELECT a/b {LONG}"], [f"SELECT a/b {LONG}"], [STORE]),
        ([f"It ends. {LONG}"], [f"It ends. {LONG}"], [STORE]),
        ([f"store/{LONG}"], [f"./store/{LONG}"], [STORE]),
    ],
)
def test_what_a_command_names_is_where_it_is_here(here, argv, words, mounts):
    assert mounted(here, *argv) == (words, mounts)


def test_the_directory_of_an_output_outside_the_store_is_made_and_may_be_written(here):
    words, mounts = mounted(here, "out/x.csv", "data/day.csv", output="out/x.csv")

    assert words == ["./out/x.csv", "./data/day.csv"]
    assert mounts == [("./data/day.csv", "ro"), ("./out", "rw"), STORE]
    assert Path("out").is_dir()


def test_a_store_on_s3_needs_no_mount(here):
    assert mounted(here, "s3://b/x.csv", store="s3://b", output="s3://b/x.csv") == (
        ["s3://b/x.csv"],
        [],
    )


def test_what_may_be_written_is_not_hidden_by_what_may_be_read(here):
    _, mounts = mounted(here, "data/", store="data/store")

    assert mounts == [("./data", "ro"), ("./data/store", "rw")]


@pytest.mark.parametrize(
    ("links", "argv", "expected"),
    [
        ({"store/in.csv": "{here}/data/day.csv"}, "store/in.csv", [("./data/day.csv", "ro")]),
        ({"store/in.csv": "../data/day.csv"}, "store/in.csv", [("./data/day.csv", "ro")]),
        ({"store/sub": "../data"}, "store/sub/day.csv", [("./data/day.csv", "ro")]),
        # What lies behind the first link outside, the engine finds itself.
        (
            {"store/in.csv": "../more.csv", "more.csv": "data/day.csv"},
            "store/in.csv",
            [("./more.csv", "ro")],
        ),
        (
            {"store/a.csv": "b.csv", "store/b.csv": "../data/day.csv"},
            "store/a.csv",
            [("./data/day.csv", "ro")],
        ),
        ({"store/in.csv": "in.csv"}, "store/in.csv", []),
        ({"store/in.csv": "../nothing"}, "store/in.csv", []),
        ({"store/in.csv": "/etc/passwd"}, "store/in.csv", []),
    ],
)
def test_what_a_link_in_the_store_leads_to_is_there_too(here, links, argv, expected):
    Path("store").mkdir()
    for name, target in links.items():
        Path(name).symlink_to(target.format(here=here))

    words, mounts = mounted(here, argv)

    assert (words, mounts) == ([f"./{argv}"], [*expected, STORE])


def test_an_output_may_be_written_where_a_link_in_the_store_leads(here):
    Path("store").mkdir()
    Path("store/big").symlink_to("../data")

    _, mounts = mounted(here, "store/big/x.csv", output="store/big/x.csv")

    assert mounts == [("./data", "rw"), STORE]


@pytest.mark.parametrize("link", ["store", "input"])
def test_a_link_that_is_mounted_itself_needs_no_more(here, link):
    Path("real").mkdir()
    Path("link").symlink_to("real")
    Path("link/in.csv").touch()
    store = "link" if link == "store" else "store"

    _, mounts = mounted(here, "link/in.csv", store=store)

    expected = {
        "store": [("./link", "rw")],
        "input": [("./link/in.csv", "ro"), STORE],
    }
    assert mounts == expected[link]


@pytest.mark.parametrize("path", ["/etc/tac", "/usr/share/x", "/", "/tmp", "/opt"])
@pytest.mark.parametrize("kind", ["store", "output"])
def test_what_would_hide_files_of_the_image_is_refused(here, path, kind):
    where = {"store": path} if kind == "store" else {"output": f"{path}/x"}

    with pytest.raises(ConfigError) as caught:
        find_mounts(("python",), **{"store": "s3://b", **where})

    assert (caught.value.message, caught.value.hint) == (
        f"{path}: cannot be mounted into a container, whose own files it would hide",
        "keep the store and its inputs in a directory of their own",
    )


def test_a_store_that_cannot_be_made_is_an_error(here):
    with pytest.raises(ConfigError) as caught:
        find_mounts(("python",), store="beside.csv")

    assert (caught.value.message, caught.value.hint) == (
        f"{here}/beside.csv: cannot be made: File exists",
        f"`ls -ld {here}`",
    )


def test_a_mount_is_in_the_same_place_by_default():
    assert Mount.same(Path("/s"), writable=True) == Mount("/s", "/s", writable=True)
