"""The settings of tac, and the only reader of the environment.

A setting is looked for in the environment (`TAC_STORE`), then in the section `[tac]` of Luigi's own
configuration file (`store = …`), so one file serves `tac` and the stock `luigi` command.
It does not import Luigi, because the steps read settings too.
S3's address is `AWS_ENDPOINT_URL_S3`, or `[s3] endpoint_url`; keys come from boto3's own chain.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tac.configuration import configuration_files, read_configuration
from tac.errors import ConfigError
from tac.quantities import amount_for, parse_bytes
from tac.redaction import holds_secret, redacted
from tac.step_environment import BOUNDS, whole_environment

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping

OWN_FOLDER = "_tac"
"""The folder of a store that is tac's own: logs, the memory history, black boxes."""

ON_STOP = ("stop", "leave")
YES_OR_NO = ("yes", "no")
AUTH_METHODS = ("kubeconfig", "service-account")
_FILE = "file://"
_LOGS_ELSEWHERE = "tac-logs"
_LONGEST_SECONDS = {
    "stop_grace_seconds": 3600,
    "scheduling_seconds": 7 * 24 * 3600,
    "download_seconds": 24 * 3600,
}
"""The settings that are numbers of seconds, and the largest that is accepted."""

_COUNTS = {"docker_pids_limit": 1 << 22}  # as many as Linux has: proc(5), /proc/sys/kernel/pid_max
_BYTES = ("most_input_bytes", "most_table_bytes", "docker_tmp_size")

AUTHORIZATION = "TAC_SOURCE_AUTHORIZATION"
"""The value of the header `Authorization` with which sources over http are asked. It is no setting:
settings are written into files, and shown."""

