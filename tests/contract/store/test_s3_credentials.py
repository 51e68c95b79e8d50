"""Credentials that cannot be had: what is told, by real files, programs and servers of loopback."""

import datetime as dt
import hashlib
import json
import subprocess
from collections.abc import Callable

import pytest

from tac.errors import ConfigError, StorageUnavailable, TacError
from tac.store import store_of
from tac.store.s3_access import current_access
from tac.store.s3_client import connection
from tests.support.aws_home import Issuer, Machine
from tests.support.flights import command_of, run_step
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket, free_ports

CHECK = "log in again, or check AWS_PROFILE and ~/.aws/config"
NAMED_BY = (
    "AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or the profile in "
    "~/.aws/config names it"
)
ROLE = "arn:aws:iam::222222222222:role/pipeline"
BROKEN = (
    "credentials for S3: the {} has a character that none can have: a line break, a blank at an "
    "end, or one beyond ASCII"
)


def stat() -> object:
    return store_of("s3://any-bucket/a").stat("s3://any-bucket/a")


def error_of(ask: Callable[[], object]) -> TacError:
    with pytest.raises(TacError) as raised:
        ask()
    return raised.value


@pytest.fixture(autouse=True)
def no_s3(machine: Machine) -> None:
    """An S3 that does not answer: where credentials are the cause it is never asked."""
    machine.set(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{free_ports(1)[0]}", AWS_MAX_ATTEMPTS="1")


def in_minutes(minutes: int) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)).isoformat()


def printed(**more: object) -> str:
    known = {"Version": 1, "AccessKeyId": "known", "SecretAccessKey": "hush", **more}
    return f"echo '{json.dumps(known)}'"


@pytest.mark.parametrize("ask", [stat, current_access])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["echo log in first >&2", "exit 3"],
            "Error when retrieving credentials from custom-process: log in first",
        ),
        (
            ["echo nothing"],
            "their provider's answer is unusable: JSONDecodeError: Expecting value: line 1 column "
            "1 (char 0)",
        ),
        (
            ["echo '[]'"],
            "their provider's answer is unusable: AttributeError: 'list' object has no attribute "
            "'get'",
        ),
        (
            [printed(Version=2)],
            "Error when retrieving credentials from custom-process: Unsupported version '2' for "
            "credential process provider, supported versions: 1",
        ),
        (
            [printed(Expiration="soon")],
            "their provider's answer is unusable: ParserError: Unknown string format: soon",
        ),
        (
            [printed(Expiration="2020-01-01T00:00:00Z")],
            "Credentials were refreshed, but the refreshed credentials are still expired.",
        ),
    ],
    ids=["fails", "no JSON", "a list", "another version", "no date", "expired"],
)
def test_a_credential_process_that_is_of_no_use_is_named(machine, lines, message, ask):
    helper = machine.make_helper(*lines)
    machine.write("config", "[default]", f"credential_process = {helper}")

    error = error_of(ask)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (f"credentials for S3: {message}", CHECK)


def test_a_missing_credential_process_is_named(machine):
    machine.write("config", "[default]", f"credential_process = {machine.home}/no-such-helper")

    error = error_of(stat)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        f"credentials for S3: {machine.home}/no-such-helper: No such file or directory",
        NAMED_BY,
    )


@pytest.mark.parametrize("ask", [stat, current_access])
def test_a_credential_process_that_fails_later_is_named_too(machine, ask):
    helper = machine.make_helper(
        f"[ $(wc -l < {machine.home}/calls) -gt 2 ] && echo log in first >&2 && exit 3",
        printed(Expiration=in_minutes(1)),
    )
    machine.write("config", "[default]", f"credential_process = {helper}")
    connection()

    error = error_of(ask)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        "credentials for S3: Error when retrieving credentials from custom-process: log in first",
        CHECK,
    )


INVALID = (
    "The SSO session associated with this profile has expired or is otherwise invalid. To refresh "
    "this SSO session run aws sso login with the corresponding profile."
)


