"""A server that says what a test writes, byte by byte, to one connection after the other."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Talk = Callable[[socket.socket, threading.Event], None]
"""What is said to one connection, once its request was read, until the event says that it is over.
"""


@contextlib.contextmanager
def talking_server(talk: Talk) -> Iterator[str]:
    """Run `talk` for each connection until the block ends; the URL of the server."""
    over = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the client may have closed it
            connection.recv(65536)
            talk(connection, over)

    def serve() -> None:
        while not over.is_set():
            connection, _ = server.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        over.set()
        socket.create_connection(server.getsockname()).close()  # ends the wait for a connection
        thread.join(30)
        server.close()


def trickle(head: bytes, each: bytes, *, seconds: float = 0.01) -> Talk:
    """Say `head`, and then `each` again and again, with a pause before each."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(seconds):
            connection.sendall(each)

    return talk


def silence(head: bytes = b"") -> Talk:
    """Say `head`, and nothing more."""
    return trickle(head, b"", seconds=60)
