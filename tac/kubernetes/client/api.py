"""A client of the Kubernetes API: objects of one namespace, as plain dicts in API spelling.

Nothing here waits for an unreachable server or retries: only a rejected credential (401) is
renewed, once. Every request has a deadline. Underneath is pykube, with connections, credentials and
configuration of tac, because its own do not suffice: watches end after ten silent seconds, tokens
are read once, plugins run with every request, and keys are written to files that everyone can read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pykube

from tac import __version__, settings
from tac.kubernetes.client.connection import Adapter, PrivateConnection, proxies
from tac.kubernetes.client.errors import RequestInfo
from tac.kubernetes.client.kubeconfig import SERVICE_ACCOUNT, find_config
from tac.kubernetes.client.streams import LogStream, Watch
from tac.kubernetes.client.transport import SILENT_SECONDS, Request, Resource, Sender
from tac.kubernetes.place import Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["KINDS", "Client", "LogStream", "Place", "Watch"]

_LOG_SECONDS = 600.0
"""The deadline for reading a whole log."""

_WATCH_MARGIN_SECONDS = 30.0
"""How much longer than timeoutSeconds a watch may be silent; pykube's default is far shorter."""

_FOLLOW_SILENT_SECONDS = 900.0
"""How long a log may be silent before it is requested again; TCP keepalive notices a dead
connection sooner."""

_PAGE = 500  # objects, as kubectl's own --chunk-size

KINDS: dict[str, Resource] = {
    "Job": Resource("batch/v1", "jobs"),
    "CronJob": Resource("batch/v1", "cronjobs"),
    "Pod": Resource("v1", "pods"),
    "Event": Resource("v1", "events"),
    "Secret": Resource("v1", "secrets"),
    "ConfigMap": Resource("v1", "configmaps"),
    "Service": Resource("v1", "services"),
    "ServiceAccount": Resource("v1", "serviceaccounts"),
    "PersistentVolumeClaim": Resource("v1", "persistentvolumeclaims"),
    "ResourceQuota": Resource("v1", "resourcequotas"),
    "LimitRange": Resource("v1", "limitranges"),
}