@pytest.mark.parametrize(
    ("profile", "cached", "message"),
    [
        ("legacy", True, INVALID),
        (
            "legacy",
            False,
            "Error loading SSO Token: Token for https://example.awsapps.com/start does not exist",
        ),
        (
            "session",
            True,
            "Error when retrieving token from sso: Token has expired and refresh failed",
        ),
        ("session", False, "Error loading SSO Token: Token for corp does not exist"),
    ],
)
def test_a_login_that_has_expired_is_to_be_renewed(machine, profile, cached, message):
    start = "sso_start_url = https://example.awsapps.com/start"
    account = ("sso_account_id = 111111111111", "sso_role_name = pipeline")
    machine.write(
        "config",
        *("[profile legacy]", start, "sso_region = us-east-1", *account),
        *("[sso-session corp]", start, "sso_region = us-east-1"),
        *("sso_registration_scopes = sso:account:access",),
        *("[profile session]", "sso_session = corp", *account),
    )
    cache = machine.home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    token = {
        "startUrl": "https://example.awsapps.com/start",
        "region": "us-east-1",
        "accessToken": "x",
        "expiresAt": "2020-01-01T00:00:00Z",
    }
    for name in ("https://example.awsapps.com/start", "corp") if cached else ():
        digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
        (cache / f"{digest}.json").write_text(json.dumps(token))
    machine.set(AWS_PROFILE=profile)

    # In a process of its own: botocore looks once where the home is.
    ended = run_step("fetch", "s3://any-bucket/a.parquet", "--date", "2023-02-28")

    assert (ended.returncode, ended.stderr) == (
        2,
        f"Error: credentials for S3: {message}\n"
        f"Hint: log in again: `aws sso login --profile {profile}`\n",
    )


@pytest.mark.parametrize(
    ("variable", "more"),
    [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", {"AWS_ROLE_ARN": ROLE}),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/"},
        ),
    ],
)
@pytest.mark.parametrize(
    ("name", "said"),
    [("no-such-token", "No such file or directory"), (".aws", "Is a directory")],
)
def test_a_token_file_that_cannot_be_read_is_named(machine, variable, more, name, said):
    machine.set(**{variable: str(machine.home / name)}, **more)

    error = error_of(stat)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        f"credentials for S3: {machine.home / name}: {said}",
        NAMED_BY,
    )


def sts_error(code: str, message: str) -> str:
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
        f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )


def assume_role(machine: Machine, issuer: Issuer) -> None:
    machine.write(
        "config",
        *("[profile role]", f"role_arn = {ROLE}", "source_profile = base"),
        *("[profile base]", "aws_access_key_id = ak", "aws_secret_access_key = sk"),
    )
    machine.set(AWS_PROFILE="role", AWS_ENDPOINT_URL_STS=issuer.endpoint)


def assume_role_with_a_token(machine: Machine, issuer: Issuer) -> None:
    (machine.home / "token").write_text("a.token.of-a-test")
    machine.set(
        AWS_ROLE_ARN=ROLE,
        AWS_WEB_IDENTITY_TOKEN_FILE=str(machine.home / "token"),
        AWS_ENDPOINT_URL_STS=issuer.endpoint,
    )


TRUST = "the role's trust policy must allow it; check AWS_PROFILE and ~/.aws/config"
RENEW = "renew what the role is assumed with; check AWS_PROFILE and ~/.aws/config"
# botocore counts the tries of an unsigned request, and of an answer that it would try again.
TRIED = " (reached max retries: 0)"


@pytest.mark.parametrize(
    ("assume", "operation"),
    [(assume_role, "AssumeRole"), (assume_role_with_a_token, "AssumeRoleWithWebIdentity")],
)
@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("AccessDenied", TRUST),
        ("InvalidIdentityToken", TRUST),
        ("ExpiredToken", RENEW),
        ("ExpiredTokenException", RENEW),
    ],
)
def test_a_role_that_may_not_be_assumed_is_no_matter_of_s3s_rights(
    machine, issuer, assume, operation, code, hint
):
    issuer.answer = lambda method, path: (403, sts_error(code, "not for you: sts:AssumeRole"))
    assume(machine, issuer)

    error = error_of(stat)

    assert type(error) is ConfigError
    assert (error.message.replace(TRIED, ""), error.hint) == (
        f"credentials for S3: An error occurred ({code}) when calling the {operation} operation: "
        "not for you: sts:AssumeRole",
        hint,
    )


@pytest.mark.parametrize(
    ("assume", "operation"),
    [(assume_role, "AssumeRole"), (assume_role_with_a_token, "AssumeRoleWithWebIdentity")],
)
@pytest.mark.parametrize(
    ("status", "code"), [(503, "ServiceUnavailable"), (400, "Throttling"), (429, "Slower")]
)
def test_an_sts_that_is_busy_is_a_reason_to_try_again(
    machine, issuer, assume, operation, status, code
):
    issuer.answer = lambda method, path: (status, sts_error(code, "later"))
    assume(machine, issuer)

    error = error_of(stat)

    assert type(error) is StorageUnavailable
    assert (error.message.replace(TRIED, ""), error.hint) == (
        "credentials for S3: their provider did not answer: An error occurred "
        f"({code}) when calling the {operation} operation: later",
        "try again",
    )


