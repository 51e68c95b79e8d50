"""Where a day of flights comes from: the bundled year, or a template of addresses.

bundled
https://host/flights/{date:%Y-%m-%d}.parquet     also http://
s3://bucket/flights/{date}.parquet
file:///data/{date:%Y/%m/%d}.csv                 or a plain path
"""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

from tac import __version__
from tac.errors import (
    AccessDenied,
    ConfigError,
    InputMissing,
    StorageError,
    StorageUnavailable,
    cut,
)

if TYPE_CHECKING:
    import datetime

BUNDLED = "bundled"

TIMEOUT_SECONDS = 30.0
"""How long a server may be silent."""

_EXAMPLE = "write it like --source 'https://host/{date:%Y-%m-%d}.parquet', or --source bundled"
_CHUNK = 1 << 20
_DENIED = (401, 403, 407)
_GONE = (404, 410)
_LATER = (408, 425, 429)
_SERVER_ERRORS = 500


def address_of(template: str, day: datetime.date, option: str = "--source") -> str:
    """Fill `day` into the template of addresses that `option` gave.

    Raises:
        ConfigError: it is no template.
    """
    try:
        return template.format(date=day)
    except (LookupError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{option} {without_secrets(template)!r}: cannot be filled in:"
            f" {type(error).__name__} {cut(str(error))}",
            hint=f"write it like {option} 's3://bucket/{{date}}.parquet'",
        ) from error


def read_source(address: str, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
    """Return the whole content of `address`.

    Raises:
        InputMissing, AccessDenied, StorageUnavailable: as the server or the store says.
    """
    if address.startswith(("http://", "https://")):
        return _download(address, timeout_seconds)
    from tac.step import read

    with read(address) as file:
        return file.read()


def without_secrets(address: str) -> str:
    """Return an address for messages: no user and password, and no query, which may be signed."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def _download(url: str, timeout_seconds: float) -> bytes:
    name = without_secrets(url)
    try:
        with urllib.request.urlopen(_request(url), timeout=timeout_seconds) as answer:  # noqa: S310 # http only: the caller looked
            return _read_all(answer, name)
    except urllib.error.HTTPError as error:
        with error:
            raise _translate(name, error.code, error.reason) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise StorageError(
                f"{name}: its certificate is not to be trusted:"
                f" {cut(str(error.reason.verify_message))}"
            ) from error
        raise StorageUnavailable(f"{name}: cannot be reached: {cut(str(error.reason))}") from error
    except TimeoutError as error:
        raise StorageUnavailable(
            f"{name}: was silent for {timeout_seconds:g} s (limit {timeout_seconds:g} s)"
        ) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise ConfigError(f"{name}: is no URL: {type(error).__name__}", hint=_EXAMPLE) from error
    except (http.client.HTTPException, OSError) as error:
        raise StorageUnavailable(
            f"{name}: the connection broke: {type(error).__name__} {cut(str(error))}"
        ) from error


def _request(url: str) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(  # noqa: S310 # http only: the caller looked
        parts._replace(netloc=host, fragment="").geturl(),
        headers={"User-Agent": f"tac/{__version__}"},
    )
    if at:
        pair = urllib.parse.unquote(user).encode()
        # Not carried along by a redirect, which may lead to somebody else's host.
        request.add_unredirected_header(
            "Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"
        )
    return request


def _read_all(answer: http.client.HTTPResponse, name: str) -> bytes:
    chunks = []
    while chunk := answer.read(_CHUNK):
        chunks.append(chunk)
    data = b"".join(chunks)
    announced = answer.headers.get("Content-Length")
    if announced is not None and announced.isdigit() and len(data) != int(announced):
        raise StorageUnavailable(
            f"{name}: the connection broke after {len(data)} of {announced} bytes"
        )
    return data


def _translate(name: str, status: int, reason: str) -> Exception:
    said = f"the server answered {status} {cut(str(reason))}".rstrip()
    if status in _GONE:
        return InputMissing(
            f"{name}: there is no such file: {said}",
            hint="a day may be published later; `--date` and `--source` say what is asked for",
        )
    if status in _DENIED:
        return AccessDenied(
            f"{name}: no permission: {said}",
            hint="a name and a password go into the URL: https://user:password@host/…",
        )
    if status in _LATER or status >= _SERVER_ERRORS:
        return StorageUnavailable(f"{name}: cannot be read now: {said}")
    return StorageError(f"{name}: cannot be read: {said}")
