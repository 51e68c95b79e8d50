"""Where a day of flights comes from: the bundled year, or a template of addresses.

bundled
https://host/flights/{date:%Y-%m-%d}.parquet     also http://
s3://bucket/flights/{date}.parquet
file:///data/{date:%Y/%m/%d}.csv                 or a plain path
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tac import settings
from tac.errors import ConfigError, cut
from tac.flights import download
from tac.redaction import holds_secret

if TYPE_CHECKING:
    import datetime

_STORES = ("s3", "file")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def address_of(template: str, day: datetime.date, option: str = "--source") -> str:
    """Fill `day` into the template of addresses that `option` gave.

    Raises:
        ConfigError: it is no template.
    """
    try:
        return template.format(date=day)
    except (LookupError, ValueError, AttributeError) as error:
        # What the error quotes may be a part of a password with a brace in it.
        said = "" if holds_secret(template) else f" {cut(str(error))}"
        raise ConfigError(
            f"{option} {template!r}: cannot be filled in: {type(error).__name__}{said}",
            hint=f"write it like {option} 's3://bucket/{{date}}.parquet'",
        ) from (error if said else None)


def read_source(address: str) -> bytes:
    """Return the whole content of `address`, if it is not more than the settings allow.

    Raises:
        ConfigError: a source cannot be read by its scheme.
        DataError: it holds more.
        InputMissing, AccessDenied, StorageUnavailable: as the server or the store says.
    """
    found = _SCHEME.match(address)
    scheme = found[1].lower() if found else "file"
    if scheme in download.SCHEMES:
        own = settings.current()
        bounds = download.Bounds(own.most_input_bytes, own.download_seconds)
        return download.download(address, bounds)
    if scheme not in _STORES:
        raise ConfigError(
            f"{cut(address)}: a source is not read by {scheme}://",
            hint="http://, https://, s3:// and file:// work, and a path of this machine",
        )
    from tac.step import read_bytes

    return read_bytes(address)
