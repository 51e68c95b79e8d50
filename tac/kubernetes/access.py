"""What it takes to talk to one API server: its place, its certificates, and who we are there.

Only data, and how one piece of it is read; `repr` shows no credential.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

IN_CLUSTER = "in-cluster"
"""The name of the context that a pod's own service account is."""


@dataclass(frozen=True)
class Place:
    """Where requests go, for people: the first line of a run shows it."""

    context: str
    namespace: str
    server: str

    kubeconfig: str = ""
    """The file that was named instead of the usual ones."""

    @property
    def kubectl(self) -> str:
        """How a command begins that a person can paste; inside a pod there is no context to name.

        It is named even where it is the current one: when the command is pasted, it may not be.
        """
        chosen = [] if self.context == IN_CLUSTER else ["--context", self.context]
        file = ["--kubeconfig", self.kubeconfig] if self.kubeconfig else []
        return shlex.join(["kubectl", *file, *chosen])

    @property
    def kubectl_here(self) -> str:
        """How one begins that is about something in the namespace."""
        return f"{self.kubectl} --namespace {shlex.quote(self.namespace)}"


@dataclass(frozen=True)
class Plugin:
    """A program that gives credentials when it is asked."""

    command: str
    api_version: str
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    install_hint: str = ""
    cluster: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the kubeconfig says of the API server, if the plugin wants to be told."""


@dataclass(frozen=True)
class User:
    """Who we are: what stands in the kubeconfig as bytes or text, a file of its own as its path."""

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: bytes | Path | None = field(default=None, repr=False)
    key: bytes | Path | None = field(default=None, repr=False)
    plugin: Plugin | None = None
    impersonation: Mapping[str, str] = field(default_factory=dict)
    """Headers that name whom to act as."""

    @property
    def has_secret(self) -> bool:
        """Whether a request says what lets in whoever reads it; a certificate does not."""
        return bool(self.token or self.token_file or self.username or self.plugin)


@dataclass(frozen=True)
class Access:
    """All that it takes to talk to one API server."""

    place: Place
    user: User
    authority: bytes | Path | None = field(default=None, repr=False)
    """The certificates that the server's is checked against; without, the system's."""
    verify: bool = True
    server_name: str = ""
    """The name that the server's certificate must be for, where that is not its address."""
    proxy: str = field(default="", repr=False)


def read_material(material: bytes | Path) -> bytes:
    """Return a certificate, a key or a token, wherever it stands.

    Raises:
        ConfigError: its file cannot be read.
    """
    try:
        return material if isinstance(material, bytes) else material.read_bytes()
    except OSError as error:
        raise ConfigError(f"{material!s}: cannot be read: {error.strerror}") from error
