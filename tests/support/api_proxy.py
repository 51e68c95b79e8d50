"""A proxy in front of a real API server that counts, delays, cuts, and answers as a test wishes.

It speaks plain HTTP to both sides: behind it is `kubectl proxy`, which says who we are.
What comes from the server is passed on as it comes, so watches and logs go through it too.
"""

import contextlib
import re
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

Head = tuple[bytes, bytes]
"""What stands before a body, and what of the body came with it."""


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str

    @property
    def is_watch(self) -> bool:
        return "watch=true" in self.path

    @property
    def is_log(self) -> bool:
        return "/log?" in self.path

    @property
    def follows_log(self) -> bool:
        return self.is_log and "follow=true" in self.path


@dataclass(frozen=True)
class Answer:
    """What the proxy says in the server's place."""

    status: int
    body: bytes
    date: str = ""

    @property
    def text(self) -> bytes:
        head = f"HTTP/1.1 {self.status} So\r\nContent-Type: application/json\r\n"
        head += f"Date: {self.date}\r\n" if self.date else ""
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body


class ApiProxy:
    """What the proxy does from now on, and what was asked."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._door: socket.socket | None = None
        self._port = 0
        self.asked: list[Asked] = []
        self.logs_followed = 0
        """How many logs come through it now that go on for as long as their containers."""
        self.fault: Callable[[Asked], Answer | None] = lambda asked: None
        """Answer in the server's place, or wait before the server is asked."""
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Let it lead to the server (again)."""
        if self._door is None:
            self._door = socket.create_server(("127.0.0.1", self._port), backlog=128)
            self._port = self._door.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._door,), daemon=True).start()

    def cut(self) -> None:
        """Accept no connection, and close every one in the middle of whatever it carries."""
        door, self._door = self._door, None
        if door is not None:
            _shut(door)
        self.cut_connections()

    def cut_connections(self) -> None:
        """Close every connection in the middle of whatever it carries."""
        with self._lock:
            ends = list(self._ends)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, door: socket.socket) -> None:
        while True:
            try:
                ours, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(ours,), daemon=True).start()

    def _serve(self, ours: socket.socket) -> None:
        with contextlib.suppress(OSError), self._counted(ours):
            while head := _read_head(ours):
                method, path = head[0].split(b" ", 2)[:2]
                asked = Asked(method.decode(), path.decode())
                self.asked.append(asked)
                body = _read_body(ours, head)
                answer = self.fault(asked)
                if answer is not None:
                    ours.sendall(answer.text)
                    continue
                with self._open(asked):
                    goes_on = self._pass_on(ours, head[0], body)
                if not goes_on:
                    return

    @contextlib.contextmanager
    def _open(self, asked: Asked) -> Iterator[None]:
        with self._lock:
            self.logs_followed += asked.follows_log
        try:
            yield
        finally:
            with self._lock:
                self.logs_followed -= asked.follows_log

    def _pass_on(self, ours: socket.socket, before: bytes, body: bytes) -> bool:
        """Ask the server, and pass on what it says; False: ours has gone meanwhile."""
        only = _without_connection(before)[:-4]
        theirs = socket.create_connection(self._upstream)
        with self._counted(theirs):
            theirs.sendall(only + b"\r\nConnection: close\r\n\r\n" + body)
            reply = _read_head(theirs)
            if reply is None:
                return False
            # The client's own connection goes on, as with a real API server.
            ours.sendall(_without_connection(reply[0]) + reply[1])
            waiting = [ours, theirs]
            while True:
                ready = _ready(waiting)
                if ours in ready:
                    if not ours.recv(1, socket.MSG_PEEK):
                        return False
                    waiting = [theirs]  # the next request, before we know that this one is over
                if theirs in ready:
                    data = theirs.recv(1 << 16)
                    if not data:
                        return True
                    ours.sendall(data)

    @contextlib.contextmanager
    def _counted(self, end: socket.socket) -> Iterator[None]:
        with self._lock:
            self._ends.add(end)
        try:
            yield
        finally:
            with self._lock:
                self._ends.discard(end)
            _shut(end)


def _ready(ends: list[socket.socket]) -> list[socket.socket]:
    poll = select.poll()  # select() itself takes no file numbers above 1023
    numbers = {end.fileno(): end for end in ends}
    for number in numbers:
        poll.register(number, select.POLLIN)
    return [numbers[number] for number, _ in poll.poll()]


def _read_head(ours: socket.socket) -> Head | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = ours.recv(1 << 16)
        if not piece:
            return None
        data += piece
    before, between, body = data.partition(b"\r\n\r\n")
    return before + between, body


def _read_body(ours: socket.socket, head: Head) -> bytes:
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head[0])
    body, whole = head[1], int(found[1]) if found else 0
    while len(body) < whole and (piece := ours.recv(whole - len(body))):
        body += piece
    return body


def _without_connection(head: bytes) -> bytes:
    return re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextlib.contextmanager
def api_proxy(environment: dict[str, str]) -> Iterator[ApiProxy]:
    """Run a proxy in front of the API server that kubectl knows, until the block ends."""
    kubectl = subprocess.Popen(
        ["kubectl", "proxy", "--port=0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert kubectl.stdout is not None
        line = kubectl.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found is not None, f"kubectl proxy: {line}"
        proxy = ApiProxy(("127.0.0.1", int(found[1])))
        try:
            yield proxy
        finally:
            proxy.cut()
    finally:
        kubectl.kill()
        kubectl.communicate()
