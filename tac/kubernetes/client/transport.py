"""Requests to one API server, with credentials, whole answers and errors of tac.

A request is sent once; only after 401 the credential is renewed, and the request sent again.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from tac.errors import ApiUnavailable
from tac.kubernetes.client.auth import credentials_of
from tac.kubernetes.client.connection import Adapter, PrivateConnection, tls
from tac.kubernetes.client.errors import RequestInfo, Status, error_of, no_answer, read_status
from tac.kubernetes.client.streams import NO_ANSWER

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    import requests

    from tac.kubernetes.client.auth import Credential
    from tac.kubernetes.client.config import ApiConfig

SILENT_SECONDS = 30.0
"""The read timeout: an admission webhook has ten seconds, by default."""

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
"""How long a whole answer may take: the server's own limit."""

_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Resource:
    """The API resource of a kind."""

    version: str
    plural: str

    @property
    def full(self) -> str:
        """Its name as RBAC and kubectl spell it, such as `jobs.batch`."""
        group = self.version.rpartition("/")[0]
        return f"{self.plural}.{group}" if group else self.plural


@dataclass(frozen=True)
class Request:
    """One request; the credential is added when it is sent."""

    asked: RequestInfo
    resource: Resource
    method: str
    path: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    content_type: str = "application/json"


class Http(Protocol):
    """The part of pykube's client that is used: it sends over given connections."""

    session: requests.Session

    def request(self, method: str, **options: Any) -> requests.Response:
        """Send a request."""


@dataclass(frozen=True)
class _ConnectionPool:
    """Connections with one client certificate, or none."""

    shown: tuple[bytes, bytes] = field(repr=False)
    context: ssl.SSLContext | None
    http: Http


class Sender:
    """Sends the requests of any number of threads."""

    def __init__(self, config: ApiConfig, http_over: Callable[[Adapter], Http]) -> None:
        self._config = config
        self._http_over = http_over
        self._credentials = credentials_of(config)
        self._lock = threading.Lock()
        self._pool: _ConnectionPool | None = None
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the server's time, by the last answer; this machine's clock may be off."""
        return datetime.now(UTC) + self._ahead

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.http.session.close()

    def ask(self, request: Request) -> dict[str, Any]:
        """Send a request and return the object that is the answer."""
        content = self.ask_bytes(request)
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        text = f"the answer is no object: {content.decode(errors='replace')}"
        raise error_of(request.asked, Status(HTTPStatus.OK, text, by_kubernetes=False))

    def ask_bytes(self, request: Request, within_seconds: float = _ANSWER_SECONDS) -> bytes:
        """Send a request and return the body of the answer."""
        deadline = time.monotonic() + within_seconds
        pieces = []
        with self.send(request) as response:
            try:
                for piece in response.iter_content(_PIECE_BYTES):
                    pieces.append(piece)
                    if time.monotonic() > deadline:
                        raise _too_long(request, within_seconds)
            except NO_ANSWER as error:
                raise no_answer(request.asked, error, SILENT_SECONDS) from error
        content = b"".join(pieces)
        if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            retry_after = response.headers.get("Retry-After")
            raise error_of(request.asked, read_status(response.status_code, content, retry_after))
        return content

    def send(
        self,
        request: Request,
        own: PrivateConnection | None = None,
        silence_seconds: float = SILENT_SECONDS,
    ) -> requests.Response:
        """Send a request and wait for the head of the answer, whatever its status."""
        credential = self._credentials.current()
        response = self._send_as(credential, request, own, silence_seconds)
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return response
        other = self._credentials.renewed(credential)
        if other is None:
            return response
        response.close()
        return self._send_as(other, request, own, silence_seconds)

    def _send_as(
        self,
        credential: Credential,
        request: Request,
        own: PrivateConnection | None,
        silence_seconds: float,
    ) -> requests.Response:
        pool = self._pool_of(credential)
        http = pool.http
        if own is not None:
            http = self._http_over(own.adapter(self._config, pool.context))
        try:
            response = http.request(
                request.method,
                version=request.resource.version,
                namespace=self._config.place.namespace,
                url=request.resource.plural + request.path,
                params=dict(request.parameters),
                data=None if request.body is None else json.dumps(request.body),
                headers={
                    "Content-Type": request.content_type,
                    **credential.headers,
                    **self._config.user.impersonation,
                },
                timeout=(_CONNECT_SECONDS, silence_seconds),
                stream=True,
                allow_redirects=False,  # the credential is for this server alone
            )
        except NO_ANSWER as error:
            raise no_answer(request.asked, error, silence_seconds) from error
        self._take_time(response.headers.get("Date"))
        return response

    def _take_time(self, date: str | None) -> None:
        try:
            date_header = parsedate_to_datetime(date or "")
        except ValueError:  # it does not say, or not so that one could read it
            return
        self._ahead = date_header.replace(tzinfo=date_header.tzinfo or UTC) - datetime.now(UTC)

    def _pool_of(self, credential: Credential) -> _ConnectionPool:
        shown = (credential.certificate, credential.key)
        with self._lock:
            if self._pool is None or self._pool.shown != shown:
                # Requests of other threads over the old connections are not interrupted.
                context = tls(self._config, credential)
                http = self._http_over(Adapter(self._config, context))
                self._pool = _ConnectionPool(shown, context, http)
            return self._pool


def _too_long(request: Request, seconds: float) -> ApiUnavailable:
    return ApiUnavailable(f"{request.asked.subject}: the answer takes longer than {seconds:g} s")
