"""One run of a credential plugin: a program of the user's that prints a credential.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
Its stdout is a credential and never quoted; its stderr is.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tac import settings
from tac.errors import ApiUnavailable, ConfigError, TacError, cut
from tac.kubernetes.client.config import read_material

if TYPE_CHECKING:
    from pathlib import Path

    from tac.kubernetes.client.config import ApiConfig, Plugin

_DEADLINE_SECONDS = 60.0
"""How long a plugin may take: the clouds' take a second or two, and one that prompts on a terminal
never ends."""

_EXTENSION = "client.authentication.k8s.io/exec"
_KEPT = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "proxy-url",
    "disable-compression",
)


@dataclass(frozen=True)
class ExecCredential:
    """The credential that it printed."""

    command: str
    token: str = field(repr=False)
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    expires: float | None


def run_plugin(config: ApiConfig, *, again: bool) -> ExecCredential:
    """Run the plugin of a configuration and parse its output; `again`: it has worked before.

    Raises:
        ConfigError: it does not exist, fails, or prints something else.
        ApiUnavailable: it failed, but has worked before.
    """
    plugin = config.user.plugin
    if plugin is None:
        raise TypeError("this user has no plugin")
    about = f"context {config.place.context!r}: its credential plugin {plugin.command!r}"
    output = _output(plugin, _information(plugin, config.authority), about, again=again)
    try:
        return _read(plugin, json.loads(output))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # `from None`: the error may quote the credential.
        said = str(error) if type(error) is ValueError else "is no ExecCredential"
        raise ConfigError(f"{about} printed what cannot be used: {said}") from None


def _output(plugin: Plugin, information: str, about: str, *, again: bool) -> bytes:
    environment = {
        **settings.child_environment(),
        **plugin.environment,
        "KUBERNETES_EXEC_INFO": information,
    }
    try:
        process = subprocess.Popen(
            [plugin.command, *plugin.arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that its children end with it
        )
    except OSError as error:
        hint = cut(plugin.install_hint) or f"install {plugin.command}, or put it on the PATH"
        raise ConfigError(f"{about} cannot be started: {error.strerror}", hint=hint) from error
    with process:
        try:
            output, said = process.communicate(timeout=_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise _failed(f"{about} took over {_DEADLINE_SECONDS:g} s", again=again) from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        words = cut(said.decode(errors="replace")) or "it said nothing"
        raise _failed(f"{about} failed: exit code {process.returncode}: {words}", again=again)
    return output


def _failed(message: str, *, again: bool) -> TacError:
    if again:
        return ApiUnavailable(message)
    return ConfigError(message, hint="run it by hand; you may have to log in again")


def _information(plugin: Plugin, authority: bytes | Path | None) -> str:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.cluster is not None:
        spec["cluster"] = {name: plugin.cluster[name] for name in _KEPT if name in plugin.cluster}
        if authority is not None:
            authority = read_material(authority)
            spec["cluster"]["certificate-authority-data"] = base64.b64encode(authority).decode()
        for extension in plugin.cluster.get("extensions") or ():
            if extension.get("name") == _EXTENSION:
                spec["cluster"]["config"] = extension.get("extension")
    return json.dumps({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec})


def _read(plugin: Plugin, printed: dict[str, Any]) -> ExecCredential:
    if printed["kind"] != "ExecCredential":
        raise ValueError("is no ExecCredential")
    if printed["apiVersion"] != plugin.api_version:
        raise ValueError(f"not of {plugin.api_version}, which the kubeconfig names")
    status = printed["status"]
    token = status.get("token") or ""
    certificate = (status.get("clientCertificateData") or "").encode()
    key = (status.get("clientKeyData") or "").encode()
    if bool(certificate) != bool(key):
        raise ValueError("a client certificate and its key go together")
    if not token and not certificate:
        raise ValueError("neither a token nor a certificate")
    return ExecCredential(plugin.command, token, certificate, key, _moment(status))


def _moment(status: dict[str, Any]) -> float | None:
    text = status.get("expirationTimestamp")
    if not text:
        return None
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ValueError("its expirationTimestamp is no time") from None
