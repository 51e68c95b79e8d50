"""What it takes to talk to one API server: its place, its certificates, and who we are there.

Only data, and how one piece of it is read; `repr` shows no credential.
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
class ApiConfig:
    """All that it takes to talk to one API server."""

    place: Place
    user: User
    authority: bytes | Path | None = field(default=None, repr=False)
    """The certificates that the server's is checked against; without, the system's."""
    verify: bool = True
    server_name: str = ""
    """The name that the server's certificate must be for, where that is not its address."""
    proxy: str = field(default="", repr=False)

    @property
    def identity(self) -> ApiConfig:
        """All of it but how the kubeconfig calls it, and which file that is."""
        return replace(self, place=Place("", self.place.namespace, self.place.server))


def read_material(material: bytes | Path) -> bytes:
    """Return a certificate, a key or a token, wherever it stands.

    Raises:
        ConfigError: its file cannot be read.
    """
    try:
        return material if isinstance(material, bytes) else material.read_bytes()
    except OSError as error:
        raise ConfigError(f"{material!s}: cannot be read: {error.strerror}") from error
