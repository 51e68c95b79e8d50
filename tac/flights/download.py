"""One file over HTTP, within bounds: its bytes, its seconds, its redirects.

The server is not trusted. The announced length is checked first, and the received bytes are counted
all the same: the length may be wrong, and a chunked body has none.
Only http and https are allowed: no redirect leads to a file of this machine, or from https to
plain http.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import socket
import ssl
import string
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from tac import __version__, settings
from tac.errors import (
    AccessDenied,
    ConfigError,
    CredentialsRejected,
    InputMissing,
    StorageError,
    StorageUnavailable,
    cut,
)
from tac.limits import check_input_bytes, too_slow
from tac.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES = ("http", "https")

MOST_REDIRECTS = 10
"""curl follows 50 and a browser 20; an archive needs one or two."""

LEAST_BYTES_PER_SECOND = 1000
"""A server that sends less for `silence_seconds` is given up: a day would take minutes."""

_AT_LEAST = "sends at least"
_EXAMPLE = "write it like --source 'https://host/{date:%Y-%m-%d}.parquet', or --source bundled"
_CHUNK = 1 << 20
_MOVED = (301, 302, 303, 307, 308)
_UNAUTHENTICATED, _DENIED = (401, 407), 403
_GONE = (404, 410)
_LATER = (408, 425, 429)
_SERVER_ERRORS = 500


@dataclass(frozen=True)
class Bounds:
    """The limits of one download."""

    most_bytes: int
    seconds: float
    """From the first connection to the last byte, redirects among them."""

    silence_seconds: float = 30.0
    """How long a server may send nothing, or less than the least rate."""


def download(url: str, bounds: Bounds) -> bytes:
    """Return the whole content of an http or https URL.

    Raises:
        DataError: it holds more than `bounds` allow.
        InputMissing, AccessDenied, StorageError, StorageUnavailable: as the server says.
    """
    name = redacted(url)
    deadline = _Deadline(bounds.seconds)
    with (
        deadline.kept(),
        _explaining(name, bounds, deadline),
        _follow(url, name, bounds, deadline) as answer,
    ):
        return _read_all(answer, name, bounds)


class _Deadline:
    """Breaks the connections of a download at its deadline, whatever it waits for.

    The timeout of a socket bounds one wait. A server that sends a byte before each timeout, in a
    header too, would hold a step for days.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Enforce the deadline while the block runs."""
        self._timer.start()
        try:
            yield
        finally:
            self._timer.cancel()

    def watch(self, connection: socket.socket) -> None:
        """Break this connection too."""
        with self._lock:
            self._sockets.append(connection)
            if self.passed:
                _break(connection)

    def _end(self) -> None:
        with self._lock:
            self.passed = True
            for connection in self._sockets:
                _break(connection)


def _break(connection: socket.socket) -> None:
    # Not SSLSocket.shutdown: it would let the other thread go on without TLS.
    with contextlib.suppress(OSError):  # it is closed already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _opener(deadline: _Deadline) -> urllib.request.OpenerDirector:
    """Return an opener for http and https, through the proxies of the environment, and no others.

    urllib's own default also opens file:, ftp: and data:, and follows redirects by itself.
    """

    class Http(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            deadline.watch(self.sock)

    class Https(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            deadline.watch(self.sock)

    class Handler(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Http, request)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Https, request)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        Handler(),
        SecureHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _follow(url: str, name: str, bounds: Bounds, deadline: _Deadline) -> http.client.HTTPResponse:
    """Request `url`, follow its redirects, and return the answer."""
    opener = _opener(deadline)
    first = urllib.parse.urlsplit(url)
    authorization = _authorization(first, name)
    for _ in range(MOST_REDIRECTS + 1):
        own = _origin(urllib.parse.urlsplit(url)) == _origin(first)
        request = _request(url, authorization if own else "")
        try:
            answer: http.client.HTTPResponse = opener.open(request, timeout=bounds.silence_seconds)
        except urllib.error.HTTPError as error:
            with error:
                url = _next(error, url, name)
            continue
        if answer.status != http.HTTPStatus.OK:  # 206 is a part of a file, 204 none at all
            with answer:
                raise _translate(name, answer.status, answer.reason)
        return answer
    raise StorageError(f"{name}: redirects more than {MOST_REDIRECTS} times")


def _origin(parts: urllib.parse.SplitResult) -> tuple[str, str | None, int | None]:
    """Return the origin of a URL: scheme, host and port."""
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _next(error: urllib.error.HTTPError, url: str, name: str) -> str:
    """Return the target of a redirect.

    Raises:
        StorageError: a redirect there is not allowed.
        InputMissing, AccessDenied, StorageUnavailable: the answer is an error, not a redirect.
    """
    location = error.headers.get("Location")
    if error.code not in _MOVED or not location:
        raise _translate(name, error.code, error.reason) from error
    # Some servers write spaces and umlauts as they are; headers are read as Latin-1.
    quoted = urllib.parse.quote(location, safe=string.punctuation, encoding="latin-1")
    try:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(url, quoted))
        target, after, _ = parts.geturl(), parts.scheme, parts.port
    except ValueError as invalid:
        raise StorageError(f"{name}: redirects to {cut(quoted)!r}, which is no URL") from invalid
    before = urllib.parse.urlsplit(url).scheme
    if after not in SCHEMES or (before, after) == ("https", "http"):
        raise StorageError(
            f"{name}: redirects from {before}:// to {cut(target)!r}, which is not followed",
            hint="if you trust that address, name it as the source",
        )
    return target


def _authorization(parts: urllib.parse.SplitResult, name: str) -> str:
    """Return the header `Authorization` for an address.

    Raises:
        ConfigError: both the address and the settings have credentials.
    """
    user, at, _ = parts.netloc.rpartition("@")
    header = settings.source_authorization()
    if not at:
        return header
    if header:
        raise ConfigError(
            f"{name}: has a user or a password, and {settings.AUTHORIZATION} is set",
            hint=f"leave one of them out: `unset {settings.AUTHORIZATION}`",
        )
    pair = urllib.parse.unquote(user).encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


def _request(url: str, authorization: str) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(url)
    asked = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        path=_encoded(parts.path),
        query=_encoded(parts.query),
        fragment="",
    )
    request = urllib.request.Request(  # noqa: S310 # http and https only: the callers looked
        asked.geturl(),
        headers={"User-Agent": f"tac/{__version__}"},
    )
    if authorization:
        request.add_header("Authorization", authorization)
    return request


def _encoded(part: str) -> str:
    """Percent-encode the blanks and letters that people paste, and nothing twice."""
    return urllib.parse.quote(part, safe=string.punctuation)


def _read_all(answer: http.client.HTTPResponse, name: str, bounds: Bounds) -> bytes:
    announced = answer.headers.get("Content-Length")
    length = int(announced) if announced is not None and announced.isdecimal() else None
    check_input_bytes(name, length or 0, bounds.most_bytes, verb="announces")
    body = io.BytesIO()
    began, size_then = time.monotonic(), 0
    # read1 returns what is there; read would wait until a whole chunk is.
    while chunk := answer.read1(_CHUNK):
        body.write(chunk)
        size = body.tell()
        check_input_bytes(name, min(size, bounds.most_bytes + 1), bounds.most_bytes, verb=_AT_LEAST)
        elapsed = time.monotonic() - began
        if elapsed >= bounds.silence_seconds:
            if size - size_then < LEAST_BYTES_PER_SECOND * elapsed:
                raise StorageUnavailable(
                    f"{name}: is too slow: {size - size_then} bytes in {elapsed:.3g} s"
                    f" (limit {LEAST_BYTES_PER_SECOND} a second)"
                )
            began, size_then = time.monotonic(), size
    if length is not None and body.tell() != length:
        raise StorageUnavailable(
            f"{name}: the connection broke after {body.tell()} of {length} bytes"
        )
    return body.getvalue()


@contextlib.contextmanager
def _explaining(name: str, bounds: Bounds, deadline: _Deadline) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError, StorageUnavailable) as error:
        if deadline.passed:
            raise too_slow(name, bounds.seconds) from error
        _explain(name, bounds, error)
    # A connection that is cut may look like the end of a body without a length.
    if deadline.passed:
        raise too_slow(name, bounds.seconds)


def _explain(name: str, bounds: Bounds, error: Exception) -> NoReturn:
    if isinstance(error, StorageUnavailable):
        raise error
    reason: Any = getattr(error, "reason", None)
    if isinstance(error, urllib.error.URLError):
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise StorageError(
                f"{name}: its certificate is not trusted: {cut(str(reason.verify_message))}"
            ) from error
        raise StorageUnavailable(f"{name}: cannot be reached: {cut(str(reason))}") from error
    if isinstance(error, TimeoutError):
        raise StorageUnavailable(
            f"{name}: was silent for {bounds.silence_seconds:g} s"
            f" (limit {bounds.silence_seconds:g} s)"
        ) from error
    if isinstance(error, (http.client.InvalidURL, ValueError)):
        # `from None`: the error quotes what it took for a port, which may be a password.
        raise ConfigError(f"{name}: is no URL: {type(error).__name__}", hint=_EXAMPLE) from None
    raise StorageUnavailable(
        f"{name}: the connection broke: {type(error).__name__} {cut(str(error))}"
    ) from error


def _translate(name: str, status: int, reason: str) -> Exception:
    said = f"the server answered {status} {cut(str(reason))}".rstrip()
    if status in _GONE:
        return InputMissing(
            f"{name}: no such file: {said}",
            hint="a day may be published later; `--date` and `--source` name what is requested",
        )
    hint = (
        f"if it wants a password or a token, set {settings.AUTHORIZATION}, such as "
        "'Bearer …'; on Kubernetes it is a key of the Secret tac-s3"
    )
    if status in _UNAUTHENTICATED:
        return CredentialsRejected(f"{name}: not authenticated: {said}", hint=hint)
    if status == _DENIED:
        return AccessDenied(f"{name}: no permission: {said}", hint=hint)
    if status in _LATER or status >= _SERVER_ERRORS:
        return StorageUnavailable(f"{name}: cannot be read now: {said}")
    return StorageError(f"{name}: cannot be read: {said}")
