"""Docker contexts: which engine the `docker` command uses, by its files.

The docker package looks for them where a config.json is, which there need not be, and for nothing
else when a context is not there.
https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_DEFAULT = "default"
"""The context without files, which stands for DOCKER_HOST or the engine of this machine."""


@dataclass(frozen=True)
class DockerContext:
    """Where an engine is, and the files of TLS that it is asked with."""

    host: str
    verify: bool = True
    authority: str | None = None
    certificate: tuple[str, str] | None = None
    """A certificate and its key."""

    @property
    def has_tls(self) -> bool:
        """Whether it is asked over TLS."""
        return bool(self.authority or self.certificate or not self.verify)


def current_context(variable: Callable[[str], str | None]) -> DockerContext | None:
    """Return the context that `docker` would use; None: the default, or what DOCKER_HOST names.

    Raises:
        ConfigError: it is not there, or cannot be read.
    """
    # Path.expanduser raises for a user without a home.
    folder = Path(variable("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))  # noqa: PTH111
    name = variable("DOCKER_CONTEXT") or _current_of(folder / "config.json")
    if variable("DOCKER_HOST") or name == _DEFAULT:
        return None
    identifier = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / identifier / "meta.json"
    try:
        endpoint = json.loads(meta.read_text(encoding="utf-8"))["Endpoints"]["docker"]
        host, skips = str(endpoint["Host"]), bool(endpoint.get("SkipTLSVerify"))
    except FileNotFoundError as error:
        raise _unusable(name, f"there is none in {folder / 'contexts'}") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _unusable(name, f"{meta}: cannot be read: {error}") from error
    tls = folder / "contexts" / "tls" / identifier / "docker"
    authority, certificate, key = (
        str(tls / each) if (tls / each).is_file() else None
        for each in ("ca.pem", "cert.pem", "key.pem")
    )
    pair = (certificate, key) if certificate and key else None
    return DockerContext(host, not skips, authority, pair)


def _current_of(file: Path) -> str:
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        return str(found.get("currentContext") or _DEFAULT)
    except (OSError, ValueError, AttributeError):
        return _DEFAULT  # as `docker` does, which warns of it


def _unusable(name: str, said: str) -> ConfigError:
    return ConfigError(
        f"docker context {name!r}: {said}",
        hint="`docker context ls` shows those that there are: set DOCKER_CONTEXT, or "
        "`docker context use default`",
    )
