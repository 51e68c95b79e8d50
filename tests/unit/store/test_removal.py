"""What is never removed: every spelling is a row, and nothing is removed to find out."""

import pytest

from tac.errors import ConfigError
from tac.store.files_removal import parse_mounts
from tac.store.removal import Protected, require_removable
from tac.store.s3_client import location_of
from tac.store.s3_delete import parts_of

FILES = [
    Protected(("/",), "/", "the root directory"),
    Protected(("/", "home", "me"), "/home/me", "the home directory"),
    Protected(("/", "data", "store"), "/data/store", "the root of the store"),
    Protected(("/",), "/", "a mount point"),
    Protected(("/", "mnt", "disk"), "/mnt/disk", "a mount point"),
]
S3 = [
    Protected(("bucket",), "s3://bucket/", "the root of a bucket"),
    Protected(("bucket", "team", "store"), "s3://bucket/team/store", "the root of the store"),
]


def refusal(
    address: str, parts: tuple[str, ...], protected: list[Protected]
) -> tuple[str, str | None]:
    with pytest.raises(ConfigError) as raised:
        require_removable(address, parts, protected, listing="ls it")
    return raised.value.message, raised.value.hint


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (("/",), "is the root directory"),
        (("/", "home"), "holds the home directory, /home/me"),
        (("/", "home", "me"), "is the home directory"),
        (("/", "data"), "holds the root of the store, /data/store"),
        (("/", "data", "store"), "is the root of the store"),
        (("/", "mnt"), "holds a mount point, /mnt/disk"),
        (("/", "mnt", "disk"), "is a mount point"),
    ],
)
def test_what_is_kept_and_what_holds_it_is_refused(parts: tuple[str, ...], why: str):
    assert refusal("spelled", parts, FILES) == (
        f"spelled: {why}, which is never removed",
        "name what to remove in it: `ls it` lists it",
    )


@pytest.mark.parametrize(
    "parts",
    [
        ("/", "home", "me", "store"),
        ("/", "home", "m"),
        ("/", "home", "me2"),
        ("/", "data", "store", "flights"),
        ("/", "data", "store2"),
        ("/", "mnt", "disk", "a"),
        ("/", "tmp"),
    ],
)
def test_what_is_beside_or_below_may_go(parts: tuple[str, ...]):
    require_removable("spelled", parts, FILES, listing="ls it")


@pytest.mark.parametrize("address", ["d/.", "d/..", "d/../", ".", "..", "./", "../..", "/a/.//"])
def test_what_is_not_named_is_refused(address: str):
    dots = address.rstrip("/").rpartition("/")[2]
    assert refusal(address, ("/", "tmp", "d"), FILES) == (
        f"{address}: ends in {dots!r}: only what is named is removed",
        "name what to remove: `ls it` lists it",
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("s3://bucket", "is the root of a bucket"),
        ("s3://bucket/", "is the root of a bucket"),
        ("s3://bucket//", "is the root of a bucket"),
        ("s3://bucket/.", "is the root of a bucket"),
        ("s3://bucket/team/..", "is the root of a bucket"),
        ("s3://bucket/../..", "is the root of a bucket"),
        ("s3://bucket/team", "holds the root of the store, s3://bucket/team/store"),
        ("s3://bucket//team//", "holds the root of the store, s3://bucket/team/store"),
        ("s3://bucket/team/store", "is the root of the store"),
        ("s3://bucket/team//store/", "is the root of the store"),
        ("s3://bucket/x/../team/store", "is the root of the store"),
        ("s3://bucket/team/store/d/..", "is the root of the store"),
    ],
)
def test_a_root_on_s3_is_refused_however_it_is_spelled(address: str, why: str):
    message, _ = refusal(address, parts_of(location_of(address, prefix=True)), S3)
    assert message == f"{address}: {why}, which is never removed"


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/team/store/d/", "s3://bucket/team/store2", "s3://bucket/tea", "s3://bucket/a/b"],
)
def test_folders_on_s3_may_go(address: str):
    require_removable(address, parts_of(location_of(address, prefix=True)), S3, listing="ls it")


def test_mount_points_are_read_as_the_kernel_writes_them():
    # Shortened lines of a real /proc/self/mountinfo; the second was mounted at '/mnt/a b\\c'.
    table = (
        b"21 1 254:1 / / rw,relatime - ext4 /dev/root rw\n"
        rb"40 21 0:36 / /mnt/a\040b\134c rw,relatime shared:1 - tmpfs tmpfs rw" + b"\n"
        b"41 21 254:1 /srv/x /srv/b\xc3\xbccher ro - ext4 /dev/root rw\n"
    )

    assert parse_mounts(table) == ["/", "/mnt/a b\\c", "/srv/bücher"]
