"""A home for what boto3's chain of credentials reads, and a server that issues credentials."""

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tac import settings
from tac.store.s3_client import close_connections


class Machine:
    """A home of its own for what boto3 reads, and nothing of ours in the environment."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self._patch = monkeypatch
        (home / ".aws").mkdir()

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)
        settings.current.cache_clear()
        close_connections()

    def write(self, name: str, *lines: str) -> None:
        (self.home / ".aws" / name).write_text("\n".join(lines))

    def make_helper(self, *lines: str) -> Path:
        """A program for `credential_process`, which counts its calls in the file `calls`."""
        helper = self.home / "helper"
        helper.write_text("\n".join(["#!/bin/sh", f"echo >> {self.home}/calls", *lines, ""]))
        helper.chmod(0o755)
        return helper

    def calls(self) -> int:
        return len((self.home / "calls").read_text().splitlines())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name in settings.child_environment():
        if name.startswith("AWS_"):
            monkeypatch.delenv(name, raising=False)
    made = Machine(tmp_path, monkeypatch)
    made.set(HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true")
    yield made
    monkeypatch.undo()
    settings.current.cache_clear()
    close_connections()


@dataclass
class Issuer:
    """Answers every request with what `answer` gives for its method and path."""

    endpoint: str
    stop: Callable[[], None]
    answer: Callable[[str, str], tuple[int, str]] = lambda method, path: (500, "")
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A server that stands for STS, the login or the metadata service of a cloud."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.asked.append(f"{self.command} {self.path}")
            status, text = made.answer(self.command, self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 # http.server's names

        def log_message(self, *_words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join(60)

        made = Issuer(f"http://127.0.0.1:{server.server_port}", stop)
        yield made
        stop()
