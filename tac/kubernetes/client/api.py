"""The one door to the Kubernetes API: objects of one namespace, as plain dicts in API spelling.

Nothing here waits for a server that is away, or tries anything again: only a credential that is
refused (401) is asked for anew, once. Every request has a deadline. Underneath is pykube, which is
given connections, credentials and configuration of ours, because its own come to grief: watches end
after ten silent seconds, tokens are read once, plugins run with every request, and keys are written
where everybody can read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pykube

from tac import __version__, settings
from tac.kubernetes.client.connection import Adapter, OwnConnection, proxies
from tac.kubernetes.client.errors import Asked
from tac.kubernetes.client.kubeconfig import SERVICE_ACCOUNT, find_access
from tac.kubernetes.client.streams import LogStream, Watch
from tac.kubernetes.client.transport import SILENT_SECONDS, Request, Resource, Sender
from tac.kubernetes.place import Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["KINDS", "Client", "LogStream", "Place", "Watch"]

_LOG_SECONDS = 600.0
"""How long reading a whole log may take."""

_WATCH_MARGIN_SECONDS = 30.0
"""How much longer than its time a watch may be silent; by default it would be cut long before."""

_FOLLOW_SILENT_SECONDS = 900.0
"""How long a container may say nothing before it is asked anew; a connection that is dead is
noticed sooner, by its probes."""

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
    """One namespace of one Kubernetes cluster. Any number of threads may use it, no forked process.

    What is not chosen is as kubectl chooses it. `path` is a kubeconfig to use in the place of the
    usual ones; `in_pod`, the service account of the pod that this runs in and nothing else.

    Raises:
        ConfigError: no API server is configured, or not so that it can be asked.
    """

    def __init__(
        self, *, context: str = "", namespace: str = "", path: str = "", in_pod: bool = False
    ) -> None:
        self._access = find_access(
            context=context,
            namespace=namespace,
            path=path,
            in_pod=in_pod,
            variable=settings.variable,
            service_account=SERVICE_ACCOUNT,
        )
        self.place = self._access.place
        self._proxies = proxies(self._access)
        self._sender = Sender(self._access, self._http)

    def __repr__(self) -> str:
        return f"Client({self.place!r})"

    def close(self) -> None:
        """Give the connections back."""
        self._sender.close()

    def reaches_the_same_as(self, other: Client) -> bool:
        """Tell whether both ask the same namespace of the same API server, as the same user."""
        return self._access.identity == other._access.identity

    def now(self) -> datetime:
        """Return the time as the API server has it, give or take a second; asks nothing."""
        return self._sender.now()

    def create(self, kind: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object and return it; a field that the API does not know is refused.

        Raises:
            Invalid: the server does not take it, such as a misspelt field.
            Conflict: there is one of that name (its reason is `AlreadyExists`), or a quota changed
                under the server's hands (`Conflict`): the same again may work.
        """
        metadata = manifest.get("metadata") or {}
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        # Otherwise what a person's patch misspells would be dropped without a word.
        strict = {"fieldValidation": "Strict"}
        request = self._request(
            "create", "POST", kind, name, path="", parameters=strict, body=manifest
        )
        return self._sender.ask(request)

    def read(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object.

        Raises:
            NotFound: there is none, or no such namespace: the server does not tell which.
        """
        return self._sender.ask(self._request("get", "GET", kind, name))

    def list(
        self, kind: str, *, labels: str = "", fields: str = "", resource_version: str = ""
    ) -> dict[str, Any]:
        """Return all objects that are selected, however many, and the version of them all.

        A namespace that does not exist has none.

        Raises:
            Expired: it took so long that the server forgot where it was: list again.
        """
        wanted = {**_selected(labels, fields, resource_version), "limit": _PAGE}
        whole = self._sender.ask(self._request("list", "GET", kind, parameters=wanted))
        metadata = whole["metadata"]
        while token := metadata.pop("continue", ""):
            # A page after the first is of the first one's version, and may not name it again.
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
        """Return the events since a version, for so long; the server has accepted it by then.

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
        own = OwnConnection()
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
        """Delete an object, and what belongs to it; it may take a while to be gone.

        Raises:
            NotFound: there is none (any more).
            Conflict: the one of that name is not the one with this uid.
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
        """Return what a container has said; `since_time` counts in whole seconds.

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
        """Return what a container has said and will say.

        The request is sent when the first piece is asked for: the kubelet does not answer before
        the container says something, and until then it can be closed too.
        """
        wanted = {
            "container": container,
            "sinceTime": since_time,
            "timestamps": "true" if timestamps else "",
            "follow": "true",
        }
        return self._stream(self._log(pod, wanted), _FOLLOW_SILENT_SECONDS)

    def stream_log(self, pod: str, container: str, *, since_time: str = "") -> LogStream:
        """Return what a container has said until now, with times, in pieces: it may be much."""
        wanted = {"container": container, "sinceTime": since_time, "timestamps": "true"}
        return self._stream(self._log(pod, wanted), SILENT_SECONDS)

    def _stream(self, request: Request, silence: float) -> LogStream:
        own = OwnConnection()
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
        asked = Asked(self.place, verb, kind, resource.full, name)
        return Request(asked, resource, method, path, **more)

    def _http(self, adapter: Adapter) -> pykube.HTTPClient:
        # pykube knows of the server only: who we are is said with each request.
        config = pykube.KubeConfig.from_url(self.place.server)
        http = pykube.HTTPClient(config, timeout=SILENT_SECONDS, http_adapter=adapter)
        http.session.trust_env = False  # a .netrc would say who we are, too
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
