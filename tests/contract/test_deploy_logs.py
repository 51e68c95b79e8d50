"""What k8s/deploy.sh shows of a pod's log: plain on a terminal, and byte for byte in a pipe."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.support.hostile import ESCAPES, unseen

DRIVER = Path(__file__).parents[2] / "k8s" / "driver.sh"
SAID = f"begins{ESCAPES} ends\nZürich 東京 👩\u200d👩\u200d👧\n\x1b[31mred\x1b[0m\tdone\n".replace(
    "\r", ""
)
SHOWN = "Zürich 東京 👩\u200d👩\u200d👧\nred\tdone\n"


@pytest.fixture
def command(tmp_path):
    """Print the log by a stand-in for kubectl."""
    (tmp_path / "said").write_bytes(SAID.encode())
    script = f"set -euo pipefail; KUBECTL=(said); said() {{ cat '{tmp_path}/said'; }}"
    return ["bash", "-c", f"{script}; source '{DRIVER}'; print_log pod/x"]


def test_in_a_pipe_a_log_is_byte_for_byte(command):
    ended = subprocess.run(command, capture_output=True, timeout=30, check=True)

    assert ended.stdout == SAID.encode()


def test_on_a_terminal_a_log_is_plain(command):
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdout=slave, stderr=subprocess.PIPE)
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # EIO: whoever wrote has ended
            break
        shown += piece
    os.close(master)

    _, said = process.communicate(timeout=30)
    text = shown.decode().replace("\r\n", "\n")
    assert (process.returncode, said) == (0, b"")
    assert text.endswith(SHOWN)
    assert unseen(text, but="\n\t\u200d\U000e0041") == set()


def test_a_log_that_cannot_be_read_is_an_error_on_a_terminal_too(command):
    master, slave = pty.openpty()
    failing = [*command[:2], command[2].replace("cat", "false")]
    ended = subprocess.run(failing, stdout=slave, timeout=30, check=False)
    os.close(slave)
    os.close(master)

    assert ended.returncode == 1
