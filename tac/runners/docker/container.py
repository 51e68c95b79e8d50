"""The container of a step as the engine wants it told: pure, from a command to a manifest.

Names are functions of identity, so a driver that comes back finds its container again.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tac import names
from tac.errors import ConfigError
from tac.names import ATTEMPT, MANAGED, OUTPUT, STEP, WORK
from tac.quantities import parse_cpu, parse_memory
from tac.redaction import without_credentials
from tac.runners.docker.keys import HOME
from tac.runners.docker.mounts import absolute, is_local
from tac.step_environment import passed_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tac.request import RunRequest
    from tac.runners.docker.mounts import Mount

S3_ENDPOINT = "tac/s3-endpoint"
"""A label: at which S3 the output is, for a driver of another one that sweeps."""

_LEAST_CPU = 10_000_000
_HOST = "host.docker.internal"
_LOOPBACK = re.compile(r"localhost|127\.[\d.]+|::1")

LOG = {"max-size": "512m", "max-file": "2", "compress": "false", "mode": "blocking"}
"""How much of a container's log the engine keeps: at most a gigabyte, at least the last half of it.
Whatever its own driver of logs is, which may be one that cannot be read, or its options, which may
make it forget what nobody has read yet: with `max-size=20k` of 60,000 lines 15,000 were missing. A
driver of ours that lags by half a gigabyte has lost lines, and reads ten thousand in a second."""


@dataclass(frozen=True)
class Abilities:
    """What an engine says of itself that decides how a container is told."""

    rootless: bool = False
    """Its root is the user, and its other users are nobody of this machine."""

    host_users: bool = False
    """It gives containers other users than the machine's, and must not here."""

    selinux: bool = False
    limits_cpu: bool = True
    cpus: int = 0
    """How many processors it has; 0: it does not say."""

    @classmethod
    def told_by(cls, info: Mapping[str, Any]) -> Abilities:
        """Read what `GET /info` says: https://docs.docker.com/reference/api/engine/#tag/System."""
        security = " ".join(info.get("SecurityOptions") or ())
        return cls(
            rootless="name=rootless" in security,
            host_users="name=userns" in security,
            selinux="name=selinux" in security,
            # A rootless engine is given memory and pids by systemd, but not cpu, unless somebody
            # says so: https://rootlesscontaine.rs/getting-started/common/cgroup2/
            limits_cpu=bool(info.get("CpuCfsPeriod", True) and info.get("CpuCfsQuota", True)),
            cpus=info.get("NCPU") or 0,
        )


@dataclass(frozen=True)
class ContainerDefaults:
    """What is the same for all steps of a driver."""

    image: str
    user: str
    """`uid:gid`: what the step makes belongs to them."""

    network: str = ""
    s3_endpoint_url: str = ""
    memory: str = ""
    cpu: str = ""
    pids: int = 0
    """How many processes and threads it may have at once; 0: as many as it likes."""

    tmp_bytes: int = 0
    """How much it may keep in `/tmp`; 0: half of the machine's memory."""

    groups: Sequence[str] = ()
    """The user's other groups, by which a store may be shared."""

    abilities: Abilities = field(default_factory=Abilities)
    build: str = ""
    """The build of tac that the step must be of; nothing: any."""


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


def build_container(
    request: RunRequest, argv: Sequence[str], defaults: ContainerDefaults, sight: Sight
) -> Container:
    """Build the container of a command, whose words are `argv` there.

    Raises:
        ConfigError: a limit is no number.
    """
    work = names.digest(defaults.image, defaults.s3_endpoint_url, *map(without_credentials, argv))
    memory = request.memory or defaults.memory
    manifest = {
        "Image": defaults.image,
        "Entrypoint": [argv[0]],
        "Cmd": list(argv[1:]),
        "Env": _environment(request.environment, defaults, sight),
        "User": defaults.user,
        "StopSignal": "SIGTERM",
        "Labels": {
            **MANAGED,
            STEP: request.name,
            WORK: work,
            ATTEMPT: str(request.attempt),
            **_output(request.output, defaults),
        },
        "HostConfig": {
            "GroupAdd": list(defaults.groups),
            "Mounts": _mounts(sight.mounts),
            "Tmpfs": {HOME: f"size={defaults.tmp_bytes}" if defaults.tmp_bytes else ""},
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": _security(defaults.abilities),
            "LogConfig": {"Type": "json-file", "Config": LOG},
            **({"PidsLimit": defaults.pids} if defaults.pids else {}),
            **_limits(memory, request.cpu or defaults.cpu, defaults.abilities),
            **_network(defaults),
            **({"UsernsMode": "host"} if defaults.abilities.host_users else {}),
        },
    }
    return Container(f"{request.name}-{work}-{request.attempt}", work, manifest, memory)


