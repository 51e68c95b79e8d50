"""The configuration of a client: address, certificates, user, credentials.

Plain data, and how a file of it is read; `repr` shows no credential.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tac.errors import ConfigError
from tac.kubernetes.place import Place

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Plugin:
    """An exec plugin: a program that prints a credential."""

    command: str
    api_version: str
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    install_hint: str = ""
    cluster: Mapping[str, Any] | None = field(default=None, repr=False)
    """The kubeconfig's cluster, if the plugin wants it (`provideClusterInfo`)."""


@dataclass(frozen=True)
class User:
    """A user of the kubeconfig: inline data as bytes or text, a file as its path."""

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: bytes | Path | None = field(default=None, repr=False)
    key: bytes | Path | None = field(default=None, repr=False)
    plugin: Plugin | None = None
    impersonation: Mapping[str, str] = field(default_factory=dict)
    """The headers of impersonation."""

    @property
    def has_secret(self) -> bool:
        """Whether a request contains a reusable secret; a certificate is none."""
        return bool(self.token or self.token_file or self.username or self.plugin)


@dataclass(frozen=True)
class ApiConfig:
    """The configuration of a client of one API server."""

    place: Place
    user: User
    authority: bytes | Path | None = field(default=None, repr=False)
    """The certificate authorities; None: the system's."""
    verify: bool = True
    server_name: str = ""
    """The server name in the certificate, if it is not that of the address (`tls-server-name`)."""
    proxy: str = field(default="", repr=False)

    @property
    def identity(self) -> ApiConfig:
        """All of it but the names in the kubeconfig and the path of that file."""
        return replace(self, place=Place("", self.place.namespace, self.place.server))


def read_material(material: bytes | Path) -> bytes:
    """Return a certificate, a key or a token, inline or from its file.

    Raises:
        ConfigError: its file cannot be read.
    """
    try:
        return material if isinstance(material, bytes) else material.read_bytes()
    except OSError as error:
        raise ConfigError(f"{material!s}: cannot be read: {error.strerror}") from error
