"""Connections to one API server, with one identity: TLS, proxies, read timeouts.

Keys are in memory. OpenSSL reads a client's key from a file only, so it gets one in a private
directory, which is removed right after.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests.adapters
import requests.utils
import urllib3
import urllib3.connection

from tac.errors import ConfigError
from tac.kubernetes.client.config import read_material

if TYPE_CHECKING:
    from tac.kubernetes.client.auth import Credential
    from tac.kubernetes.client.config import ApiConfig

MOST_CONNECTIONS = 300
"""How many idle connections are kept; a driver has about as many threads."""

_IDLE_SECONDS, _PROBE_SECONDS, _PROBES = 30, 10, 3
"""TCP keepalive: a server that vanished is noticed after a minute, and a load balancer (AWS: 350 s)
does not drop an idle connection."""


class Adapter(requests.adapters.HTTPAdapter):
    """Connections that check this server's certificate and present the client's.

    Certificate files and variables that requests and urllib3 would read are ignored.
    """

    def __init__(self, config: ApiConfig, context: ssl.SSLContext | None) -> None:
        self._options: dict[str, Any] = {"socket_options": _socket_options()}
        if context is not None:
            self._options["ssl_context"] = context
            if config.server_name:
                self._options["server_hostname"] = config.server_name
        super().__init__(pool_connections=1, pool_maxsize=MOST_CONNECTIONS)

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,  # noqa: FBT001, FBT002 # the library's own signature
        **options: Any,
    ) -> None:
        """Use the context for every connection."""
        super().init_poolmanager(connections, maxsize, block, **options, **self._options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The same through a proxy."""
        return super().proxy_manager_for(proxy, **options, **self._options)

    def cert_verify(self, *_arguments: Any) -> None:
        """Leave the certificates to the context: by default all the public ones are added."""

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The same."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}


class PrivateConnection:
    """One connection for one request, which another thread may close at any time."""

    def __init__(self) -> None:
        self._connection: urllib3.connection.HTTPConnection | None = None
        self._cut = False
        # Reentrant: a signal handler may close it in the thread that opens it.
        self._lock = threading.RLock()

    def adapter(self, config: ApiConfig, context: ssl.SSLContext | None) -> Adapter:
        """Return the adapter that opens the connection when the request is sent."""
        return _OwnAdapter(config, context, self)

    def made(self, connection: urllib3.connection.HTTPConnection) -> None:
        """Keep the connection, which was just opened."""
        with self._lock:
            self._connection = connection
            if self._cut:
                self.break_off()

    def allow_silence(self, seconds: float) -> None:
        """Set the read timeout."""
        if (found := self._socket()) is not None:
            found.settimeout(seconds)

    def break_off(self) -> None:
        """Break the connection: a thread that reads or writes gets an error at once."""
        with self._lock:
            self._cut = True
            if (found := self._socket()) is not None:
                with contextlib.suppress(OSError):  # it is closed already
                    # On the plain socket: shutdown of the TLS one would race with the reader.
                    socket.socket.shutdown(found, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it, once no thread reads from it."""
        if self._connection is not None:
            self._connection.close()

    def _socket(self) -> socket.socket | None:
        found: Any = getattr(self._connection, "sock", None)
        below = getattr(found, "socket", found)  # TLS inside a proxy's TLS
        return below if isinstance(below, socket.socket) else None


class _OwnAdapter(Adapter):
    def __init__(
        self, config: ApiConfig, context: ssl.SSLContext | None, own: PrivateConnection
    ) -> None:
        super().__init__(config, context)
        self._own = own

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        make = pool.ConnectionCls

        def connection_of_ours(*arguments: Any, **more: Any) -> Any:
            connection = make(*arguments, **more)
            connect = connection.connect

            def connect_and_tell() -> None:
                connect()
                self._own.made(connection)

            connection.connect = connect_and_tell
            return connection

        pool.ConnectionCls = connection_of_ours
        return pool


def proxies(config: ApiConfig) -> dict[str, str]:
    """Return the proxy that the kubeconfig names, or else the environment's."""
    if config.proxy:
        return {"http": config.proxy, "https": config.proxy}
    return dict(requests.utils.get_environ_proxies(config.place.server, no_proxy=None))


def tls(config: ApiConfig, credential: Credential) -> ssl.SSLContext | None:
    """Build the TLS context: trusted authorities and the client certificate; None for http://.

    Raises:
        ConfigError: a certificate or a key cannot be used.
    """
    if not config.place.server.startswith("https:"):
        return None
    about = f"context {config.place.context!r}"
    context = _context_with_authority(config, about)
    # Python 3.13 refuses authorities without key identifiers, which EKS still makes:
    # https://github.com/kubernetes-client/python/issues/2394
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # insecure-skip-tls-verify; kubectl does not warn of it with every request either.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if credential.certificate:
        _load_client_certificate(context, credential, f"{about}: its client certificate")
    return context


def _context_with_authority(config: ApiConfig, about: str) -> ssl.SSLContext:
    if config.authority is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=read_material(config.authority).decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"{about}: its certificate-authority is no certificate in PEM") from error


def _load_client_certificate(context: ssl.SSLContext, credential: Credential, about: str) -> None:
    with tempfile.TemporaryDirectory(prefix="tac-") as folder:  # mode 0700
        certificate, key = Path(folder, "certificate"), Path(folder, "key")
        certificate.write_bytes(credential.certificate)
        key.touch(mode=0o600)
        key.write_bytes(credential.key)
        try:
            context.load_cert_chain(certificate, key, password="")
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(f"{about} and key cannot be used, or not together") from error


def _socket_options() -> list[tuple[int, int, int]]:
    options = list(urllib3.connection.HTTPConnection.default_socket_options)
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
    if idle is not None:  # macOS has another name for it
        options.append((socket.IPPROTO_TCP, idle, _IDLE_SECONDS))
    options.append((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_SECONDS))
    options.append((socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES))
    return options
