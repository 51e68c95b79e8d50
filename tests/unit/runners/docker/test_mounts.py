from pathlib import Path

import pytest

from tac.runners.docker.mounts import Mount
from tests.support.docker_mounts import STORE, here, mounted, refused

__all__ = ["here"]

LONG = "x" * 300
"""No file has so long a name."""


@pytest.mark.parametrize(
    ("argv", "words", "mounts"),
    [
        (["store/a.parquet"], ["./store/a.parquet"], [*STORE]),
        (["store/a/{date}.parquet"], ["./store/a/{date}.parquet"], [*STORE]),
        (["data/day.csv"], ["./data/day.csv"], [("./data/day.csv", "ro"), *STORE]),
        (["../" + "x", "data/no.csv"], ["../x", "data/no.csv"], [*STORE]),
        (["data/{date}.csv"], ["./data/{date}.csv"], [("./data", "ro"), *STORE]),
        (["data/day.csv", "data/"], ["./data/day.csv", "./data/"], [("./data", "ro"), *STORE]),
        (["beside.csv"], ["./beside.csv"], [("./beside.csv", "ro"), *STORE]),
        (["--model", "logistic"], ["--model", "logistic"], [*STORE]),
        (["--in=data/day.csv"], ["--in=./data/day.csv"], [("./data/day.csv", "ro"), *STORE]),
        (["-x", "-", "", "2023-03-01"], ["-x", "-", "", "2023-03-01"], [*STORE]),
        (["s3://data/day.csv"], ["s3://data/day.csv"], [*STORE]),
        (["https://x/{date:%Y}.csv"], ["https://x/{date:%Y}.csv"], [*STORE]),
        (["file://data/day.csv"], ["file://./data/day.csv"], [("./data/day.csv", "ro"), *STORE]),
        (["file://no/{date}.csv"], ["file://./no/{date}.csv"], [*STORE]),
        (["store/parts/"], ["./store/parts/"], [*STORE]),
        (["file://data/"], ["file://./data/"], [("./data", "ro"), *STORE]),
        (["/etc/passwd", "/"], ["/etc/passwd", "/"], [*STORE]),
        ([f"SELECT a/b {LONG}"], [f"SELECT a/b {LONG}"], [*STORE]),
        ([f"It ends. {LONG}"], [f"It ends. {LONG}"], [*STORE]),
        ([f"store/{LONG}"], [f"./store/{LONG}"], [*STORE]),
    ],
)
def test_what_a_command_names_is_where_it_is_here(here, argv, words, mounts):
    assert mounted(here, *argv) == (words, mounts)


def test_a_url_of_a_file_may_be_percent_encoded(here):
    Path("my data").mkdir()
    words = ["file://my%20data/{date}.csv", "file://no%20data/day.csv"]

    assert mounted(here, *words) == (
        ["file://./my%20data/{date}.csv", "file://./no%20data/day.csv"],
        [("./my data", "ro"), *STORE],
    )


def test_the_directory_of_an_output_outside_the_store_is_made_and_may_be_written(here):
    words, mounts = mounted(here, "out/x.csv", "data/day.csv", output="out/x.csv")

    assert words == ["./out/x.csv", "./data/day.csv"]
    assert mounts == [("./data/day.csv", "ro"), ("./out", "rw"), *STORE]
    assert Path("out").is_dir()


def test_a_store_on_s3_needs_no_mount(here):
    assert mounted(here, "s3://b/x.csv", store="s3://b", output="s3://b/x.csv") == (
        ["s3://b/x.csv"],
        [],
    )


def test_what_may_be_written_is_not_hidden_by_what_may_be_read(here):
    _, mounts = mounted(here, "data/", store="data/store")

    assert mounts == [("./data", "ro"), ("./data/store", "rw"), ("./data/store/_tac", "ro")]


@pytest.mark.parametrize("path", ["/etc/tac", "/usr/share/x", "/", "/tmp", "/opt"])
@pytest.mark.parametrize("kind", ["store", "output"])
def test_what_would_hide_files_of_the_image_is_refused(here, path, kind):
    where = {"store": path} if kind == "store" else {"output": f"{path}/x"}

    assert refused(**{"store": "s3://b", **where}) == (
        f"{path}: cannot be mounted into a container, whose own files it would hide",
        "keep the store and its inputs in a directory of their own",
    )


def test_a_store_that_cannot_be_made_is_an_error(here):
    assert refused(store="beside.csv") == (
        f"{here}/beside.csv: cannot be created: File exists",
        f"`ls -ld {here}`",
    )


def test_a_mount_is_in_the_same_place_by_default():
    assert Mount.same(Path("/s"), writable=True) == Mount("/s", "/s", writable=True)
