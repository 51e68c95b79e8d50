"""The container of a step as the engine wants it told: pure, from a command to a manifest.

Names are functions of identity, so a driver that comes back finds its container again.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tac
from tac import names, settings
from tac.errors import ConfigError
from tac.names import ATTEMPT, MANAGED, OUTPUT, STEP, WORK
from tac.quantities import parse_cpu, parse_memory
from tac.runners.docker.keys import HOME
from tac.runners.docker.mounts import absolute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tac.runners import Command
    from tac.runners.docker.mounts import Mount

_HOST = "host.docker.internal"
_LOOPBACK = re.compile(r"localhost|127\.[\d.]+|::1")


@dataclass(frozen=True)
class Terms:
    """What is the same for all steps of a driver."""

    image: str
    user: str
    """`uid:gid`: what the step makes belongs to them."""

    network: str = ""
    s3_endpoint_url: str = ""
    memory: str = ""
    cpu: str = ""
    host_users: bool = False
    """The engine gives containers other users than the machine's, and must not here."""


@dataclass(frozen=True)
class Sight:
    """What a container sees of this machine."""

    mounts: Sequence[Mount] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """One attempt as a container: its name, and what `POST /containers/create` takes."""

    name: str
    work: str
    manifest: Mapping[str, Any]
    memory: str


def build_container(command: Command, argv: Sequence[str], terms: Terms, sight: Sight) -> Container:
    """Build the container of a command, whose words are `argv` there.

    Raises:
        ConfigError: a limit is no number.
    """
    work = names.digest(terms.image, terms.s3_endpoint_url, *argv)
    memory = command.memory or terms.memory
    manifest = {
        "Image": terms.image,
        "Entrypoint": [argv[0]],
        "Cmd": list(argv[1:]),
        "Env": _environment(command.environment, terms, sight),
        "User": terms.user,
        "StopSignal": "SIGTERM",
        "Labels": {
            **MANAGED,
            STEP: command.name,
            WORK: work,
            ATTEMPT: str(command.attempt),
            OUTPUT: absolute(command.output) if command.output else "",
        },
        "HostConfig": {
            "Mounts": _mounts(sight.mounts),
            "Tmpfs": {HOME: ""},
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            # The engine's own default may be one that cannot be read, or forgets what is old.
            "LogConfig": {"Type": "json-file", "Config": {}},
            **_limits(memory, command.cpu or terms.cpu),
            **_network(terms),
            **({"UsernsMode": "host"} if terms.host_users else {}),
        },
    }
    return Container(f"{command.name}-{work}-{command.attempt}", work, manifest, memory)


def check_endpoint(terms: Terms) -> None:
    """Refuse an address of S3 that leads a container to itself.

    Raises:
        ConfigError: it does.
    """
    host = urllib.parse.urlsplit(terms.s3_endpoint_url).hostname or ""
    if terms.network != "host" and _LOOPBACK.fullmatch(host):
        raise ConfigError(
            f"S3's address, {terms.s3_endpoint_url}: means the container itself in a container",
            hint="set TAC_CONTAINER_S3_ENDPOINT_URL to its address as containers see it, "
            f"such as http://{_HOST}:8333, or TAC_DOCKER_NETWORK=host",
        )


def _environment(given: Mapping[str, str], terms: Terms, sight: Sight) -> list[str]:
    endpoint = {"AWS_ENDPOINT_URL_S3": terms.s3_endpoint_url} if terms.s3_endpoint_url else {}
    passed = settings.passed_on(given)
    own = {"HOME": HOME, names.DRIVER_VERSION: tac.__version__}
    whole = {**passed, **endpoint, **own, **sight.variables}
    return sorted(f"{name}={value}" for name, value in whole.items())


def _mounts(mounts: Iterable[Mount]) -> list[dict[str, object]]:
    return [
        {
            "Type": "bind",
            "Source": mount.source,
            "Target": mount.target,
            "ReadOnly": not mount.writable,
        }
        for mount in mounts
    ]


def _limits(memory: str, cpu: str) -> dict[str, int]:
    limits = {}
    if memory:
        # As much with swap as without: a step that swaps is slower than one that fails.
        limits = dict.fromkeys(("Memory", "MemorySwap"), parse_memory(memory))
    return limits | ({"NanoCpus": parse_cpu(cpu)} if cpu else {})


def _network(terms: Terms) -> dict[str, object]:
    network: dict[str, object] = {"NetworkMode": terms.network} if terms.network else {}
    if terms.network != "host" and _HOST in terms.s3_endpoint_url:
        network["ExtraHosts"] = [f"{_HOST}:host-gateway"]
    return network
