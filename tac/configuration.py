"""Luigi's configuration files, as far as they hold settings of tac: `[tac]` and `[s3]`.

It does not import Luigi, because the steps read settings too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tac.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_S3_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def configuration_files(environment: Mapping[str, str]) -> list[Path]:
    """Return the files that there are, in the order in which Luigi reads them."""
    # https://luigi.readthedocs.io/en/stable/configuration.html
    if environment.get("LUIGI_CONFIG_PARSER", "cfg") == "toml":
        found = [Path("/etc/luigi/luigi.toml"), Path("luigi.toml")]
    else:
        names = ("/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg", "client.cfg", "luigi.cfg")
        found = [Path(name) for name in names]
    if named := environment.get("LUIGI_CONFIG_PATH"):
        found.append(Path(named))
    return [path for path in found if path.is_file()]


def _read_file(path: Path) -> dict[str, dict[str, Any]]:
    # Every step loads this module, and hardly one has a file to read.
    import configparser
    import tomllib

    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return {
                name: part for name, part in tomllib.loads(text).items() if isinstance(part, dict)
            }
        parser = configparser.RawConfigParser()
        parser.read_string(text, source=str(path))
    except (OSError, UnicodeDecodeError, configparser.Error, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _fill_in(path: Path, name: str, value: object, environment: Mapping[str, str]) -> str:
    def variable(found: re.Match[str]) -> str:
        try:
            return environment[found[1]]
        except KeyError as error:
            raise ConfigError(
                f"{path}: {name} names the environment variable {found[1]}, which is not set",
                hint=f"export {found[1]}=…, or write the value into {path}",
            ) from error

    return re.sub(r"\$\{(\w+)\}", variable, str(value))


def read_configuration(
    paths: Iterable[Path], environment: Mapping[str, str], known: Sequence[str]
) -> dict[str, str]:
    """Return the settings that the files give, as text; a later file wins.

    Raises:
        ConfigError: a file cannot be read, holds keys of S3, or a setting that is not `known`.
    """
    values: dict[str, str] = {}
    for path in paths:
        sections = _read_file(path)
        s3 = sections.get("s3", {})
        if secret := [key for key in _S3_KEYS if key in s3]:
            raise ConfigError(
                f"{path}: [s3] holds {' and '.join(secret)}: tac takes no keys from a file",
                hint="move them to ~/.aws/credentials, or export AWS_ACCESS_KEY_ID and so on",
            )
        if "endpoint_url" in s3:
            values["s3_endpoint_url"] = _fill_in(
                path, "[s3] endpoint_url", s3["endpoint_url"], environment
            )
        for key, value in sections.get("tac", {}).items():
            name = key.replace("-", "_")
            if name not in known:
                import difflib

                near = difflib.get_close_matches(name, known, n=1)
                raise ConfigError(
                    f"{path}: [tac] {key} is not a setting of tac",
                    hint=f"did you mean {near[0]}?"
                    if near
                    else f"the settings are {', '.join(known)}",
                )
            values[name] = _fill_in(path, f"[tac] {key}", value, environment)
    return values