def check_endpoint(defaults: ContainerDefaults) -> None:
    """Refuse an address of S3 that leads a container to itself.

    Raises:
        ConfigError: it does.
    """
    host = urllib.parse.urlsplit(defaults.s3_endpoint_url).hostname or ""
    if defaults.network != "host" and _LOOPBACK.fullmatch(host):
        raise ConfigError(
            f"S3's address, {defaults.s3_endpoint_url}: means the container itself in a container",
            hint="set TAC_CONTAINER_S3_ENDPOINT_URL to its address as containers see it, "
            f"such as http://{_HOST}:8333, or TAC_DOCKER_NETWORK=host",
        )


def _output(address: str, defaults: ContainerDefaults) -> dict[str, str]:
    if not address or is_local(address):
        return {OUTPUT: absolute(address) if address else ""}
    return {OUTPUT: address, S3_ENDPOINT: defaults.s3_endpoint_url}


def _environment(given: Mapping[str, str], defaults: ContainerDefaults, sight: Sight) -> list[str]:
    endpoint = {"AWS_ENDPOINT_URL_S3": defaults.s3_endpoint_url} if defaults.s3_endpoint_url else {}
    passed = passed_on(given)
    own = {"HOME": HOME, **({names.DRIVER_VERSION: defaults.build} if defaults.build else {})}
    whole = {**passed, **_past_the_proxy(passed, defaults), **endpoint, **own, **sight.variables}
    return sorted(f"{name}={value}" for name, value in whole.items())


def _past_the_proxy(passed: Mapping[str, str], defaults: ContainerDefaults) -> dict[str, str]:
    """Let S3 on this machine be reached without a proxy, which knows nobody by that name."""
    if _HOST not in defaults.s3_endpoint_url or not any("proxy" in name.lower() for name in passed):
        return {}
    direct = passed.get("no_proxy") or passed.get("NO_PROXY")
    return {"no_proxy": f"{direct},{_HOST}" if direct else _HOST}


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


def _security(abilities: Abilities) -> list[str]:
    # SELinux lets a container read no file of this machine that is not labelled for it, and a label
    # would change the user's files.
    return ["no-new-privileges", *(["label=disable"] if abilities.selinux else [])]


def _limits(memory: str, cpu: str, abilities: Abilities) -> dict[str, int]:
    limits = {}
    if memory:
        # As much with swap as without: a step that swaps is slower than one that fails.
        limits = dict.fromkeys(("Memory", "MemorySwap"), parse_memory(memory))
    return limits | (_cpu_limit(parse_cpu(cpu), abilities) if cpu else {})


def _cpu_limit(billionths: int, abilities: Abilities) -> dict[str, int]:
    if not abilities.limits_cpu:
        return {}
    # The engine refuses more than it has, and less than a hundredth.
    most = abilities.cpus * 1_000_000_000 or billionths
    return {"NanoCpus": max(min(billionths, most), _LEAST_CPU)}


def _network(defaults: ContainerDefaults) -> dict[str, object]:
    network: dict[str, object] = {"NetworkMode": defaults.network} if defaults.network else {}
    if defaults.network != "host" and _HOST in defaults.s3_endpoint_url:
        network["ExtraHosts"] = [f"{_HOST}:host-gateway"]
    return network
