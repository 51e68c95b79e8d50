"""Our client of Luigi's central scheduler, which retries while luigid is unreachable.

Luigi's own gives up after three tries, and the run with its running tasks fails.
Only the first request has a short timeout, since the address may be wrong.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import http
import http.client
import time
import urllib.error
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import Request

from luigi import rpc

from tac.backoff import Backoff, retry_on
from tac.errors import ConfigError, cut

_FIRST_CONTACT_SECONDS = 10.0
_SILENT_SECONDS = 1.0
"""An outage as short as this is not reported."""
_SERVER_ERROR_SECONDS = 60.0
"""An HTTP 500 is luigid's answer to this request, not an outage: it is not asked for ever."""


class RetryingRemoteScheduler(rpc.RemoteScheduler):
    """The luigid at `url`; while it is unreachable requests are retried, and `notice` is called.

    A user and a password in the address go into a header: Luigi's own messages quote the address.

    Raises:
        ConfigError: the address cannot be parsed.
    """

    def __init__(self, url: str, notice: Callable[[str], None]) -> None:
        address, authorization = _split_credentials(url)
        super().__init__(address)
        # One connection for each request: a session of `requests` is not thread-safe.
        self._fetcher = _Fetcher(authorization)  # type: ignore[assignment]  # Luigi has both kinds
        self._notice = notice
        self.timeout_seconds = float("inf")
        """For how long a request is tried again."""

    @property
    def url(self) -> str:
        """The address, without a password."""
        return str(self._url)

    def check_connection(self) -> None:
        """Check that a luigid answers at the address.

        Raises:
            ConfigError: nothing answers, or another server does.
        """
        self.timeout_seconds = _FIRST_CONTACT_SECONDS
        try:
            self._request("/api/is_paused", {})
        except (rpc.RPCError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._url}: no luigid answers: {cut(str(error))}",
                hint="start `luigid --address 127.0.0.1`, fix --luigid, or leave it out to run "
                "without",
            ) from error
        self.timeout_seconds = float("inf")

    def fetch_error(self, task_id: str) -> dict[str, Any]:
        """Return luigid's entry of a task; without `taskModule` it does not know the task."""
        known: dict[str, Any] = self._request("/api/fetch_error", {"task_id": task_id})
        return known

    def _fetch(self, url_suffix: str, body: dict[str, str]) -> str:
        url = rpc._urljoin(self._url, url_suffix)  # noqa: SLF001 - as RemoteScheduler joins them
        began = time.monotonic()
        announced = False

        def seconds() -> float:
            return time.monotonic() - began

        def note(error: Exception, _number: int) -> None:
            nonlocal announced
            timeout = min(_timeout_seconds(error), self.timeout_seconds)
            if url_suffix.endswith("/ping") or seconds() >= timeout:
                raise error
            if seconds() > _SILENT_SECONDS:
                announced = True
                self._notice(
                    f"{self._url}: luigid has not answered for {seconds():.0f} s: {_reason(error)}"
                )

        try:
            answer = retry_on(
                (OSError, http.client.HTTPException),
                lambda: self._fetcher.fetch(url, body, self._connect_timeout),
                lambda: self.timeout_seconds,
                backoff=Backoff(0.2, 15.0),
                on_failure=note,
            )
        except (OSError, http.client.HTTPException) as error:
            raise rpc.RPCError(_reason(error), error) from error
        if announced:
            self._notice(f"{self._url}: luigid answers again, after {seconds():.0f} s")
        return str(answer)


def _timeout_seconds(error: Exception) -> float:
    """Return for how long a request that fails so is retried at most."""
    if isinstance(error, urllib.error.HTTPError):
        if error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
            return 0.0
        if error.code == http.HTTPStatus.INTERNAL_SERVER_ERROR:
            return _SERVER_ERROR_SECONDS
    return float("inf")


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return cut(str(cause) or type(cause).__name__)


class _Fetcher(rpc.URLLibFetcher):
    """Sends a header that is not sent to a redirect's target, which may be another host."""

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization

    def _create_request(self, full_url: str, body: dict[str, str] | None = None) -> Request:
        request: Request = super()._create_request(full_url, body=body)
        if self._authorization:
            request.add_unredirected_header("Authorization", self._authorization)
        return request


def _split_credentials(url: str) -> tuple[str, str]:
    """Split the address of luigid from its credentials, returned as an Authorization header.

    Raises:
        ConfigError: it cannot be parsed.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # a password with a slash in it is taken for one
    except ValueError:
        raise ConfigError(
            f"luigid {url!r}: is no address",
            hint="write it like http://127.0.0.1:8082, and in a password %2F for a slash",
        ) from None
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    pair = b64encode(unquote(user).encode()).decode("ascii")
    return parts._replace(netloc=host).geturl(), f"Basic {pair}"
