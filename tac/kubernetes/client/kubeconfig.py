"""Which API server, and as whom: kubeconfig files, or the service account of this pod.

Chooses as kubectl does, and refuses by name what tac does not support. It reads files, runs no
plugin and sends no request; keys and tokens in files of their own are read when they are needed.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from tac.errors import ConfigError
from tac.kubernetes.client.config import ApiConfig, Plugin, User
from tac.kubernetes.place import IN_CLUSTER, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
"""The supported versions of the ExecCredential API; Kubernetes 1.24 removed v1alpha1."""


_Entry = tuple[Path, dict[str, Any]]


@dataclass(frozen=True)
class _Files:
    """Several kubeconfig files as one. An entry keeps its file: relative paths begin there."""

    paths: tuple[Path, ...]
    current: str
    contexts: Mapping[str, _Entry]
    clusters: Mapping[str, _Entry]
    users: Mapping[str, _Entry]


def find_config(
    *,
    context: str = "",
    namespace: str = "",
    path: str = "",
    in_pod: bool = False,
    variable: Callable[[str], str | None],
    service_account: Path,
) -> ApiConfig:
    """Choose the API server and the user, and read their configuration.

    A context of the kubeconfig files comes first, named or current; without any, the service
    account of the pod that this runs in. `path` is the only file then; `in_pod` ignores all files.

    Raises:
        ConfigError: there is none, or it cannot be used.
    """
    inside = bool((service_account / "token").is_file() and variable("KUBERNETES_SERVICE_HOST"))
    if in_pod:
        if not inside:
            raise _no_pod()
        return _in_cluster(service_account, namespace, variable)
    files = _read_files(_paths(path or variable("KUBECONFIG")))
    wanted = context or files.current
    if wanted in files.contexts:
        try:
            return _of_context(files, wanted, namespace, path)
        except (AttributeError, LookupError, TypeError) as error:
            where = files.contexts[wanted][0]
            raise ConfigError(
                f"context {wanted!r}: {where}: a field has a value of the wrong type: {error}",
                hint=f"`kubectl --kubeconfig {quote(str(where))} config view` names it",
            ) from error
    if inside and not path and (context == IN_CLUSTER or not files.contexts):
        if context not in {"", IN_CLUSTER}:
            raise ConfigError(f"context {context!r}: there is none in this pod but {IN_CLUSTER}")
        return _in_cluster(service_account, namespace, variable)
    raise _no_pod() if wanted == IN_CLUSTER else _no_context(files, wanted)


def _no_pod() -> ConfigError:
    return ConfigError(
        f"context {IN_CLUSTER!r}: this is not a pod with the token of a service account",
        hint="set automountServiceAccountToken in the pod, or name a context of a kubeconfig",
    )


def _no_context(files: _Files, wanted: str) -> ConfigError:
    where = ":".join(map(str, files.paths))
    if not files.contexts:
        return ConfigError(
            f"kubernetes: no API server is configured: {where} names none, and this is not a pod",
            hint="`minikube start`, or set KUBECONFIG to the file of another cluster",
        )
    there = ", ".join(sorted(files.contexts))
    chooses = "name one with the setting `kubernetes_context`"
    if not wanted:
        return ConfigError(
            f"kubernetes: {where} has no current context; there are {there}",
            hint=f"`kubectl config use-context …`, or {chooses}",
        )
    return ConfigError(
        f"context {wanted!r}: {where} has none of that name; there are {there}",
        hint=f"{chooses}, or set KUBECONFIG to the file that has it",
    )


def _paths(listed: str | None) -> tuple[Path, ...]:
    named = tuple(_with_home(each) for each in (listed or "").split(":") if each)
    return named or (_with_home("~/.kube/config"),)


def _with_home(path: str) -> Path:
    # Path.expanduser raises for a user without a home, who may be in a pod and need none.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _read_files(paths: tuple[Path, ...]) -> _Files:
    # https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
    documents = [(path, _read_file(path)) for path in paths if path.is_file()]
    current = [str(each.get("current-context") or "") for _, each in documents]
    return _Files(
        paths,
        next(filter(None, current), ""),
        _named(documents, "contexts", "context"),
        _named(documents, "clusters", "cluster"),
        _named(documents, "users", "user"),
    )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        # From a stream, not a string: then yaml's errors quote no line, which may hold a token.
        with path.open(encoding="utf-8") as file:
            document = yaml.safe_load(file)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{path}: is not YAML: line {line}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = getattr(error, "strerror", None) or "is not text"
        raise ConfigError(f"{path}: cannot be read: {said}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: is not a kubeconfig")
    return document


def _named(
    documents: Iterable[tuple[Path, Mapping[str, Any]]], several: str, one: str
) -> dict[str, _Entry]:
    found: dict[str, _Entry] = {}
    for path, document in documents:
        entries = document.get(several) or []
        if not isinstance(entries, list):
            raise ConfigError(f"{path}: {several} is not a list")
        for entry in entries:
            if not isinstance(entry, dict) or not entry.get("name"):
                raise ConfigError(f"{path}: an entry of {several} has no name")
            content = entry.get(one) or {}
            if not isinstance(content, dict):
                raise ConfigError(f"{path}: {one} {entry['name']!r} has no fields")
            found.setdefault(str(entry["name"]), (path, content))
    return found


def _of_context(files: _Files, name: str, namespace: str, chosen: str) -> ApiConfig:
    path, context = files.contexts[name]

    def part(kind: str, entries: Mapping[str, _Entry]) -> _Entry:
        named = str(context.get(kind) or "")
        if named not in entries and (named or kind == "cluster"):
            raise ConfigError(f"context {name!r}: {path} names the {kind} {named!r}: there is none")
        return entries.get(named, (path, {}))

    cluster_path, cluster = part("cluster", files.clusters)
    user_path, user = part("user", files.users)
    server = _server(name, cluster)
    return ApiConfig(
        place=Place(
            name,
            namespace or str(context.get("namespace") or "default"),
            server,
            kubeconfig=str(_with_home(chosen)) if chosen else "",
        ),
        user=_without_secrets_over_http(name, server, _user(name, user_path, user, cluster)),
        authority=_material(cluster_path, cluster, "certificate-authority"),
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=str(cluster.get("tls-server-name") or ""),
        proxy=str(cluster.get("proxy-url") or ""),
    )


def _server(name: str, cluster: Mapping[str, Any]) -> str:
    server = str(cluster.get("server") or "")
    parts = urlsplit(server)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ConfigError(f"context {name!r}: its server is not an address like https://HOST:PORT")
    return server.rstrip("/")


def _without_secrets_over_http(context: str, server: str, user: User) -> User:
    """Return the user without what must not be sent to this server: http is not encrypted.

    kubectl sends no credential over http, and is anonymous there. That is right on this machine,
    where `kubectl proxy` adds it; otherwise the 401 that follows would not explain anything.

    Raises:
        ConfigError: a credential would be sent over http to another machine.
    """
    parts = urlsplit(server)
    if parts.scheme == "https" or not user.has_secret:
        return user
    if _is_this_machine(parts.hostname or ""):
        return User(impersonation=user.impersonation)
    raise ConfigError(
        f"context {context!r}: its server {server} speaks http, over which a token or a password "
        "is not sent",
        hint="name its https:// address: `kubectl config set-cluster … --server https://…`; for "
        "`kubectl proxy`, its address on this machine",
    )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _material(path: Path, entry: Mapping[str, Any], key: str) -> bytes | Path | None:
    """A certificate or a key: as data, which comes first, or as a file beside its kubeconfig."""
    if data := entry.get(f"{key}-data"):
        data = data.decode("latin-1") if isinstance(data, bytes) else data  # YAML's !!binary
        try:
            # Go's decoder leaves out the ends of lines, and nothing else.
            return base64.b64decode(re.sub("[\r\n]", "", data), validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise ConfigError(f"{path}: {key}-data is not base64") from error
    return _beside(path, entry.get(key))


def _beside(path: Path, named: object) -> Path | None:
    return path.absolute().parent / str(named) if named else None


def _user(
    context: str,
    path: Path,
    user: Mapping[str, Any],
    cluster: Mapping[str, Any],
) -> User:
    if "auth-provider" in user and not user.get("exec"):
        raise ConfigError(
            f"context {context!r}: its user has an auth-provider, which Kubernetes 1.26 dropped",
            hint="let your cloud's tool write the kubeconfig again: it will name an exec plugin",
        )
    certificate = _material(path, user, "client-certificate")
    key = _material(path, user, "client-key")
    if (certificate is None) != (key is None):
        raise ConfigError(f"context {context!r}: a client certificate and its key go together")
    return User(
        token=str(user.get("token") or "").strip(),
        token_file=_beside(path, user.get("tokenFile")),
        username=str(user.get("username") or ""),
        password=str(user.get("password") or ""),
        certificate=certificate,
        key=key,
        plugin=_plugin(context, path, user["exec"], cluster) if user.get("exec") else None,
        impersonation=_impersonation(context, user),
    )


def _impersonation(context: str, user: Mapping[str, Any]) -> dict[str, str]:
    groups = user.get("as-groups") or []
    # A request of this library holds a header once, and Kubernetes wants one header a group.
    if len(groups) > 1 or user.get("as-user-extra"):
        raise ConfigError(
            f"context {context!r}: tac impersonates a user and one group, no more",
            hint="use a service account with these rights",
        )
    headers = {
        "Impersonate-User": user.get("as"),
        "Impersonate-Uid": user.get("as-uid"),
        "Impersonate-Group": groups[0] if groups else None,
    }
    return {name: str(value) for name, value in headers.items() if value}


def _plugin(
    context: str,
    path: Path,
    entry: Mapping[str, Any],
    cluster: Mapping[str, Any],
) -> Plugin:
    # https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
    command = str(entry.get("command") or "")
    about = f"context {context!r}: its credential plugin {command!r}"
    if entry.get("apiVersion") not in API_VERSIONS:
        raise ConfigError(
            f"{about} has the API version {entry.get('apiVersion')!r}; "
            f"tac supports {' and '.join(API_VERSIONS)}",
            hint="update the plugin, and let it write the kubeconfig again",
        )
    if entry.get("interactiveMode") == "Always":
        raise ConfigError(
            f"{about} is interactive (interactiveMode: Always), and tac runs none of these",
            hint="use a service account's token, or a plugin that is not interactive",
        )
    if not command:
        raise ConfigError(f"{about} has no command")
    # A bare name is looked for on the PATH, anything else beside the kubeconfig.
    program = str(_beside(path, command)) if "/" in command else command
    return Plugin(
        command=program,
        api_version=entry["apiVersion"],
        arguments=tuple(map(str, entry.get("args") or ())),
        environment={each["name"]: str(each.get("value") or "") for each in entry.get("env") or ()},
        install_hint=str(entry.get("installHint") or "").strip(),
        cluster=cluster if entry.get("provideClusterInfo") else None,
    )


def _in_cluster(account: Path, namespace: str, variable: Callable[[str], str | None]) -> ApiConfig:
    host, port = variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT") or "443"
    own = account / "namespace"
    try:
        named = namespace or own.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{own}: cannot be read: {error}") from error
    return ApiConfig(
        place=Place(
            IN_CLUSTER,
            named,
            f"https://[{host}]:{port}" if ":" in str(host) else f"https://{host}:{port}",
        ),
        user=User(token_file=account / "token"),
        authority=account / "ca.crt",
    )
