"""A proxy in front of an HTTP server that delays, drops, rewrites and answers as a test wishes.

with running_proxy(server.endpoint) as proxy:
    proxy.fault = lambda request: Answer(503) if request.number < 3 else None
"""

import contextlib
import http.client
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    """One request; they are numbered from 0 over the life of the proxy."""

    number: int
    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """Answer in the server's place."""

    status: int
    body: bytes = b""


@dataclass(frozen=True)
class Cut:
    """Break the connection: in place of the request, or `after` bytes of the reply's body."""

    after: int | None = None


@dataclass(frozen=True)
class LoseReply:
    """Pass the request on, and break the connection instead of the reply."""


Fault = Answer | Cut | LoseReply


@dataclass
class Proxy:
    """What the proxy does from now on, and what has passed through it."""

    upstream: str
    endpoint: str = ""
    delay_seconds: float = 0.0
    rewrite: Callable[[Request, bytes], dict[str, str]] = lambda request, body: request.headers
    """Give the headers, by their names in lower case, that the server gets to see."""
    fault: Callable[[Request], Fault | None] = lambda request: None
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, method: str, path: str, headers: dict[str, str]) -> Request:
        with self.lock:
            request = Request(len(self.requests), method, path, headers)
            self.requests.append(request)
            return request


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: broken connections are what this is for."""


def server_context(certificate: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1 that is its own authority, and a server's context of it."""
    key = certificate.with_suffix(".key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9"),
            *("-subj", "/CN=a server of a test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextlib.contextmanager
def running_proxy(upstream: str, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy in front of `upstream`, an http:// URL, until the block ends."""
    proxy = Proxy(upstream)
    handler = type("_ProxyHandler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls is not None:  # each connection's thread shakes hands itself
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        proxy.endpoint = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, and one to the server behind it."""

    proxy: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        host = urlsplit(self.proxy.upstream).netloc
        self.upstream = http.client.HTTPConnection(host, timeout=60)

    def finish(self) -> None:
        self.upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = self.proxy.note(self.command, self.path, headers)
        time.sleep(self.proxy.delay_seconds)
        fault = self.proxy.fault(request)
        if isinstance(fault, Answer):
            self.reply(fault.status, {}, fault.body)
        elif isinstance(fault, Cut) and fault.after is None:
            self.cut()
        else:
            self.pass_on(self.proxy.rewrite(request, body), body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 # http.server's names

    def pass_on(self, headers: dict[str, str], body: bytes, fault: Fault | None) -> None:
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name not in _HOP_BY_HOP:
                self.upstream.putheader(name, value)
        self.upstream.endheaders(body)
        with self.upstream.getresponse() as reply:
            content = reply.read()
            kept = {k: v for k, v in reply.getheaders() if k.lower() not in _HOP_BY_HOP}
        if isinstance(fault, LoseReply):
            self.cut()
        elif isinstance(fault, Cut):
            self.reply(reply.status, kept, content[: fault.after])
            self.cut()
        else:
            self.reply(reply.status, kept, content)

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        # A HEAD names the length of what it does not bring.
        headers = {"Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # http.server's name
        """Say nothing."""
