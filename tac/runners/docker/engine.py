"""The one door to the Docker engine: requests by id or label, and errors that say what to do.

Nothing here waits for an engine that does not answer, or tries anything again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import docker
import docker.auth
import docker.credentials
import docker.errors
import docker.tls
import docker.utils

from tac import settings
from tac.errors import (
    ConfigError,
    ContainerConflict,
    ContainerNotFound,
    EngineError,
    EngineRefused,
    EngineUnavailable,
    ImageNotFound,
    cut,
)
from tac.runners.docker import engine_words
from tac.runners.docker.context import current_context

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

_ANSWER_SECONDS = 30
"""How long the engine may think about a request: it creates a container in well under one."""

_MOST_CONNECTIONS = 256
_CONFLICT = 409
_DEFAULT_HOST = "unix:///var/run/docker.sock"


class Stream(Protocol):
    """What a container says, in pieces, until it ends or the connection does."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """End it from another thread."""


@dataclass(frozen=True)
class State:
    """What the engine knows of a container."""

    id: str
    name: str
    status: str
    exit_code: int
    oom_killed: bool
    seconds: float
    memory: int
    """How many bytes it may use; 0: it is not limited."""
    labels: Mapping[str, str]
    pids: int = 0
    """How many processes it may have; 0: any number."""
    tmp_bytes: int = 0
    """How much its /tmp may hold; 0: it is not limited."""

    @property
    def finished(self) -> bool:
        """Whether its program ran, and ended."""
        return self.status in {"exited", "dead"}


class Engine:
    """A Docker engine that has answered once. Any number of threads may use it.

    Raises:
        ConfigError: what names it is no address.
    """

    def __init__(self) -> None:
        address = _address()
        self.host = str(address["base_url"])
        _check(self.host)
        with self._asked():
            client = docker.DockerClient(
                **address, timeout=_ANSWER_SECONDS, max_pool_size=_MOST_CONNECTIONS
            )
            self._api = client.api
            self.info: Mapping[str, Any] = client.api.info()
            """What it says of itself."""

    def close(self) -> None:
        """Give the connections back."""
        self._api.close()

    def find(self, labels: Mapping[str, str]) -> list[str]:
        """Return the ids of all containers with these labels, the newest first."""
        wanted = [f"{name}={value}" for name, value in labels.items()]
        with self._asked():
            return [
                each["Id"] for each in self._api.containers(all=True, filters={"label": wanted})
            ]

    def create(self, name: str, manifest: Mapping[str, Any]) -> str:
        """Create a container and return its id.

        Raises:
            ContainerConflict: there is one of that name.
            ImageNotFound: its image is not here.
        """
        with self._asked():
            reply = self._api.create_container_from_config(dict(manifest), name)
            return str(reply["Id"])

    def start(self, container: str) -> None:
        """Start it; one that runs already is left alone."""
        with self._asked():
            self._api.start(container)

    def inspect(self, container: str) -> State:
        """Ask for its state."""
        with self._asked():
            return _state(self._api.inspect_container(container))

    def rename(self, container: str, name: str) -> None:
        """Give it another name.

        Raises:
            ContainerConflict: there is one of that name.
            EngineRefused: it is its own.
        """
        with self._asked():
            self._api.rename(container, name)

    def stop(self, container: str, grace_seconds: int) -> None:
        """Send SIGTERM, and SIGKILL after the grace; returns when it has ended."""
        with self._asked():
            self._api.stop(container, timeout=grace_seconds)

    def remove(self, container: str) -> None:
        """Remove one that has ended, unless it is removed already."""
        with contextlib.suppress(ContainerNotFound, ContainerConflict), self._asked():
            self._api.remove_container(container, v=True)

    def logs(
        self,
        container: str,
        *,
        since: float | None = None,
        follow: bool = False,
        lines: int | None = None,
    ) -> Stream:
        """Return what it has said and the engine has kept, or the last `lines`; and what it will.

        Each message comes with the moment when it was said before it, and a space. A connection
        that is cut, or was lost without a sign, is for the caller to notice.
        """
        with self._asked():
            stream: Stream = self._api.logs(
                container,
                stream=True,
                follow=follow,
                timestamps=True,
                since=since,
                tail="all" if lines is None else lines,
            )
            return stream

    def image_id(self, image: str) -> str:
        """Return what the name of an image stands for now."""
        with self._asked():
            return str(self._api.inspect_image(image)["Id"])

    def pull(self, image: str, given_up: threading.Event) -> None:
        """Fetch an image from its registry, until it is here or given up.

        Raises:
            ImageNotFound: the registry does not have it or does not give it, or cannot be reached.
        """
        with (
            _pulling(image),
            self._asked(),
            _credentials_read(),
            contextlib.closing(self._api.pull(image, stream=True, decode=True)) as stream,
        ):
            # What goes wrong after the first byte stands in the stream, behind a status of 200.
            for news in stream:
                if "error" in news:
                    raise EngineRefused(cut(str(news["error"])))
                if given_up.is_set():
                    return

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except docker.errors.APIError as error:
            raise _answered(error) from error
        except (docker.errors.DockerException, OSError) as error:  # requests' errors are OSErrors
            raise unavailable(self.host, error) from error


def _address() -> dict[str, Any]:
    """Return how the engine is reached, as the `docker` command decides it.

    Raises:
        ConfigError: the context is not there, or a file of TLS.
    """
    context = current_context(settings.variable)
    try:
        if context is None:
            return {"base_url": _DEFAULT_HOST, **docker.utils.kwargs_from_env()}
        address: dict[str, Any] = {"base_url": context.host}
        if context.has_tls:
            address["tls"] = docker.tls.TLSConfig(
                context.certificate, context.authority, context.verify
            )
    except docker.errors.TLSParameterError as error:
        raise ConfigError(
            f"docker engine: its TLS cannot be used: {cut(error.msg)}",
            hint="DOCKER_CERT_PATH, by default ~/.docker, is to hold ca.pem, cert.pem and key.pem; "
            "without TLS unset DOCKER_TLS_VERIFY",
        ) from error
    return address


def _check(host: str) -> None:
    """Refuse an address that leads to no engine, before it looks like one that does not answer."""
    if host.startswith("ssh://"):
        raise ConfigError(
            f"docker engine at {host}: cannot be asked through ssh",
            hint="run tac on that machine, whose files the containers see; here, a context with "
            "unix:// or tcp://: `docker context ls`",
        )
    try:
        docker.utils.parse_host(host)
    except (docker.errors.DockerException, ValueError) as error:
        raise ConfigError(
            f"docker engine at {host!r}: is no address of one: {cut(str(error))}",
            hint="set DOCKER_HOST like unix:///var/run/docker.sock or tcp://host:2376, "
            "or fix the context: `docker context inspect`",
        ) from error


@contextlib.contextmanager
def _pulling(image: str) -> Iterator[None]:
    try:
        yield
    except EngineRefused as error:
        message, hint = error.message, error.hint
        if engine_words.REGISTRY_UNAUTHORIZED.match(message):
            registry, _ = docker.auth.resolve_repository_name(image)
            message = f"{registry} rejected the credentials (401 Unauthorized): {message}"
            hint = f"`docker login {shlex.quote(registry)}`"
        raise ImageNotFound(message, hint=hint) from error


@contextlib.contextmanager
def _credentials_read() -> Iterator[None]:
    """Tell keys to a registry that cannot be read from an engine that does not answer."""
    try:
        yield
    except docker.errors.DockerException as error:
        if not isinstance(error.__cause__, docker.credentials.StoreError):
            raise
        raise EngineRefused(
            f"the registry's credentials cannot be read: {cut(str(error.__cause__))}",
            hint="install the program that it names, or take `credsStore` and `credHelpers` "
            "out of ~/.docker/config.json",
        ) from error


def _answered(error: docker.errors.APIError) -> EngineError:
    text = cut(str(error.explanation or error))
    if isinstance(error, docker.errors.ImageNotFound):
        return ImageNotFound(text)
    if error.status_code == _CONFLICT:
        return ContainerConflict(text)
    # A program or a file that is not there is a 404 too, when a container is started.
    if isinstance(error, docker.errors.NotFound) and engine_words.NO_CONTAINER.search(text):
        return ContainerNotFound(text)
    return EngineRefused(text)


def unavailable(host: str, error: BaseException) -> EngineUnavailable:
    """Say of an engine why it cannot be asked, from the system's error somewhere below."""
    cause = _system_error(error)
    if cause is None:
        return EngineUnavailable(
            f"docker engine at {host}: does not answer: {cut(str(error))}", hint=_START
        )
    said = os.strerror(cause.errno or 0)
    if cause.errno in {errno.EACCES, errno.EPERM}:
        return EngineUnavailable(
            f"docker engine at {host}: user {os.geteuid()} may not use it: {said}",
            hint="`sudo usermod -aG docker $USER`, then log in again",
        )
    return EngineUnavailable(f"docker engine at {host}: does not answer: {said}", hint=_START)