AUTHORIZATION_FILE = f"{AUTHORIZATION}_FILE"
"""The file that holds it, where the environment is read by others: in a container."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be set."""

    store: str = "tac-store"
    """Where targets live: a directory, or `s3://bucket/prefix`."""

    source: str = ""
    """The reference pipeline's alone: where its data come from, a template such as
    `https://host/{date:%Y-%m-%d}.parquet`; without one, from the package. Runners in containers
    refuse one with a secret in it before a run begins."""

    runner: str = "local"
    """Where a step's command runs: `local`, `docker` or `kubernetes`."""

    logs: str = ""
    """The directory of the steps' logs; by default `_tac/logs` in a store that is a directory, else
    `tac-logs`."""

    timezone: str = ""
    """Whose calendar `--date today` means, such as `Europe/Berlin`; without one, this machine's.
    A task class with a `timezone` of its own wins."""

    luigid: str = ""
    """The URL of Luigi's central scheduler; without one `tac run` schedules in its own process."""

    stop_grace_seconds: float = 10.0
    """How long a step may take to stop after SIGTERM, before it is killed.
    Ten seconds let it drop an unfinished upload; Kubernetes' own default is 30."""

    image: str = "tac"
    """The image of a step's container; one without a registry is looked for on this machine."""

    memory: str = ""
    """How much memory a step's container may use, such as `2Gi`, whatever its task says.
    `512Mi,Predict=2Gi` has another value for one family of tasks; without the first part, only
    that."""

    most_memory: str = ""
    """How much a step's container gets at most: one that ran out of memory is tried again with
    twice as much. By default four times what its task asks for."""

    cpu: str = ""
    """How many processors it may use, such as `1.5` or `500m,Predict=2`, whatever its task says.
    On Kubernetes it is the request, and there is no limit."""

    on_stop: str = "stop"
    """What happens to running containers when the driver gets SIGTERM: `stop` stops them, `leave`
    lets them run, and the next run of the same command adopts them."""

    check_build: str = "yes"
    """Whether a step in a container refuses a driver of another build of tac than its image has.
    `no` is for developers of tac, who do not want to build an image for each change."""

    docker_network: str = ""
    """The network of a step's container, such as `host`; without one, the engine's own default."""

    docker_pids_limit: int = 2048
    """How many processes and threads a step's container may have at once; 0: any number.
    As many as Podman allows: some libraries start a thread or more for each processor."""

    docker_tmp_size: int = 1 << 30
    """How many bytes a step's container may keep in `/tmp`, such as `1Gi`; 0: half of the machine's
    memory. It is memory, and counts as the container's; a step needs as much as its largest output
    or input on S3."""

    container_s3_endpoint_url: str = ""
    """S3's address as containers see it, where that is not as this process sees it.
    On Kubernetes it wins over the one in the ConfigMap."""

    kubernetes_context: str = ""
    """The context of the kubeconfig to use; without one its current context, or in a pod the
    cluster that the pod is in."""

    kubernetes_namespace: str = ""
    """The namespace of the Jobs; without one the context's own."""

    kubernetes_config_map: str = "tac-s3"
    """The ConfigMap whose keys are environment variables of every pod: AWS_ENDPOINT_URL_S3 and
    AWS_REGION; nothing where S3 is Amazon's and the pods know their region."""

    kubernetes_secret: str = "tac-s3"  # noqa: S105 - its name
    """The Secret whose keys are environment variables of every pod: AWS_ACCESS_KEY_ID and so on;
    nothing where pods get keys in another way, such as IRSA. tac itself never reads it."""

    kubernetes_service_account: str = ""
    """The service account of the pods; without one, the namespace's default."""

    kubernetes_pod_patch: str = ""
    """A YAML or JSON file that changes the pods: a mapping is a strategic merge patch of the pod
    template, a list a JSON patch of it."""

    scheduling_seconds: float = 300.0
    """How long a pod may wait for a node before its step fails.
    Five minutes let an autoscaler bring one; while it says that it does, the time does not run."""

    log_url: str = ""
    """Where a browser finds the log of a pod, such as `https://logs.example/{namespace}/{pod}`;
    Luigi's dashboard links to it."""

    most_input_bytes: int = 128 << 20
    """How large one input of a step, a file, an object or a download, may be, such as `128Mi`.
    The reference pipeline's largest is 3 MB."""

    most_table_bytes: int = 256 << 20
    """How much memory the table in one input may take, such as `256Mi`: a small file may hold a
    large one."""

    download_seconds: float = 600.0
    """How long one download from a source may take."""

    s3_endpoint_url: str | None = None
    """S3's address when it is not Amazon's."""

    luigi_kubernetes_namespace: str = ""
    """Luigi's `[kubernetes] kubernetes_namespace`, where `kubernetes_namespace` is not set."""

    kubeconfig_path: str = ""
    """Luigi's `[kubernetes] kubeconfig_path`, but for its default, which means the usual ones."""

    auth_method: str = "kubeconfig"
    """Luigi's `[kubernetes] auth_method`."""

    def __repr__(self) -> str:
        values = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return redacted(f"{type(self).__name__}({', '.join(values)})")

    def memory_of(self, family: str = "") -> str:
        """Return the memory that is set for a family of tasks, or for all; "": none is."""
        return amount_for(self.memory, family)

    def cpu_of(self, family: str = "") -> str:
        """Return the processors that are set for a family of tasks, or for all; "": none are."""
        return amount_for(self.cpu, family)

    @property
    def kubernetes_auth_method(self) -> str:
        """How to authenticate to the API server: a context that is set is one of a kubeconfig."""
        return "kubeconfig" if self.kubernetes_context else self.auth_method

    @property
    def checks_build(self) -> bool:
        """Whether a step gets the driver's build, to refuse another."""
        return self.check_build == "yes"

    @functools.cached_property
    def store_directory(self) -> Path | None:
        """Where a store of files really is, whatever its links lead to later; None: it is on S3."""
        if "://" in self.store.removeprefix(_FILE):
            return None
        return Path(os.path.realpath(self.store.removeprefix(_FILE)))

    @functools.cached_property
    def log_directory(self) -> Path:
        """Where the log of a step really goes.

        A link below the store is not followed, because a step may have made it.
        """
        store = self.store_directory
        named = Path(os.path.abspath(self.logs or _LOGS_ELSEWHERE))  # noqa: PTH100 - without `..`
        if store is None:
            return Path(os.path.realpath(named))
        if not self.logs:
            return store / OWN_FOLDER / "logs"
        spelled = Path(os.path.abspath(self.store.removeprefix(_FILE)))  # noqa: PTH100 - the same
        inside = named.is_relative_to(spelled)
        return store / named.relative_to(spelled) if inside else Path(os.path.realpath(named))


_OF_LUIGI = ("s3_endpoint_url", "luigi_kubernetes_namespace", "kubeconfig_path", "auth_method")
"""What stands in sections of Luigi's own, and is no setting of tac."""


def _names() -> list[str]:
    return [field.name for field in fields(Settings) if field.name not in _OF_LUIGI]


def read_settings(environment: Mapping[str, str], paths: Iterable[Path] = ()) -> Settings:
    """Build the settings from an environment and configuration files, the later ones first in rank.

    Raises:
        ConfigError: a file cannot be read, or a value cannot be used.
    """
    values = read_configuration(paths, environment, _names())
    for name in _names():
        if (value := environment.get(f"TAC_{name.upper()}")) is not None:
            values[name] = value
    if endpoint := environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL"):
        values["s3_endpoint_url"] = endpoint
    _check(values)
    numbers = {name: _seconds(name, values[name]) for name in _LONGEST_SECONDS if name in values}
    sizes = {name: parse_bytes(name, values[name]) for name in _BYTES if name in values}
    counts = {name: _count(name, values[name]) for name in _COUNTS if name in values}
    return Settings(**{**values, **numbers, **sizes, **counts})  # type: ignore[arg-type]  # each is of its field's type


