"""Luigi's configuration files, as far as tac reads them: `[tac]`, `[s3]` and `[kubernetes]`.

It does not import Luigi, because the steps read settings too.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

_SECTIONS = ("tac", "s3", "kubernetes")
_S3_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_OF_S3 = (*_S3_KEYS, "endpoint_url")

LUIGIS_KUBECONFIG = "~/.kube/config"
"""Luigi's default of `kubeconfig_path`: where kubeconfig files are, unless KUBECONFIG says."""

_KUBERNETES = {
    "kubernetes_namespace": "luigi_kubernetes_namespace",
    "kubeconfig_path": "kubeconfig_path",
    "auth_method": "auth_method",
}
"""What is read of the section of Luigi's KubernetesJobTask, and our names for it."""


def configuration_files(environment: Mapping[str, str]) -> list[Path]:
    """Return the files that there are, in the order in which Luigi reads them."""
    # https://luigi.readthedocs.io/en/stable/configuration.html
    if environment.get("LUIGI_CONFIG_PARSER") == "toml":
        found = [Path("/etc/luigi/luigi.toml"), Path("luigi.toml")]
    else:
        names = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")
        found = [Path(name) for name in names]
    if named := environment.get("LUIGI_CONFIG_PATH"):
        found.append(Path(named))
    return [path for path in found if path.is_file()]


@dataclass(frozen=True)
class _Option:
    """An option of a section, and the file that it stands in."""

    path: Path
    section: str
    name: str
    value: str

    def filled_in(self, environment: Mapping[str, str]) -> str:
        """Return the value with the environment's variables in it."""

        def variable(found: re.Match[str]) -> str:
            try:
                return environment[found[1]]
            except KeyError as error:
                raise ConfigError(
                    f"{self.path}: [{self.section}] {self.name} names the environment variable "
                    f"{found[1]}, which is not set",
                    hint=f"export {found[1]}=…, or write the value into {self.path}",
                ) from error

        return re.sub(r"\$\{(\w+)\}", variable, self.value)


def _options(
    paths: Sequence[Path], environment: Mapping[str, str], known: Sequence[str]
) -> list[_Option]:
    """Return the options of the sections that tac reads; the later ones win."""
    default = environment.get("LUIGI_CONFIG_PARSER")
    toml = [path for path in paths if (path.suffix[1:] or default) == "toml"]
    cfg = [path for path in paths if path not in toml]
    parts = [_options_of_cfg(cfg, {*known, *_OF_S3, *_KUBERNETES}), _options_of_toml(toml)]
    # Only the last file, that of LUIGI_CONFIG_PATH, may be of the other kind.
    if paths and paths[-1] not in toml:
        parts.reverse()
    return [option for part in parts for option in part]


def _options_of_toml(paths: Sequence[Path]) -> list[_Option]:
    import tomllib

    found: list[_Option] = []
    for path in paths:
        with _explaining(path, tomllib.TOMLDecodeError):
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        for section in _SECTIONS:
            part = document.get(section, {})
            found += [_Option(path, section, name, str(part[name])) for name in part]
    return found


def _options_of_cfg(paths: Sequence[Path], known: Collection[str]) -> list[_Option]:
    """Read the files as one, as Luigi does: what `%(name)s` means may stand in another.

    [DEFAULT] holds options of every section, so it may hold what is not `known`.
    """
    if not paths:  # every step loads this module, and hardly one has a file to read
        return []
    import configparser

    origins: dict[tuple[str, str], tuple[Path, str]] = {}

    class Interpolation(configparser.BasicInterpolation):
        def before_read(self, parser: Any, section: str, option: str, value: str) -> str:  # noqa: ARG002
            # A single % is one, too: templates of addresses are full of them.
            whole = re.sub(r"%[%(]?", lambda found: found[0] if found[0][1:] else "%%", value)
            if origins.get((section, option), (path, ""))[1] != whole:  # those of before come again
                origins[section, option] = path, whole
            return whole

    parser = configparser.ConfigParser(interpolation=Interpolation())
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as Luigi's
    for path in paths:
        with _explaining(path, configparser.Error):
            parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    found = []
    for section in filter(parser.has_section, _SECTIONS):
        for name in parser[section]:
            own = origins.get((section, name))
            if own is None and name.replace("-", "_") not in known:
                continue
            path = (own or origins[parser.default_section, name])[0]
            with _explaining(path, configparser.Error):
                found.append(_Option(path, section, name, parser.get(section, name)))
    return found


@contextlib.contextmanager
def _explaining(path: Path, kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError, kind) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error


def read_configuration(
    paths: Iterable[Path], environment: Mapping[str, str], known: Sequence[str]
) -> dict[str, str]:
    """Return the settings that the files give, as text; a later file wins.

    Raises:
        ConfigError: a file cannot be read, holds keys of S3, or a setting that is not `known`.
    """
    options = _options(list(paths), environment, known)
    keys = [each for each in options if each.section == "s3" and each.name in _S3_KEYS]
    if keys:
        raise ConfigError(
            f"{keys[0].path}: [s3] holds {' and '.join(each.name for each in keys)}: "
            "tac takes no keys from a file",
            hint="move them to ~/.aws/credentials, or export AWS_ACCESS_KEY_ID and so on",
        )
    values: dict[str, str] = {}
    for option in options:
        if option.section == "tac":
            values[_setting(option, known)] = option.filled_in(environment)
        elif option.section == "s3" and option.name == "endpoint_url":
            values["s3_endpoint_url"] = option.filled_in(environment)
        elif option.section == "kubernetes" and option.name in _KUBERNETES:
            value = option.filled_in(environment)
            values[_KUBERNETES[option.name]] = "" if value == LUIGIS_KUBECONFIG else value
    return values


def _setting(option: _Option, known: Sequence[str]) -> str:
    name = option.name.replace("-", "_")
    if name in known:
        return name
    import difflib

    near = difflib.get_close_matches(name.lower(), known, n=1)
    raise ConfigError(
        f"{option.path}: [tac] {option.name} is not a setting of tac",
        hint=f"did you mean {near[0]}?" if near else f"the settings are {', '.join(known)}",
    )