def issue(machine: Machine, issuer: Issuer, status: int, text: str) -> None:
    issuer.answer = lambda method, path: (status, text)
    machine.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=issuer.endpoint)


def test_a_server_of_a_cloud_that_refuses_is_none_to_try_again(machine, issuer):
    issue(machine, issuer, 403, "nothing")

    error = error_of(stat)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        "credentials for S3: Error when retrieving credentials from container-role: Error "
        "retrieving metadata: Received non 200 response 403 from container metadata: nothing",
        CHECK,
    )


def test_a_server_of_a_cloud_that_answers_without_keys_is_none_to_try_again(machine, issuer):
    issue(machine, issuer, 200, "{}")

    error = error_of(stat)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        "credentials for S3: their provider's answer is unusable: KeyError: 'AccessKeyId'",
        CHECK,
    )


@pytest.mark.parametrize("ask", [stat, current_access])
def test_an_unreachable_metadata_server_is_a_temporary_error(machine, issuer, ask):
    keys = {"AccessKeyId": "known", "SecretAccessKey": "hush", "Token": "too"}
    issue(machine, issuer, 200, json.dumps({**keys, "Expiration": in_minutes(1)}))
    connection()
    issuer.stop()

    error = error_of(ask)

    assert type(error) is StorageUnavailable
    assert error.message == (
        "credentials for S3: their provider did not answer: Error when retrieving "
        "credentials from container-role: Error retrieving metadata: Received error when "
        "attempting to retrieve container metadata: Could not connect to the endpoint URL: "
        f'"{issuer.endpoint}"'
    )
    assert error.hint == "try again"


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("AWS_ACCESS_KEY_ID", f"{ACCESS_KEY}\n", "access key"),
        ("AWS_ACCESS_KEY_ID", "ключ", "access key"),
        ("AWS_SECRET_ACCESS_KEY", f"{SECRET_KEY}\n", "secret key"),
        ("AWS_SECRET_ACCESS_KEY", f" {SECRET_KEY}", "secret key"),
        ("AWS_SESSION_TOKEN", "a-token\nin-two", "session token"),
    ],
)
def test_keys_with_a_character_that_none_has_are_refused_and_not_shown(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, variable, value, name
):
    monkeypatch.setenv(variable, value)

    for ask in (lambda: store_of("s3://a-b/a").stat("s3://a-b/a"), current_access):
        error = error_of(ask)

        assert type(error) is ConfigError
        assert (error.message, error.hint) == (
            BROKEN.format(name),
            "write it again; `echo` adds a line break, and `printf %s` none",
        )


def test_a_half_of_the_keys_is_named(machine):
    machine.set(AWS_ACCESS_KEY_ID="known")

    error = error_of(stat)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        "credentials for S3: Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY",
        CHECK,
    )


def test_a_profile_that_does_not_exist_is_named(machine):
    machine.set(AWS_PROFILE="nope")

    error = error_of(stat)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        "S3: no client can be made: The config profile (nope) could not be found",
        "check AWS_ENDPOINT_URL_S3, AWS_PROFILE and ~/.aws/config",
    )


@pytest.mark.parametrize(
    ("access", "secret", "name"), [("", "hush", "access key"), ("known", "", "secret key")]
)
def test_an_empty_key_is_named(machine, access, secret, name):
    keys = (f"aws_access_key_id = {access}", f"aws_secret_access_key = {secret}")
    machine.write("credentials", "[default]", *keys)

    error = error_of(stat)

    assert type(error) is ConfigError
    assert (error.message, error.hint) == (
        f"credentials for S3: the {name} is empty",
        "check AWS_PROFILE and ~/.aws/config",
    )


def test_a_code_that_nobody_can_type_is_named(machine):
    machine.write(
        "config",
        *("[profile role]", f"role_arn = {ROLE}", "source_profile = base"),
        *("mfa_serial = arn:aws:iam::222222222222:mfa/x",),
        *("[profile base]", "aws_access_key_id = ak", "aws_secret_access_key = sk"),
    )
    machine.set(AWS_PROFILE="role")

    ended = subprocess.run(
        command_of("fetch", "s3://any-bucket/a.parquet", "--date", "2023-02-28"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        start_new_session=True,  # without a terminal
    )

    assert ended.returncode == 2
    assert ended.stderr.endswith(
        "Error: credentials for S3: the role asks for an MFA code, and there is no terminal to "
        "type it on\n"
        "Hint: assume the role first, and export the credentials: `aws sts assume-role help`\n"
    )
