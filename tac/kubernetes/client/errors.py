"""What the API server said, or did not, as errors of ours: the object, the facts, and a remedy.

Pure: judges replies and exceptions, asks nobody. A reply counts as the API server's own only if it
is a `Status`: something else in between that says 404 does not mean that there is no such Job.
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

_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class Asked:
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
    by_kubernetes: bool = True
    retry_after_seconds: float | None = None


def read_status(code: int, body: bytes, retry_after: str | None = None) -> Status:
    """Read a reply that is no success."""
    with contextlib.suppress(ValueError):
        told = json.loads(body)
        if isinstance(told, dict) and told.get("kind") == "Status":
            return status_of(told, code, retry_after)
    text = f"HTTP {code}: {body.decode(errors='replace')}"
    return Status(code, text, by_kubernetes=False, retry_after_seconds=_seconds(retry_after))


def status_of(told: dict[str, Any], code: int = 0, retry_after: str | None = None) -> Status:
    """Read a `Status`, which comes as a reply, or as an event of a watch."""
    code = code or int(told.get("code") or 0)
    details = told.get("details") or {}
    wait = details.get("retryAfterSeconds") or retry_after
    return Status(
        code=code,
        text=str(told.get("message") or f"HTTP {code}"),
        reason=str(told.get("reason") or ""),
        about=str(details.get("kind") or ""),
        retry_after_seconds=_seconds(wait),
    )


def _seconds(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:  # nothing, or a date: then the caller's own patience counts
        return None


def error_of(asked: Asked, status: Status) -> TacError:
    """Say what an answer means for the one who asked."""
    text = cut(status.text)
    if _later(status):
        return ApiUnavailable(
            f"{asked.subject}: {_NOT_DONE[asked.verb]}: {_server(asked.place)} cannot now: {text}",
            retry_after_seconds=status.retry_after_seconds,
        )
    if status.code == HTTPStatus.UNAUTHORIZED:
        return Forbidden(
            f"{asked.subject}: {_NOT_DONE[asked.verb]}: "
            f"{_server(asked.place)} does not accept who we are: {text}",
            status=status.code,
            reason=status.reason,
            hint=f"log in again, or mend the context's user: `{asked.place.kubectl} auth whoami`",
        )
    kind, hint = ApiError, None
    if not status.by_kubernetes:
        hint = f"does an API server answer at {asked.place.server}?"
    elif status.code in _KINDS:
        kind, hint = _KINDS[HTTPStatus(status.code)], _hint(asked, status)
    if kind is NotFound:
        text = f"there is no such {_missing(asked)}: {text}"
    return kind(
        f"{asked.subject}: {_NOT_DONE[asked.verb]}: {text}",
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


def _missing(asked: Asked) -> str:
    # A name that is not there and a namespace that is not there are one answer; only a creation
    # can miss nothing but its namespace.
    if asked.verb == "create":
        return "namespace, or no such kind of object"
    return f"{asked.kind.lower()}, or no such namespace"


def _hint(asked: Asked, status: Status) -> str | None:
    place = asked.place
    if status.code == HTTPStatus.NOT_FOUND and asked.verb == "create":
        return f"`{place.kubectl} create namespace {place.namespace}`, or name another"
    if status.code != HTTPStatus.FORBIDDEN:
        return None
    if "being terminated" in status.text:
        return "wait until the namespace is gone and make it again, or name another"
    if "exceeded quota" in status.text:
        return f"`{place.kubectl_here} describe quota`"
    if "cannot" not in status.text:  # a policy's answer speaks for itself
        return None
    verb, what = (
        ("get", "pods --subresource=log") if asked.verb == "log" else (asked.verb, asked.resource)
    )
    return f"ask for the right: `{place.kubectl_here} auth can-i {verb} {what}`"


def no_answer(asked: Asked, error: BaseException, within_seconds: float) -> TacError:
    """Say why nothing came back, from the system's error somewhere below."""
    server = _server(asked.place)
    for below in _chain(error):
        if isinstance(below, ssl.SSLCertVerificationError):
            return ConfigError(
                f"{asked.subject}: {_NOT_DONE[asked.verb]}: "
                f"the certificate of {server} is not trusted: {below.verify_message}",
                hint="take the kubeconfig anew from where the cluster was made, "
                "or mend its certificate-authority or tls-server-name",
            )
        if isinstance(below, requests.exceptions.InvalidSchema):
            return ConfigError(f"{server}: its proxy cannot be used: {cut(str(below))}")
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
