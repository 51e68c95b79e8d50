"""The manifest of a step's container, as `POST /containers/create` takes it: pure.

Names are functions of identity, so a driver that is started again finds its container.
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
"""A label: the S3 endpoint of the output, so that a sweep of another endpoint leaves it alone."""

_LEAST_CPU = 10_000_000
_HOST = "host.docker.internal"
_LOOPBACK = re.compile(r"localhost|127\.[\d.]+|::1")

LOG = {"max-size": "512m", "max-file": "2", "compress": "false", "mode": "blocking"}
"""How much of a container's log the engine keeps: at most a gigabyte, at least the last half of it.
It overrides the engine's own log driver, which may be one that cannot be read, or whose options
drop unread lines: with `max-size=20k` 15,000 of 60,000 lines were missing. A driver of tac that
lags by half a gigabyte has lost lines; it reads ten thousand a second."""


@dataclass(frozen=True)
class EngineFeatures:
    """The features of an engine that a container's manifest depends on."""

    rootless: bool = False
    """Root in a container is the user, and its other users do not exist on this machine."""

    host_users: bool = False
    """User namespaces are remapped (`userns-remap`), which a step's container must turn off."""

    selinux: bool = False
    limits_cpu: bool = True
    cpus: int = 0
    """How many processors it has; 0: unknown."""

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> EngineFeatures:
        """Parse `GET /info`: https://docs.docker.com/reference/api/engine/#tag/System."""
        security = " ".join(info.get("SecurityOptions") or ())
        return cls(
            rootless="name=rootless" in security,
            host_users="name=userns" in security,
            selinux="name=selinux" in security,
            # systemd delegates memory and pids to a rootless engine by default, but not cpu:
            # https://rootlesscontaine.rs/getting-started/common/cgroup2/
            limits_cpu=bool(info.get("CpuCfsPeriod", True) and info.get("CpuCfsQuota", True)),
            cpus=info.get("NCPU") or 0,
        )


@dataclass(frozen=True)
class ContainerDefaults:
    """What is the same for all steps of a driver."""

    image: str
    user: str
    """`uid:gid`, the owner of what the step writes."""

    network: str = ""
    s3_endpoint_url: str = ""
    memory: str = ""
    cpu: str = ""
    pids: int = 0
    """The limit of processes and threads; 0: none."""

    tmp_bytes: int = 0
    """The size of `/tmp`; 0: half of the machine's memory."""

    groups: Sequence[str] = ()
    """The user's other groups, by which a store may be shared."""

    features: EngineFeatures = field(default_factory=EngineFeatures)
    build: str = ""
    """The build of tac that the step must have; "": any."""


@dataclass(frozen=True)
class ContainerInputs:
    """What a container gets of this machine: bind mounts, and variables that name files in them."""

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
    request: RunRequest, argv: Sequence[str], defaults: ContainerDefaults, inputs: ContainerInputs
) -> Container:
    """Build the container of a command, with `argv` as its command line there.

    Raises:
        ConfigError: a limit is not a number.
    """
    image = request.image or defaults.image
    work = names.digest(image, defaults.s3_endpoint_url, *map(without_credentials, argv))
    memory = request.memory or defaults.memory
    manifest = {
        "Image": image,
        "Entrypoint": [argv[0]],
        "Cmd": list(argv[1:]),
        "Env": _environment(request, defaults, inputs),
        "User": defaults.user,
        "StopSignal": "SIGTERM",
        "Labels": {
            **{str(name): str(value) for name, value in request.labels.items()},
            **MANAGED,
            STEP: request.name,
            WORK: work,
            ATTEMPT: str(request.attempt),
            **_output(request.output, defaults),
        },
        "HostConfig": {
            "GroupAdd": list(defaults.groups),
            "Mounts": _mounts(inputs.mounts),
            "Tmpfs": {HOME: f"size={defaults.tmp_bytes}" if defaults.tmp_bytes else ""},
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": _security(defaults.features),
            "LogConfig": {"Type": "json-file", "Config": LOG},
            **({"PidsLimit": defaults.pids} if defaults.pids else {}),
            **_limits(memory, request.cpu or defaults.cpu, defaults.features),
            **_network(defaults),
            **({"UsernsMode": "host"} if defaults.features.host_users else {}),
        },
    }
    return Container(f"{request.name}-{work}-{request.attempt}", work, manifest, memory)


def check_endpoint(defaults: ContainerDefaults) -> None:
    """Refuse an S3 endpoint on localhost, which in a container is the container itself.

    Raises:
        ConfigError: it is one.
    """
    host = urllib.parse.urlsplit(defaults.s3_endpoint_url).hostname or ""
    if defaults.network != "host" and _LOOPBACK.fullmatch(host):
        raise ConfigError(
            f"S3's address, {defaults.s3_endpoint_url}: in a container it is the container itself",
            hint="set TAC_CONTAINER_S3_ENDPOINT_URL to its address as containers see it, "
            f"such as http://{_HOST}:8333, or TAC_DOCKER_NETWORK=host",
        )


def _output(address: str, defaults: ContainerDefaults) -> dict[str, str]:
    if not address or is_local(address):
        return {OUTPUT: absolute(address) if address else ""}
    return {OUTPUT: address, S3_ENDPOINT: defaults.s3_endpoint_url}


def _environment(
    request: RunRequest, defaults: ContainerDefaults, inputs: ContainerInputs
) -> list[str]:
    endpoint = {"AWS_ENDPOINT_URL_S3": defaults.s3_endpoint_url} if defaults.s3_endpoint_url else {}
    passed = {**passed_on(request.environment), **request.variables}
    own = {"HOME": HOME, **({names.DRIVER_VERSION: defaults.build} if defaults.build else {})}
    whole = {**passed, **_no_proxy(passed, defaults), **endpoint, **own, **inputs.variables}
    return sorted(f"{name}={value}" for name, value in whole.items())


def _no_proxy(passed: Mapping[str, str], defaults: ContainerDefaults) -> dict[str, str]:
    """Bypass a proxy for S3 on this machine: the proxy cannot resolve the name."""
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


def _security(features: EngineFeatures) -> list[str]:
    # SELinux denies a container all host files without a label for it, and relabelling would
    # change the user's files.
    return ["no-new-privileges", *(["label=disable"] if features.selinux else [])]


def _limits(memory: str, cpu: str, features: EngineFeatures) -> dict[str, int]:
    limits = {}
    if memory:
        # No swap: a step that swaps is slower than one that fails and gets more memory.
        limits = dict.fromkeys(("Memory", "MemorySwap"), parse_memory(memory))
    return limits | (_cpu_limit(parse_cpu(cpu), features) if cpu else {})


def _cpu_limit(billionths: int, features: EngineFeatures) -> dict[str, int]:
    if not features.limits_cpu:
        return {}
    # The engine refuses more processors than it has, and less than 0.01.
    most = features.cpus * 1_000_000_000 or billionths
    return {"NanoCpus": max(min(billionths, most), _LEAST_CPU)}


def _network(defaults: ContainerDefaults) -> dict[str, object]:
    network: dict[str, object] = {"NetworkMode": defaults.network} if defaults.network else {}
    if defaults.network != "host" and _HOST in defaults.s3_endpoint_url:
        network["ExtraHosts"] = [f"{_HOST}:host-gateway"]
    return network
