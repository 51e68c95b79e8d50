"""The API server's reply, or the lack of one, as an error of tac: object, facts, and a hint.

Asks nothing. A reply counts as the API server's own only if it is a `Status`: a 404 of a proxy in
between does not mean that there is no such Job.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions

from tac.errors import (
    ApiError,
    ApiUnavailable,
    ConfigError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    TacError,
    Unauthorized,
    cut,
)
from tac.kubernetes.place import IN_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tac.kubernetes.place import Place

_NOT_DONE = {
    "create": "not created",
    "get": "not read",
    "list": "not listed",
    "watch": "not watched",
    "patch": "not changed",
    "delete": "not deleted",
    "log": "its log was not read",
}

# What the API server writes for people, as tac.kubernetes.diagnosis.server_words has of events.

_QUOTA_EXCEEDED = re.compile(r"exceeded quota")
"""staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go"""

_NO_RIGHT = re.compile(r"\bcannot \w+")
"""staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go"""

_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class RequestInfo:
    """One request, as an error names it."""

    place: Place
    verb: str
    kind: str
    resource: str
    name: str = ""

    @property
    def subject(self) -> str:
        """The object, as kubectl spells it."""
        what = f"{self.kind.lower()}/{self.name}" if self.name else self.resource
        return f"{what} in namespace {self.place.namespace}"


@dataclass(frozen=True)
class Status:
    """What came instead of what was asked for."""

    code: int
    text: str
    reason: str = ""
    about: str = ""
    """The resource that the server speaks of."""
    causes: frozenset[str] = frozenset()
    """Its machine-readable reasons, where it gives some."""
    by_kubernetes: bool = True
    retry_after_seconds: float | None = None


def read_status(code: int, body: bytes, retry_after: str | None = None) -> Status:
    """Read a reply that is no success."""
    with contextlib.suppress(ValueError):
        reply = json.loads(body)
        if isinstance(reply, dict) and reply.get("kind") == "Status":
            return status_of(reply, code, retry_after)
    text = f"HTTP {code}: {body.decode(errors='replace')}"
    return Status(code, text, by_kubernetes=False, retry_after_seconds=_seconds(retry_after))


def status_of(reply: dict[str, Any], code: int = 0, retry_after: str | None = None) -> Status:
    """Read a `Status`, which comes as a reply, or as an event of a watch."""
    code = code or int(reply.get("code") or 0)
    details = reply.get("details") or {}
    wait = details.get("retryAfterSeconds") or retry_after
    return Status(
        code=code,
        text=str(reply.get("message") or f"HTTP {code}"),
        reason=str(reply.get("reason") or ""),
        about=str(details.get("kind") or ""),
        causes=frozenset(str(each.get("reason")) for each in details.get("causes") or ()),
        retry_after_seconds=_seconds(wait),
    )


def _seconds(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:  # nothing, or a date: then the caller's own backoff counts
        return None


def error_of(asked: RequestInfo, status: Status) -> TacError:
    """Return the error that a reply means."""
    text, not_done = cut(status.text), f"{asked.subject}: {_NOT_DONE[asked.verb]}"
    if _later(status):
        return ApiUnavailable(
            f"{not_done}: {_server(asked.place)} cannot answer now: {text}",
            retry_after_seconds=status.retry_after_seconds,
        )
    if status.code == HTTPStatus.UNAUTHORIZED:
        more = "" if text == HTTPStatus.UNAUTHORIZED.phrase else f": {text}"
        return Unauthorized(
            f"{not_done}: {_server(asked.place)} rejected the credentials (401 Unauthorized){more}",
            status=status.code,
            reason=status.reason,
            hint=f"log in again, or fix the context's user: `{asked.place.kubectl} auth whoami`",
        )
    kind, hint = ApiError, None
    if not status.by_kubernetes:
        hint = f"does an API server answer at {asked.place.server}?"
    elif status.code in _KINDS:
        kind, hint = _KINDS[HTTPStatus(status.code)], _hint(asked, status)
    if kind is NotFound:
        text = f"there is no such {_missing(asked)}: {text}"
    return kind(
        f"{not_done}: {text}",
        status=status.code,
        reason=status.reason,
        hint=hint,
    )


def _later(status: Status) -> bool:
    if status.code in _LATER or status.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return True
    # The pod is there; its kubelet has not heard of it yet (seen within a millisecond or so after
    # it was given a node), and says of its log that there is no such thing.
    return status.code == HTTPStatus.NOT_FOUND and status.about == "pods/log"


_KINDS: dict[HTTPStatus, type[ApiError]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Expired,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
}


def _missing(asked: RequestInfo) -> str:
    # A name that is not there and a namespace that is not there are one answer; only a creation
    # can miss nothing but its namespace.
    if asked.verb == "create":
        return "namespace, or no such kind of object"
    return f"{asked.kind.lower()}, or no such namespace"


def _hint(asked: RequestInfo, status: Status) -> str | None:
    place = asked.place
    if status.code == HTTPStatus.NOT_FOUND and asked.verb == "create":
        return f"`{place.kubectl} create namespace {place.namespace}`, or name another"
    if status.code != HTTPStatus.FORBIDDEN:
        return None
    if "NamespaceTerminating" in status.causes:
        return "wait until the namespace is gone and make it again, or name another"
    if _QUOTA_EXCEEDED.search(status.text):
        return f"`{place.kubectl_here} describe quota`"
    if not _NO_RIGHT.search(status.text):  # a policy's answer speaks for itself
        return None
    verb, what = (
        ("get", "pods --subresource=log") if asked.verb == "log" else (asked.verb, asked.resource)
    )
    return f"ask for the right: `{place.kubectl_here} auth can-i {verb} {what}`"


def no_answer(asked: RequestInfo, error: BaseException, within_seconds: float) -> TacError:
    """Return the error that no reply means, from the system's error somewhere below."""
    server = _server(asked.place)
    for below in _chain(error):
        if isinstance(below, ssl.SSLCertVerificationError):
            return ConfigError(
                f"{asked.subject}: {_NOT_DONE[asked.verb]}: "
                f"the certificate of {server} is not trusted: {below.verify_message}",
                hint="take the kubeconfig anew from where the cluster was made, "
                "or fix its certificate-authority or tls-server-name",
            )
        if isinstance(below, _NO_PROXY):
            socks = "SOCKS" in str(below)
            said = "PySocks is not installed" if socks else cut(str(below))
            return ConfigError(
                f"{server}: its proxy cannot be used: {said}",
                hint="`pip install PySocks` where tac is installed, or name a proxy of http://"
                if socks
                else "fix proxy-url in the kubeconfig, or HTTPS_PROXY and HTTP_PROXY",
            )
    said, reached = _said(error, within_seconds)
    outside = asked.place.context != IN_CLUSTER and not reached
    return ApiUnavailable(
        f"{asked.subject}: {_NOT_DONE[asked.verb]}: {server} does not answer: {said}",
        hint=f"`{asked.place.kubectl} cluster-info` tells whether it runs; `minikube start`, "
        "or name another by the setting `kubernetes_context` or by KUBECONFIG"
        if outside
        else None,
    )


def _server(place: Place) -> str:
    return f"the API server {place.server} of context {place.context!r}"


def _said(error: BaseException, within_seconds: float) -> tuple[str, bool]:
    """Say what happened, and whether the server had been reached by then."""
    for below in _chain(error):
        if isinstance(below, socket.gaierror):
            return "its host is not known", False
        if isinstance(below, urllib3.exceptions.ReadTimeoutError):
            # While a connection is made another time counts, which only the text tells.
            found = re.search(r"timeout=([\d.]+)", str(below))
            return f"nothing for {float(found[1]) if found else within_seconds:g} s", True
        if isinstance(below, TimeoutError) and not below.errno:
            return "no connection in time", False
        if isinstance(below, _CUT):
            return "the connection was cut", True
        if isinstance(below, OSError) and below.errno:
            return os.strerror(below.errno), False
    return cut(str(error)), True


_NO_PROXY = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    urllib3.exceptions.URLSchemeUnknown,
    urllib3.exceptions.LocationParseError,
)
"""What an address of a proxy raises; that of the server was looked at with the kubeconfig."""

_CUT = (
    urllib3.exceptions.ProtocolError,
    http.client.HTTPException,
    ConnectionResetError,
    BrokenPipeError,
    ssl.SSLEOFError,
)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
