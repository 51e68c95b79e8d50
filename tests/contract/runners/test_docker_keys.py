"""S3's keys for containers, as many threads and drivers lend them at once."""

import os
import subprocess
import sys
import tempfile

from tac.runners.docker.keys import PREFIX, mounted
from tac.store.s3_access import S3Access

# Four drivers with four threads each; they are forked, as the stock `luigi` forks.
MANY = """
import os
import threading
from pathlib import Path
from tac.runners.docker.keys import mounted
from tac.store.s3_access import S3Access

KEYS = {"AWS_ACCESS_KEY_ID": "known", "AWS_SECRET_ACCESS_KEY": "hush"}
failed = []

def take_and_give_back():
    for _ in range(100):
        try:
            with mounted(KEYS, S3Access()) as ((mount, *_), _):
                Path(mount.source).read_bytes()
        except Exception as error:
            failed.append(repr(error))

children = []
while len(children) < 3:
    pid = os.fork()
    if not pid:
        children = []
        break
    children.append(pid)
threads = [threading.Thread(target=take_and_give_back) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for each in children:
    os.waitpid(each, 0)
print(*failed, sep="\\n", end="")
"""


def test_drivers_and_their_threads_never_remove_each_others_keys(tmp_path):
    own = {**os.environ, "TMPDIR": str(tmp_path)}  # noqa: TID251 # a child's environment

    ended = subprocess.run(
        [sys.executable, "-c", MANY],
        env=own,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_driver_left_goes_and_nothing_that_a_link_leads_to(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = tmp_path / "elsewhere/kept"
    kept.parent.mkdir()
    kept.write_text("kept")
    left, link = tmp_path / f"{PREFIX}left", tmp_path / f"{PREFIX}link"
    left.mkdir()
    (left / "credentials").write_text("hush")
    (left / "inputs").symlink_to(kept.parent)
    link.symlink_to(kept.parent)

    with mounted({"AWS_ACCESS_KEY_ID": "known", "AWS_SECRET_ACCESS_KEY": "hush"}, S3Access()):
        assert not left.exists()

    assert kept.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", link.name]