def _check(values: Mapping[str, str]) -> None:
    for name in ("store", "source", "runner", "image"):
        if not values.get(name, "unset").strip():
            raise ConfigError(
                f"{name}: is set to nothing", hint=f"unset TAC_{name.upper()}, or give it a value"
            )
    chosen = (("on_stop", ON_STOP), ("check_build", YES_OR_NO), ("auth_method", AUTH_METHODS))
    for name, choices in chosen:
        if values.get(name, choices[0]) not in choices:
            raise ConfigError(f"{name}: {values[name]!r} is neither {' nor '.join(choices)}")
    _check_log_url(values.get("log_url", ""))
    _check_endpoints(values)
    time_zone(values.get("timezone", ""))


def _check_endpoints(values: Mapping[str, str]) -> None:
    """Refuse keys in S3's address, which stands in the manifests of containers and pods."""
    for name in ("s3_endpoint_url", "container_s3_endpoint_url"):
        if "@" in values.get(name, ""):
            raise ConfigError(
                f"{values[name]}: credentials do not belong in S3's address",
                hint="boto3 finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                "AWS_PROFILE",
            )


def _check_log_url(template: str) -> None:
    if holds_secret(template):
        raise ConfigError(
            f"log_url: {template!r} holds a password or a key, which luigid shows to all its users",
            hint="leave it out: a browser asks for it",
        )
    try:
        template.format_map({"namespace": "", "pod": ""})
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"log_url: {template!r} is no template",
            hint="write it like https://logs.example/{namespace}/{pod}",
        ) from error


def time_zone(name: str, owner: str = "timezone") -> datetime.tzinfo | None:
    """Return the time zone of a name that `owner` gave; None, the machine's, for no name.

    Raises:
        ConfigError: there is no such zone.
    """
    if not name:
        return None
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:  # absent, no relative path, a directory
        raise ConfigError(
            f"{owner}: {name!r} is not a time zone",
            hint="name it as the tz database does, such as Europe/Berlin: `ls /usr/share/zoneinfo`",
        ) from error


def _count(name: str, text: str) -> int:
    most = _COUNTS[name]
    if not text.isascii() or not text.isdecimal() or int(text) > most:
        raise ConfigError(f"{name}: {text!r} is not a number from 0 to {most}")
    return int(text)


def _seconds(name: str, text: str) -> float:
    longest = _LONGEST_SECONDS[name]
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= longest:
        raise ConfigError(f"{name}: {text!r} is not 0 to {longest} seconds")
    return seconds


@functools.cache
def current() -> Settings:
    """Return the settings of this process, read once, with the links in their paths resolved."""
    found = read_settings(os.environ, configuration_files(os.environ))  # noqa: TID251  # the one reader
    _ = found.store_directory, found.log_directory
    return found


def override(**values: str | float | None) -> None:
    """Set a command line's options, above every file, here and in the child processes."""
    for name, value in values.items():
        if name not in _names():
            raise TypeError(f"{name} is not a setting")
        if value is not None:
            os.environ[f"TAC_{name.upper()}"] = str(value)  # noqa: TID251  # the one reader
    current.cache_clear()
    current()


def find_steps_in_current_directory() -> None:
    """Let steps import from the current directory, unless PYTHONSAFEPATH is set already."""
    os.environ.setdefault("PYTHONSAFEPATH", "")  # noqa: TID251  # the one reader


def variable(name: str) -> str | None:
    """Return an environment variable that is not a setting."""
    return os.environ.get(name)  # noqa: TID251  # the one reader


def source_authorization() -> str:
    """Return the value of the header `Authorization` for sources over http; "": none is set.

    Raises:
        ConfigError: its file cannot be read, or no header can carry it.
    """
    value, where = variable(AUTHORIZATION) or "", AUTHORIZATION
    if not value and (path := variable(AUTHORIZATION_FILE)):
        where = f"{AUTHORIZATION_FILE}={path}"
        try:
            value = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is not text"
            raise ConfigError(f"{where}: cannot be read: {why}") from error
    value = value.strip()
    if not (value.isascii() and value.isprintable()):
        # The library's own error would quote it.
        raise ConfigError(
            f"{where}: holds a character that no header can carry",
            hint="write it like 'Bearer …', or 'Basic …' with user:password in base64",
        )
    return value


def child_environment() -> dict[str, str]:
    """Return the whole environment that a step is started with."""
    own = current()
    bounds = {name: getattr(own, name) for name in BOUNDS}
    changed = {name: bound for name, bound in bounds.items() if bound != getattr(Settings, name)}
    return whole_environment(os.environ, changed, own.s3_endpoint_url)  # noqa: TID251  # the one reader