class Client:
    """One namespace of one Kubernetes cluster. Safe for many threads, not for a forked process.

    Defaults are kubectl's. `path` is a kubeconfig in place of the usual ones; `in_pod` means the
    service account of the pod that this runs in and nothing else.

    Raises:
        ConfigError: no API server is configured, or its configuration is not valid.
    """

    def __init__(
        self, *, context: str = "", namespace: str = "", path: str = "", in_pod: bool = False
    ) -> None:
        self._config = find_config(
            context=context,
            namespace=namespace,
            path=path,
            in_pod=in_pod,
            variable=settings.variable,
            service_account=SERVICE_ACCOUNT,
        )
        self.place = self._config.place
        self._proxies = proxies(self._config)
        self._sender = Sender(self._config, self._http)

    def __repr__(self) -> str:
        return f"Client({self.place!r})"

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def reaches_the_same_as(self, other: Client) -> bool:
        """Tell whether both are for the same namespace, API server and user."""
        return self._config.identity == other._config.identity

    def now(self) -> datetime:
        """Return the API server's time, to a second or so, without a request."""
        return self._sender.now()

    def create(self, kind: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object and return it; a field that the API does not know is refused.

        Raises:
            Invalid: the server rejected it, for example a misspelt field.
            Conflict: it exists (reason `AlreadyExists`), or a quota was changed at the same time
                (`Conflict`): a retry may succeed.
        """
        metadata = manifest.get("metadata") or {}
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        # Otherwise a misspelt field of a user's patch would be dropped silently.
        strict = {"fieldValidation": "Strict"}
        request = self._request(
            "create", "POST", kind, name, path="", parameters=strict, body=manifest
        )
        return self._sender.ask(request)

    def read(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object.

        Raises:
            NotFound: it does not exist, or its namespace does not: the answer is the same.
        """
        return self._sender.ask(self._request("get", "GET", kind, name))

    def list(
        self, kind: str, *, labels: str = "", fields: str = "", resource_version: str = ""
    ) -> dict[str, Any]:
        """Return all objects that are selected, however many, and the version of them all.

        A namespace that does not exist has none.

        Raises:
            Expired: the continue token has expired: list again.
        """
        wanted = {**_selected(labels, fields, resource_version), "limit": _PAGE}
        whole = self._sender.ask(self._request("list", "GET", kind, parameters=wanted))
        metadata = whole["metadata"]
        while token := metadata.pop("continue", ""):
            # Later pages have the version of the first, and must not request one.
            wanted = {**_selected(labels, fields, ""), "limit": _PAGE, "continue": token}
            page = self._sender.ask(self._request("list", "GET", kind, parameters=wanted))
            whole["items"] += page["items"]
            metadata["continue"] = page["metadata"].get("continue", "")
        metadata.pop("remainingItemCount", None)
        return whole

    def watch(
        self,
        kind: str,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
        timeout_seconds: float,
    ) -> Watch:
        """Return the events since a version, for so many seconds, once the server has accepted.

        Raises:
            Expired: the version is too old; it may also be raised where the events are iterated.
        """
        wanted = {
            **_selected(labels, fields, resource_version),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": max(1, round(timeout_seconds)),
        }
        request = self._request("watch", "GET", kind, parameters=wanted)
        own = PrivateConnection()
        stream = Watch(
            request.asked,
            own,
            lambda: self._sender.send(request, own),
            timeout_seconds + _WATCH_MARGIN_SECONDS,
        )
        stream.open()
        return stream

    def patch(self, kind: str, name: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Change an object by a merge patch (RFC 7386) and return it."""
        return self._sender.ask(
            self._request(
                "patch",
                "PATCH",
                kind,
                name,
                body=patch,
                content_type="application/merge-patch+json",
            )
        )

    def delete(
        self,
        kind: str,
        name: str,
        *,
        uid: str = "",
        propagation: str = "Background",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object and its dependents, in the background.

        Raises:
            NotFound: it does not exist (any more).
            Conflict: the object of that name has another uid.
        """
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        self._sender.ask(self._request("delete", "DELETE", kind, name, body=options))

    def read_log(
        self,
        pod: str,
        container: str,
        *,
        since_time: str = "",
        tail_lines: int | None = None,
        timestamps: bool = False,
        limit_bytes: int | None = None,
    ) -> bytes:
        """Return the log of a container; `since_time` has whole seconds.

        Raises:
            NotFound: there is no such pod.
            Invalid: it has no such container, or the container has not begun.
        """
        wanted = {
            "container": container,
            "sinceTime": since_time,
            "tailLines": tail_lines,
            "timestamps": "true" if timestamps else "",
            "limitBytes": limit_bytes,
        }
        request = self._log(pod, wanted)
        return self._sender.ask_bytes(request, _LOG_SECONDS)

    def follow_log(
        self, pod: str, container: str, *, since_time: str = "", timestamps: bool = True
    ) -> LogStream:
        """Follow the log of a container.

        The request is sent by the first iteration: the kubelet does not answer before the container
        has written something, and until then the stream can be closed, too.
        """
        wanted = {
            "container": container,
            "sinceTime": since_time,
            "timestamps": "true" if timestamps else "",
            "follow": "true",
        }
        return self._stream(self._log(pod, wanted), _FOLLOW_SILENT_SECONDS, PrivateConnection())

    def stream_log(self, pod: str, container: str, *, since_time: str = "") -> LogStream:
        """Return the log of a container until now, with timestamps, in pieces: it may be large.

        Only the thread that reads it may close it.
        """
        wanted = {"container": container, "sinceTime": since_time, "timestamps": "true"}
        return self._stream(self._log(pod, wanted), SILENT_SECONDS)

    def _stream(
        self, request: Request, silence: float, own: PrivateConnection | None = None
    ) -> LogStream:
        return LogStream(
            request.asked, own, lambda: self._sender.send(request, own, silence), silence
        )

    def _log(self, pod: str, wanted: Mapping[str, Any]) -> Request:
        kept = {name: value for name, value in wanted.items() if value not in {None, ""}}
        path = f"/{quote(pod, safe='')}/log"
        return self._request("log", "GET", "Pod", pod, path=path, parameters=kept)

    def _request(self, verb: str, method: str, kind: str, name: str = "", **more: Any) -> Request:
        if kind not in KINDS:
            raise TypeError(f"{kind} is no kind that this client knows")
        resource = KINDS[kind]
        path = more.pop("path", f"/{quote(name, safe='')}" if name else "")
        asked = RequestInfo(self.place, verb, kind, resource.full, name)
        return Request(asked, resource, method, path, **more)

    def _http(self, adapter: Adapter) -> pykube.HTTPClient:
        # pykube gets only the address: credentials are added to each request.
        config = pykube.KubeConfig.from_url(self.place.server)
        http = pykube.HTTPClient(config, timeout=SILENT_SECONDS, http_adapter=adapter)
        http.session.trust_env = False  # else a .netrc would add credentials
        http.session.proxies = self._proxies
        http.session.headers["User-Agent"] = f"tac/{__version__}"
        return http


def _selected(labels: str, fields: str, resource_version: str) -> dict[str, Any]:
    found = {
        "labelSelector": labels,
        "fieldSelector": fields,
        "resourceVersion": resource_version,
    }
    return {name: value for name, value in found.items() if value}
