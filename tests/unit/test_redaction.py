"""What is secret in an address, in whatever text it stands."""

import time

import pytest

from tac.errors import ConfigError, InputMissing, cut
from tac.plain import plain
from tac.redaction import holds_secret, redacted, without_credentials

# An address, what may be shown of it, what tells the work apart.
SECRET = [
    ("http://bob:hush@host/x", "http://***@host/x", "http://host/x"),
    ("http://bob:hu@sh@host:80/x@y", "http://***@host:80/x@y", "http://host:80/x@y"),
    ("--in=HTTPS://hush@host/x", "--in=HTTPS://***@host/x", "--in=HTTPS://host/x"),
    ("http://:hush@host", "http://***@host", "http://host"),
    ("https://bob:hu/sh@host/x", "https://***@host/x", "https://host/x"),
    ("https://bob:hu?s#h'@host/x", "https://***@host/x", "https://host/x"),
    ("http://bob:hush@[::1]:80/x", "http://***@[::1]:80/x", "http://[::1]:80/x"),
    ("ftp://bob:hush@host/x", "ftp://***@host/x", "ftp://host/x"),
    ("s3://key:hush@bucket/x", "s3://***@bucket/x", "s3://bucket/x"),
    ("postgresql://me:hush@db/x", "postgresql://***@db/x", "postgresql://db/x"),
    (
        "https://b.s3/x?X-Amz-Date=1&X-Amz-Credential=a&X-Amz-Signature=hush&versionId=3",
        "https://b.s3/x?***",
        "https://b.s3/x?versionId=3",
    ),
    (
        "https://g/{date}.csv?X-Goog-Algorithm=a&X-Goog-Signature=hush",
        "https://g/{date}.csv?***",
        "https://g/{date}.csv",
    ),
    (
        "https://a.blob/x?sv=2022&se=2023-03-01&sr=b&sp=r&sig=hu%2Fsh%3D",
        "https://a.blob/x?***",
        "https://a.blob/x",
    ),
    (
        "https://c.front/x?Expires=1&Signature=hush&Key-Pair-Id=K&a=b",
        "https://c.front/x?***",
        "https://c.front/x?a=b",
    ),
    ("https://host/x?day=1&token=hush", "https://host/x?***", "https://host/x?day=1"),
    ("https://host/x?api_key=hush&day=1", "https://host/x?***", "https://host/x?day=1"),
    (
        "https://host/x#access_token=hush&state=1",
        "https://host/x#access_token=***&state=1",
        "https://host/x",
    ),
    (f"https://host/x?key=hush{'A' * 20}", "https://host/x?***", "https://host/x"),
    (
        "curl http://a/?sig=hush http://me:hush@b/y?z#t",
        "curl http://a/?*** http://***@b/y?***#t",
        "curl http://a/ http://b/y?z#t",
    ),
]

# An address without a secret, and what may be shown of it: a query might have one all the same.
OPEN = [
    ("https://host/{date:%Y-%m-%d}.parquet", "https://host/{date:%Y-%m-%d}.parquet"),
    ("https://host/x?page=3&se=a&key=flights/a", "https://host/x?***"),
    ("http://host:80/x@y", "http://host:80/x@y"),
    ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
    ("https://host:8443", "https://host:8443"),
    ("s3://bucket/a@b?c", "s3://bucket/a@b?c"),
    ("file:///a@b?c", "file:///a@b?c"),
    ("ssh://me@host", "ssh://me@host"),
    ("postgresql://me@db/x", "postgresql://me@db/x"),
    ("me@host", "me@host"),
    ("a:b@c", "a:b@c"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "shown", "identity"), SECRET)
def test_a_secret_of_an_address_is_found_redacted_and_no_part_of_the_identity(
    text, shown, identity
):
    assert (holds_secret(text), redacted(text), without_credentials(text)) == (
        True,
        shown,
        identity,
    )
    assert "hush" not in shown + identity
    assert (redacted(shown), without_credentials(identity)) == (shown, identity)
    assert not holds_secret(identity)


@pytest.mark.parametrize(("text", "shown"), OPEN)
def test_an_address_without_a_secret_means_what_it_says(text, shown):
    assert (holds_secret(text), redacted(text), without_credentials(text)) == (False, shown, text)


def test_a_parameter_is_left_out_where_a_library_quotes_half_an_address():
    text = "HTTPConnectionPool(host='h', port=80): Max retries exceeded with url: /x?a=1&token=hush"

    assert redacted(text) == text.replace("hush", "***")


def test_a_new_signature_keeps_the_identity_and_another_query_changes_it():
    signed = "https://b.s3/{}?X-Amz-Date={}&X-Amz-Expires=60&X-Amz-Signature={}&versionId={}"
    first = without_credentials(signed.format("x", "20230301T000000Z", "aaaa", 1))

    assert without_credentials(signed.format("x", "20230302T000000Z", "bbbb", 1)) == first
    assert without_credentials(signed.format("y", "20230301T000000Z", "aaaa", 1)) != first
    assert without_credentials(signed.format("x", "20230301T000000Z", "aaaa", 2)) != first


@pytest.mark.parametrize(("text", "shown", "identity"), SECRET)
def test_no_error_holds_a_secret_and_nothing_shown_does(text, shown, identity):
    error = InputMissing(f"{text}: is not there", hint=f"look at {text}")

    assert (str(error), error.message, error.hint) == (
        f"{shown}: is not there",
        f"{shown}: is not there",
        f"look at {shown}",
    )
    assert "hush" not in repr(error) + repr(ConfigError(text))
    assert plain(text) == shown


def test_a_secret_is_left_out_before_a_text_is_cut():
    text = f"{'x ' * 10}http://bob:{'hush' * 100}@host/x"

    assert plain(text, limit=40) == f"{'x ' * 10}http://***@host/x"
    assert "hush" not in cut(text, 40)


@pytest.mark.parametrize(
    "part",
    [
        *("x", "token", "http://", "://a:b", "http://a:b", "http://a?", "?token", "?tokentoken"),
        *("&a=", "://a@", "http://a:b@", "?x-amz-signature=", "http://a:b/@ ", " ://u:p"),
        *("?sig=&se=1", "#token=", "#token", "http://h?sig=a&se=1&"),
    ],
)
@pytest.mark.parametrize("function", [redacted, holds_secret, without_credentials])
def test_the_time_grows_with_the_text_and_not_with_its_square(function, part):
    def seconds(size: int) -> float:
        text = part * (size // len(part))
        began = time.process_time()
        function(text)
        return time.process_time() - began

    # A square would be a hundred times the time, for ten times the text.
    assert seconds(200_000) < 30 * max(seconds(20_000), 0.005)
