"""What an attacker writes who hopes for a terminal; who says it, and what answers it."""

import socketserver
import sys
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

ESCAPES = (
    "\x1b]0;a title\x07\x1b]52;c;Y2xpcA==\x07\x1b]8;;http://evil.example\x1b\\"
    "\x1b[2J\x1b[1;1H\x1b[8m\x1bP+q\x1b\\\x1bc\x07\x08\x7f\x9b31m\x9d0;t\x9c\x84\x85\x0b\x0c"
    "\u202e\u2066\u200b\ufeff\u2028\U000e0041\roverwritten"
)
"""Every kind of what a terminal obeys and a person does not see."""

HOSTILE = f"begins{ESCAPES} [bold][link=http://evil.example]markup[/link] ends"
"""The same within text that has to arrive."""

IN_XML = "begins \x80\x9b31m \x9d0;t\x9c \u202e\u2066\u200b\ufeff\u2028 markup ends"
"""What of it an XML document may hold."""


def unseen(text: str, but: str = "\n") -> set[str]:
    """Return the control characters of a text, and the invisible ones."""
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {each for each in text if unicodedata.category(each) in hidden} - set(but)


@contextmanager
def answering(status: bytes, headers: Sequence[bytes], body: bytes) -> Iterator[str]:
    """Answer every HTTP request on this machine with these very bytes; yield the address."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline() not in {b"\r\n", b""}:
                pass
            length = b"Content-Length: %d" % len(body)
            head = b"\r\n".join([b"HTTP/1.1 " + status, length, *headers, b"Connection: close"])
            self.wfile.write(head + b"\r\n\r\n" + body)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Log nothing: the client may close the connection."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    """Say it in every place that is looked at, and fail."""
    out = sys.stderr
    out.write("# pod/evil on node-2: kubectl --context c --namespace evil logs --follow evil\n")
    out.write(f"[ 40 %] {HOSTILE}\n")
    out.write(f"{HOSTILE}\n")
    out.buffer.write(b"\xff\xfe invalid \x9b31m\n")
    for word in ("Error", "Hint"):
        out.write(f"{word}: {HOSTILE}\n".replace("\r", ""))
    raise SystemExit(2)


if __name__ == "__main__":
    main()
