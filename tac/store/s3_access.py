"""What a step in a container needs to reach S3 as this process does: credentials and a profile.

They are those of this process' own client, so they are resolved once, and botocore renews them
when they are about to expire. Nothing here keeps or prints one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tac.store.s3_client import connection
from tac.store.s3_credentials import frozen_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_S3 = (
    *("region", "s3", "endpoint_url", "ignore_configured_endpoint_urls", "use_dualstack_endpoint"),
    *("use_fips_endpoint", "max_attempts", "retry_mode"),
)
"""The settings of a profile that are passed on: how S3 is reached, not where credentials are."""


@dataclass(frozen=True)
class S3Access:
    """Credentials and a profile, by their names in the files of ~/.aws."""

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The credentials, valid now; empty if boto3 finds none."""

    profile: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict, repr=False)
    ca_bundle: str = ""
    """The file of trusted certificates, if it is not botocore's own."""


def current_access() -> S3Access:
    """Return what this process reaches S3 with, now.

    Raises:
        ConfigError: a configured provider of credentials failed.
        StorageUnavailable: a provider of credentials did not answer.
    """
    session = connection().session
    return S3Access(
        _keys(session), _profile(session), session.get_config_variable("ca_bundle") or ""
    )


def _keys(session: Any) -> dict[str, str]:
    frozen = frozen_credentials(session)
    if frozen is None:
        return {}
    keys = {
        "aws_access_key_id": frozen.access_key,
        "aws_secret_access_key": frozen.secret_key,
        "aws_session_token": frozen.token,
    }
    return {name: value for name, value in keys.items() if value}


def _profile(session: Any) -> dict[str, str | Mapping[str, str]]:
    whole = session.get_scoped_config()
    profile = {name: whole[name] for name in _OF_S3 if name in whole}
    services = session.full_config.get("services", {}).get(whole.get("services"), {})
    return {**profile, **services.get("s3", {})}
