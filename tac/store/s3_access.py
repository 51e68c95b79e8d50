"""What a step in a container needs to reach S3 as this process does: credentials and a profile.

They are those of this process' own client, so they are resolved once, and botocore renews them
when they are about to expire. Nothing here keeps or prints one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore.exceptions as botocore_errors

from tac.errors import ConfigError, StorageUnavailable, cut
from tac.store.s3_client import connection

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_S3 = (
    *("region", "s3", "endpoint_url", "ignore_configured_endpoint_urls", "use_dualstack_endpoint"),
    *("use_fips_endpoint", "max_attempts", "retry_mode"),
)
"""The settings of a profile that are passed on: how S3 is reached, not where credentials are."""

_UNREACHABLE = (
    botocore_errors.HTTPClientError,
    botocore_errors.ConnectionError,
    botocore_errors.MetadataRetrievalError,
)


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
    try:
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found is not None else None
    # RuntimeError: the provider returned credentials that had already expired.
    except (botocore_errors.BotoCoreError, botocore_errors.ClientError, RuntimeError) as error:
        said = cut(str(error))
        if isinstance(error, _UNREACHABLE) or isinstance(error.__context__, _UNREACHABLE):
            raise StorageUnavailable(
                f"S3's keys: their provider did not answer: {said}", hint="try again"
            ) from error
        raise ConfigError(
            f"S3's keys: their provider failed: {said}",
            hint="log in again, or check AWS_PROFILE and ~/.aws/config",
        ) from error
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
