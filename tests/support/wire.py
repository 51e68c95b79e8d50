"""A TCP proxy on this machine to another server, until it is cut."""

import contextlib
import socket
import threading
from collections.abc import Callable


class Wire:
    """A TCP port whose connections are carried to a server; once it is cut nothing answers.

    With `as_proxy` it is that of a proxy instead, which leads there when it is asked to (CONNECT).
    """

    def __init__(self, connect: Callable[[], socket.socket], *, as_proxy: bool = False) -> None:
        self._connect = connect
        self._as_proxy = as_proxy
        self._door: socket.socket | None = None
        self._ends: list[socket.socket] = []
        self.port = 0
        self.connections = 0
        self.mend()

    def mend(self) -> None:
        """Let it lead there (again)."""
        self._door = socket.create_server(("127.0.0.1", self.port))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._door,), daemon=True).start()

    def cut(self) -> None:
        """Close every connection in the middle of whatever it carries, and accept no other."""
        door, self._door = self._door, None
        for each in [*([door] if door else []), *self._ends]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._ends.clear()

    def _accept(self, door: socket.socket) -> None:
        while True:
            try:
                ours, _ = door.accept()
            except OSError:
                return
            self.connections += 1
            if self._as_proxy:
                while not ours.recv(1 << 16).endswith(b"\r\n\r\n"):
                    pass
                ours.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            theirs = self._connect()
            self._ends += [ours, theirs]
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for end in (sink, source):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