_START = (
    "start it (`sudo systemctl start docker`, or Docker Desktop), "
    "name another by DOCKER_HOST, or use `--runner local`"
)


def _system_error(error: BaseException | None) -> OSError | None:
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error
        error = error.__cause__ or error.__context__
    return None


def _state(found: Mapping[str, Any]) -> State:
    state = found["State"]
    return State(
        id=found["Id"],
        name=found["Name"].removeprefix("/"),
        status=state["Status"],
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        seconds=_seconds(state["StartedAt"], state["FinishedAt"]),
        memory=found["HostConfig"].get("Memory") or 0,
        labels=found["Config"]["Labels"] or {},
        pids=max(0, found["HostConfig"].get("PidsLimit") or 0),
        tmp_bytes=_tmp_bytes(found["HostConfig"].get("Tmpfs") or {}),
    )


def _tmp_bytes(mounts: Mapping[str, str]) -> int:
    options = mounts.get("/tmp", "").split(",")  # noqa: S108 - the container's own
    sizes = [option.removeprefix("size=") for option in options if option.startswith("size=")]
    return int(sizes[-1]) if sizes and sizes[-1].isdecimal() else 0


def _seconds(started: str, finished: str) -> float:
    try:
        return max(0.0, (_moment(finished) - _moment(started)).total_seconds())
    except ValueError:
        return 0.0


def _moment(text: str) -> dt.datetime:
    """Read the engine's time, which has nine digits behind the second; the year 1 is "not yet"."""
    return dt.datetime.fromisoformat(text)
