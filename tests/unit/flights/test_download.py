"""Where a server may send us: to http and https, and never from https to what anybody can read."""

import email.message
import io
import urllib.error

import pytest

from tac.errors import StorageError
from tac.flights.download import _next


def moved(url: str, location: str) -> urllib.error.HTTPError:
    headers = email.message.Message()
    headers["Location"] = location
    return urllib.error.HTTPError(url, 302, "Found", headers, io.BytesIO())


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://a/x.csv", "https://a/x.csv", "https://a/x.csv"),
        ("https://a/x/y.csv", "z.csv", "https://a/x/z.csv"),
        ("https://a/x/y.csv", "//b/z.csv?sig=%20s", "https://b/z.csv?sig=%20s"),
        ("http://a/x.csv", "HTTPS://a/Ã¤ b.csv", "https://a/%C3%A4%20b.csv"),
    ],
)
def test_a_redirect_leads_to_http_or_https(url, location, target):
    assert _next(moved(url, location), url, "x.csv") == target


@pytest.mark.parametrize(
    ("url", "location", "shown"),
    [
        ("https://a/x.csv", "http://a/x.csv?sig=secret", "from https:// to 'http://a/x.csv?***'"),
        ("http://a/x.csv", "file:///etc/passwd", "from http:// to 'file:///etc/passwd'"),
        ("http://a/x.csv", "ftp://me:secret@b/x.csv", "from http:// to 'ftp://***@b/x.csv'"),
        ("http://a/x.csv", "gopher://b/\x1b]0;x\x07", "from http:// to 'gopher://b/%1B]0;x%07'"),
    ],
)
def test_a_redirect_to_another_scheme_is_an_error(url, location, shown):
    with pytest.raises(StorageError) as caught:
        _next(moved(url, location), url, "x.csv")

    assert (caught.value.message, caught.value.hint) == (
        f"x.csv: redirects {shown}, which is not followed",
        "if you trust that address, name it as the source",
    )
