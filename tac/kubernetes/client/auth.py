"""The credentials of each request: files are read again, plugins run again, before they expire.

Safe for many threads: one of them reads or runs what is needed, the others wait.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tac.errors import ConfigError
from tac.kubernetes.client.config import read_material
from tac.kubernetes.client.exec_plugin import run_plugin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tac.kubernetes.client.config import ApiConfig, User

_log = logging.getLogger(__name__)

_FRESH_SECONDS = 60.0
"""How old what was read from a file may be. A kubelet writes a service account's token anew when a
fifth of its life is left, at least two minutes before its end (10 minutes is the shortest life)."""

_SKEW_SECONDS = 10.0
"""So much before its end a credential is not used any more: clocks differ, requests travel."""


@dataclass(frozen=True)
class Credential:
    """The credential of one request: a token, a password or a client certificate."""

    token: str = field(default="", repr=False)
    basic: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    expires: float | None = None
    """When it expires, in seconds since 1970; None: unknown."""

    @property
    def headers(self) -> dict[str, str]:
        """The header `Authorization`, if it has one."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        return {"Authorization": f"Basic {self.basic}"} if self.basic else {}


class Credentials(Protocol):
    """A source of credentials."""

    def current(self) -> Credential:
        """Return a valid credential."""

    def renewed(self, refused: Credential) -> Credential | None:
        """Return another one than the rejected one; None: there is no other."""


def credentials_of(config: ApiConfig) -> Credentials:
    """Choose the source of credentials as kubectl does: a token wins over a plugin."""
    user = config.user
    if user.plugin is None or user.token or user.token_file:
        return FileCredentials(user)
    return PluginCredentials(config)


class FileCredentials:
    """The credentials in the kubeconfig, and in the files that it names."""

    def __init__(self, user: User, clock: Callable[[], float] = time.monotonic) -> None:
        self._user = user
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Credential | None = None
        self._read_at = 0.0

    def current(self) -> Credential:
        """Return what was read less than a minute ago, or read it."""
        with self._lock:
            held = self._held
            if held is None or self._clock() - self._read_at > _FRESH_SECONDS:
                return self._read_again()
            return held

    def renewed(self, refused: Credential) -> Credential | None:
        """Read the files again; None if nothing has changed."""
        with self._lock:
            held = self._read_again()
            return None if held == refused else held

    def _read_again(self) -> Credential:
        try:
            self._held = self._read()
        except ConfigError as error:
            # A file that is being replaced exists again a moment later.
            if self._held is None:
                raise
            _log.warning("%s: the credentials read before are used", error)
        self._read_at = self._clock()
        return self._held

    def _read(self) -> Credential:
        user = self._user
        token = user.token
        if user.token_file:
            token = _text(read_material(user.token_file), user.token_file)
        basic = f"{user.username}:{user.password}" if user.username else ""
        return Credential(
            token=_checked(token, str(user.token_file or "kubeconfig")),
            basic=base64.b64encode(basic.encode()).decode(),
            certificate=read_material(user.certificate) if user.certificate else b"",
            key=read_material(user.key) if user.key else b"",
        )


class PluginCredentials:
    """The credential of an exec plugin, cached until it expires or is rejected."""

    def __init__(self, config: ApiConfig, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Credential | None = None

    def current(self) -> Credential:
        """Return the cached credential, or run the plugin if it has expired."""
        with self._lock:
            return self._run() if self._held is None or self._ended(self._held) else self._held

    def renewed(self, refused: Credential) -> Credential | None:
        """Run the plugin again, unless another thread has meanwhile."""
        with self._lock:
            return self._run() if self._held is None or self._held == refused else self._held

    def _ended(self, held: Credential) -> bool:
        return held.expires is not None and self._clock() > held.expires - _SKEW_SECONDS

    def _run(self) -> Credential:
        answer = run_plugin(self._config, again=self._held is not None)
        self._held = Credential(
            token=_checked(answer.token, f"credential plugin {answer.command!r}"),
            certificate=answer.certificate,
            key=answer.key,
            expires=answer.expires,
        )
        return self._held


def _text(content: bytes, path: Path) -> str:
    try:
        text = content.decode("ascii").strip()
    except ValueError:
        text = ""
    if not text:
        raise ConfigError(f"{path}: holds no token")
    return text


def _checked(token: str, where: str) -> str:
    """Return the token if it is valid in a header: the library's own error would quote it."""
    if not all("!" <= each <= "~" for each in token):
        raise ConfigError(f"{where}: its token has characters that no token has")
    return token
