"""Credentials for S3 from boto3's chain, and why there are none, as errors of tac.

The chain reads files, runs programs and asks other servers: almost any exception can come out of
it, and none of them is S3's. Nothing here keeps or prints a credential.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import botocore.exceptions as botocore_errors

from tac.errors import ConfigError, StorageUnavailable, TacError, cut

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

_RAISED = (
    *(botocore_errors.BotoCoreError, botocore_errors.ClientError),
    RuntimeError,  # the provider returned credentials that had already expired
    OSError,  # a file or a program that is not there
    EOFError,  # it asks for an MFA code, and there is no terminal to type one
    *(ValueError, LookupError, TypeError, AttributeError),  # an answer that is none
)
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
_TEMPORARY_CODES = {"IDPCommunicationError", "RequestLimitExceeded", "SlowDown"}

_CHECK = "check AWS_PROFILE and ~/.aws/config"
_TRUST = "the role's trust policy must allow it"
_HINTS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (
        (botocore_errors.SSOError, botocore_errors.TokenRetrievalError),
        "log in again: `aws sso login{of_profile}`",
    ),
    (botocore_errors.LoginError, "log in again: `aws login{of_profile}`"),
    (botocore_errors.SSLError, "set AWS_CA_BUNDLE to the certificates to trust"),
    (
        OSError,
        "AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or the profile in "
        "~/.aws/config names it",
    ),
    (EOFError, "assume the role first, and export the credentials: `aws sts assume-role help`"),
    (Exception, f"log in again, or {_CHECK}"),
)


def frozen_credentials(session: Any) -> ReadOnlyCredentials | None:
    """Return credentials that are valid now, renewed if need be; None where boto3 finds none.

    Raises:
        ConfigError: a configured provider of credentials failed.
        StorageUnavailable: a provider of credentials did not answer.
    """
    try:
        found = session.get_credentials()
        frozen: ReadOnlyCredentials | None = found and found.get_frozen_credentials()
    except _RAISED as error:
        raise _explained(error, session.profile) from error
    if frozen is not None:
        _check_characters(frozen)
    return frozen


def is_broken_tls(error: BaseException) -> bool:
    """Tell whether a certificate, or what speaks no TLS, is the cause: it stays so."""
    return isinstance(error, botocore_errors.SSLError) and "EOF" not in str(error)


def _explained(error: Exception, profile: str | None) -> TacError:
    if any(_is_temporary(each) for each in (error, error.__context__)):
        return StorageUnavailable(
            f"credentials for S3: their provider did not answer: {cut(str(error))}",
            hint="try again",
        )
    return ConfigError(f"credentials for S3: {cut(_said(error))}", hint=_hint(error, profile))


def _is_temporary(error: BaseException | None) -> bool:
    if isinstance(error, botocore_errors.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = _code_of(error)
        return (
            status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or status == HTTPStatus.TOO_MANY_REQUESTS
            or "Throttl" in code
            or code in _TEMPORARY_CODES
        )
    if isinstance(error, botocore_errors.MetadataRetrievalError):
        return "non 200 response 4" not in str(error)
    # IMDS that does not answer gives botocore an empty answer.
    if isinstance(error, botocore_errors.CredentialRetrievalError):
        return bool(error.kwargs["provider"] == "iam-role")
    unanswered = (botocore_errors.HTTPClientError, botocore_errors.ConnectionError)
    return isinstance(error, unanswered) and not is_broken_tls(error)


def _code_of(error: botocore_errors.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _said(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the role asks for an MFA code, and there is no terminal to type it on"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ValueError | LookupError | TypeError | AttributeError):
        return f"their provider's answer is unusable: {type(error).__name__}: {error}"
    return str(error)


def _hint(error: Exception, profile: str | None) -> str:
    if isinstance(error, botocore_errors.ClientError) and "AssumeRole" in error.operation_name:
        expired = "ExpiredToken" in _code_of(error)
        cause = "renew what the role is assumed with" if expired else _TRUST
        return f"{cause}; {_CHECK}"
    hint = next(hint for kinds, hint in _HINTS if isinstance(error, kinds))
    return hint.format(of_profile=f" --profile {profile}" if profile else "")


def _check_characters(frozen: ReadOnlyCredentials) -> None:
    """Refuse what no header can carry, before an error quotes the header with all that it holds.

    Raises:
        ConfigError: such a character is in one of them.
    """
    for name, value in (
        ("access key", frozen.access_key),
        ("session token", frozen.token or ""),
        ("secret key", frozen.secret_key),
    ):
        if not value and name != "session token":
            raise ConfigError(f"credentials for S3: the {name} is empty", hint=_CHECK)
        if not value.isprintable() or value != value.strip() or not value.isascii():
            raise ConfigError(
                f"credentials for S3: the {name} has a character that none can have: a line break, "
                "a blank at an end, or one beyond ASCII",
                hint="write it again; `echo` adds a line break, and `printf %s` none",
            )
