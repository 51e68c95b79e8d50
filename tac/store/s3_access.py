"""What a step elsewhere needs to reach S3 as this process does: keys, and how S3 is spoken to.

They are those that this process' own client uses, so they are looked for once, and botocore renews
them when they are about to expire. Nothing here keeps or prints one.
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
"""What of a profile is handed on: it says how S3 is spoken to, and nothing of where keys are."""

_AWAY = (
    botocore_errors.HTTPClientError,
    botocore_errors.ConnectionError,
    botocore_errors.MetadataRetrievalError,
)


@dataclass(frozen=True)
class S3Access:
    """Keys and a profile, by the names that the files of ~/.aws have for them."""

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Valid as they are; none where boto3 finds none."""

    profile: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict, repr=False)
    ca_bundle: str = ""
    """The file of the certificates to trust, where it is not the usual one."""


def current_access() -> S3Access:
    """Return what this process reaches S3 with, now.

    Raises:
        ConfigError: there is a way to get keys, and it fails.
        StorageUnavailable: whoever gives them did not answer.
    """
    session = connection().session
    return S3Access(
        _keys(session), _profile(session), session.get_config_variable("ca_bundle") or ""
    )


def _keys(session: Any) -> dict[str, str]:
    try:
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found is not None else None
    # RuntimeError: what it was given as new had expired already.
    except (botocore_errors.BotoCoreError, botocore_errors.ClientError, RuntimeError) as error:
        said = cut(str(error))
        if isinstance(error, _AWAY) or isinstance(error.__context__, _AWAY):
            raise StorageUnavailable(
                f"S3's keys: who gives them did not answer: {said}", hint="try again"
            ) from error
        raise ConfigError(
            f"S3's keys: cannot be had: {said}",
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
