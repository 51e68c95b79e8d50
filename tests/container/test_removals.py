"""Removing `/`, homes and mount points, where nothing can be lost: in a container of its own.

A tac that does remove them takes the container apart, and nothing else.
"""

import json
from typing import Any

import pytest

from tests.support.engine import Engine

END_SECONDS = 60

# It tries to remove each address by every API, and prints the errors and what is left.
TRY = """
import json, os, subprocess, sys
from pathlib import Path
from tac.errors import TacError
from tac.store import files_removal, store_of
from tac.target import StoreFileSystem, StoreTarget

os.environ["HOME"] = "/people/me"
kept = json.loads(sys.argv[2])
for each in kept:
    Path(each).parent.mkdir(parents=True, exist_ok=True)
    Path(each).write_text("kept")
Path("/link").symlink_to("/")
Path("/mnt/disk/again").mkdir()
# The same file system once more, which has the same device number.
subprocess.run(["mount", "--bind", "/mnt/disk/bound", "/mnt/disk/again"], check=True)
os.chdir("/mnt")
if sys.argv[3:]:
    files_removal.MOUNTS = Path(sys.argv[3])

FS = StoreFileSystem()
DOORS = [
    FS.remove,
    lambda address: FS.move(address, "/tmp/moved"),
    lambda address: StoreTarget(address).remove(),
    lambda address: store_of(address).delete_folder(address),
]
said = {}
for address in json.loads(sys.argv[1]):
    said[address] = set()
    for door in DOORS:
        try:
            said[address].add(f"removed: {door(address)}")
        except TacError as error:
            said[address].add(f"{type(error).__name__}: {error.message}")
left = [each for each in [*kept, "/etc/passwd", "/mnt/disk/again/a"] if os.path.isfile(each)]
print(json.dumps([{address: sorted(words) for address, words in said.items()}, left]))
"""
MADE = [
    *(f"{home}/a" for home in ("/people/me", "/people/me/own", "/root")),
    *("/mnt/disk/a", "/mnt/disk/bound/a", "/mnt/b"),
]
LEFT = [*MADE, "/etc/passwd", "/mnt/disk/again/a"]
NEVER = ", which is never removed"

ROOTS = ["/", "//", "///", "/.", "/..", "/mnt/..", "/link/.", "..", "file:///"]
PLACES = {
    "/people/me": "is the home directory",
    "/people/me/": "is the home directory",
    "/people/me/own/..": "is the home directory",
    "/link/people/me": "is the home directory",
    "/people": "holds the home directory, /people/me",
    "/root": "is the home directory",
    "/mnt/disk": "is a mount point",
    "disk/": "is a mount point",
    "/mnt": "holds a mount point, /mnt/disk",
    ".": "holds a mount point, /mnt/disk",
    "/dev": "is a mount point",
    "/etc": "holds a mount point, /etc/",
    "/mnt/disk/again": "is a mount point",
}


@pytest.fixture
def try_to_remove(engine: Engine, image: str):
    """Try to remove addresses in a container of its own; returns what was said and is left."""

    def try_to_remove(addresses: list[str], *more: str) -> list[Any]:
        client = engine.client()
        try:
            container = client.containers.run(
                image,
                ["python", "-c", TRY, json.dumps(addresses), json.dumps(MADE), *more],
                detach=True,
                user="0:0",
                cap_add=["SYS_ADMIN"],
                security_opt=["apparmor=unconfined"],
                network_mode="none",
                tmpfs={"/mnt/disk": ""},
            )
            try:
                code = container.wait(timeout=END_SECONDS)["StatusCode"]
                assert code == 0, container.logs().decode()[-2000:]
                answer: list[Any] = json.loads(container.logs(stderr=False))
                return answer
            finally:
                container.remove(force=True)
        finally:
            client.close()

    return try_to_remove


def test_the_root_directory_is_never_removed(try_to_remove):
    said, left = try_to_remove([*ROOTS, ""])

    # The second is the target's, which is not made.
    assert said.pop("") == ["ConfigError: '': not a path", "ConfigError: a target without a path"]
    assert said == {
        address: [f"ConfigError: {address.removeprefix('file://')}: is the root directory{NEVER}"]
        for address in ROOTS
    }
    assert left == LEFT


def test_homes_and_mount_points_are_never_removed(try_to_remove):
    said, left = try_to_remove(list(PLACES))

    for address, why in PLACES.items():
        [words] = said[address]
        assert words.startswith(f"ConfigError: {address}: {why}")
        assert words.endswith(NEVER)
    assert left == LEFT


def test_mount_points_are_found_where_no_list_of_them_is(try_to_remove):
    # As on macOS: by the device of each directory, which a bind mount of the same does not change.
    said, left = try_to_remove(["/mnt/disk", "/mnt"], "/no/such/list")

    assert said == {
        "/mnt/disk": [f"ConfigError: /mnt/disk: is a mount point{NEVER}"],
        "/mnt": [f"ConfigError: /mnt: holds a mount point, /mnt/disk{NEVER}"],
    }
    assert left == LEFT


def test_the_links_of_the_system_are_not_followed(try_to_remove):
    root, here = (f"/proc/self/{name}/" for name in ("root", "cwd"))
    said, left = try_to_remove([root, here])

    kinds = {
        address: sorted({word.partition(":")[0] for word in words})
        for address, words in said.items()
    }
    assert kinds == {
        root: ["AccessDenied", "ConfigError"],  # nothing is moved into itself
        here: ["AccessDenied"],
    }
    assert left == LEFT


def test_what_is_beside_and_below_may_go(try_to_remove):
    said, left = try_to_remove(["/people/me/own", "/link", "/mnt/disk/a"])

    assert all("removed: True" in words for words in said.values())
    assert left == [each for each in LEFT if each not in {"/people/me/own/a", "/mnt/disk/a"}]
