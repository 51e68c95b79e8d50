"""Secrets and settings: which are refused, where they stand instead, and that none is shown."""

import pytest

from tac.errors import ConfigError
from tac.settings import Settings, read_settings, source_authorization

KEYS_ELSEWHERE = "boto3 finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


@pytest.mark.parametrize(
    ("environment", "message", "hint"),
    [
        (
            {"AWS_ENDPOINT_URL_S3": "http://me:hush@s3"},
            "http://***@s3: credentials do not belong in S3's address",
            KEYS_ELSEWHERE,
        ),
        (
            {"TAC_CONTAINER_S3_ENDPOINT_URL": "http://me:hush@s3:8333"},
            "http://***@s3:8333: credentials do not belong in S3's address",
            KEYS_ELSEWHERE,
        ),
        (
            {"TAC_LOG_URL": "https://me:hush@logs/{pod}"},
            "log_url: 'https://***@logs/{pod}' holds a password or a key, which luigid shows to"
            " all its users",
            "leave it out: a browser asks for it",
        ),
    ],
)
def test_an_address_that_others_read_holds_no_secret(environment, message, hint):
    with pytest.raises(ConfigError) as caught:
        read_settings(environment)

    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_settings_show_no_secret():
    shown = repr(
        Settings(source="https://me:hush@host/{date}.csv?sig=hush", luigid="http://me:hush@host")
    )

    assert "source='https://***@host/{date}.csv?***'" in shown
    assert "luigid='http://***@host'" in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ""),
        ({"TAC_SOURCE_AUTHORIZATION": " Bearer a\n"}, "Bearer a"),
        ({"TAC_SOURCE_AUTHORIZATION_FILE": "{at}/header"}, "Basic b"),
        ({"TAC_SOURCE_AUTHORIZATION": "a", "TAC_SOURCE_AUTHORIZATION_FILE": "nowhere"}, "a"),
    ],
)
def test_the_header_of_a_source_is_in_the_environment_or_in_a_file(
    tmp_path, monkeypatch, variables, expected
):
    (tmp_path / "header").write_text("Basic b\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(at=tmp_path))

    assert source_authorization() == expected


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"TAC_SOURCE_AUTHORIZATION": "Bearer hush\nX-Other: hush"},
            "TAC_SOURCE_AUTHORIZATION: holds a character that no header can carry",
        ),
        (
            {"TAC_SOURCE_AUTHORIZATION": "Bearer hüsh"},
            "TAC_SOURCE_AUTHORIZATION: holds a character that no header can carry",
        ),
        (
            {"TAC_SOURCE_AUTHORIZATION_FILE": "{at}/none"},
            "TAC_SOURCE_AUTHORIZATION_FILE={at}/none: cannot be read: No such file or directory",
        ),
        (
            {"TAC_SOURCE_AUTHORIZATION_FILE": "{at}/binary"},
            "TAC_SOURCE_AUTHORIZATION_FILE={at}/binary: cannot be read: is not text",
        ),
    ],
)
def test_what_can_be_no_header_is_refused_and_not_quoted(tmp_path, monkeypatch, variables, message):
    (tmp_path / "binary").write_bytes(b"\xff")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(at=tmp_path))

    with pytest.raises(ConfigError) as caught:
        source_authorization()

    assert caught.value.message == message.format(at=tmp_path)
