"""One gRPC call over plain HTTP/2, as anybody on the network can make it; needs no library.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
What is asked for well is answered by a message; what is refused, by headers alone.
"""

import base64
import hashlib
import hmac
import json
import socket
import struct
import time

_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_SECONDS = 20.0


def field(number: int, value: bytes | str) -> bytes:
    """A field of a message, of fewer than 128 bytes, as protobuf writes it."""
    content = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(content)]) + content


def token(key: str) -> str:
    """A token that `key` signs, as servers of SeaweedFS take it from each other (HS256)."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"exp": int(time.time()) + 60})
    text = ".".join(_base64(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_base64(hmac.digest(key.encode(), text.encode(), hashlib.sha256))}"


def call(host: str, port: int, method: str, message: bytes = b"", bearer: str = "") -> bytes | None:
    """Call a method, such as `/package.Service/Method`; None: it was refused without an answer."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": f"{host}:{port}",
        "content-type": "application/grpc",
        "te": "trailers",  # codespell:ignore te
        **({"authorization": f"Bearer {bearer}"} if bearer else {}),
    }
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
    body = b"\0" + struct.pack(">I", len(message)) + message
    with socket.create_connection((host, port), timeout=_SECONDS) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, b""))
        connection.sendall(_frame(_HEADERS, _END_HEADERS, 1, block))
        connection.sendall(_frame(_DATA, _END_STREAM, 1, body))
        with connection.makefile("rb") as answer:
            return _read(connection, answer)


def _read(connection, answer) -> bytes | None:
    found = None
    while len(head := answer.read(9)) == 9:
        length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
        content = answer.read(length)
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            connection.sendall(_frame(kind, _ACK, 0, content if kind == _PING else b""))
        elif kind == _DATA:
            found = (found or b"") + content
        if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
            return found
    raise ConnectionError("the connection ended before the answer did")


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def _text(text: str) -> bytes:
    """A string of a header as it is: its length in a prefix of seven bits (RFC 7541, 5.1)."""
    content, rest = text.encode(), len(text.encode()) - 127
    if rest < 0:
        return bytes([len(content)]) + content
    more = b""
    while rest >= 128:
        more += bytes([rest % 128 + 128])
        rest //= 128
    return b"\x7f" + more + bytes([rest]) + content


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
