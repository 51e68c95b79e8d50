"""A real luigid on a free port of this machine, which can be killed and started again."""

import json
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.runs import wait_until


class Luigid:
    """luigid, with its state in memory alone."""

    def __init__(self, at: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._at = at
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["luigi.cmdline", "--address", "127.0.0.1", "--port", str(self.port)]
        code = "import sys; from luigi.cmdline import luigid; luigid(sys.argv[1:])"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *words[1:], "--state-path", str(self._at / "none")],
            cwd=self._at,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "luigid answers")

    def kill(self) -> None:
        """End it as the kernel ends what takes too much memory: it remembers nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, method: str, **values: Any) -> Any:
        """Call one of its methods, as anybody who reaches it can."""
        data = urllib.parse.urlencode({"data": json.dumps(values)})
        with urllib.request.urlopen(f"{self.url}/api/{method}?{data}", timeout=10) as answer:
            return json.load(answer)["response"]

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Everything it knows, by the name of the task."""
        known = self.ask("task_list", status="", upstream_status="")
        return {task["display_name"]: task for task in known.values()}

    def _answers(self) -> bool:
        try:
            self.ask("is_paused")
        except OSError:
            return False
        return True


@contextmanager
def luigid(at: Path) -> Iterator[Luigid]:
    """Run a luigid, and kill it in the end."""
    server = Luigid(at)
    server.start()
    try:
        yield server
    finally:
        server.kill()
