"""The errors of tac, grouped by what the person or the runner who meets one does next.

    TacError                     1   a bug, until a subclass says otherwise
    ├── ConfigError              2   mend a setting or a command line
    ├── StorageError             2   mend an address or a right
    │   ├── InputMissing         2   make the input first
    │   ├── BucketMissing        2   create the bucket
    │   └── AccessDenied         2   ask for the right
    ├── ApiError                 1   read what the API server of Kubernetes said
    │   ├── Forbidden            1   ask for the right, or log in again
    │   ├── NotFound             1   look for the name, or the namespace
    │   ├── Conflict             1   look at what is there already
    │   ├── Invalid              1   mend the manifest
    │   └── Expired              1   list again
    ├── DataError               65   mend the data
    ├── TemporaryError          75   try again
    │   ├── StorageUnavailable  75   wait for the store to come back
    │   ├── StorageFull         75   free space
    │   └── ApiUnavailable      75   wait for the API server to come back
    └── StepFailed               1   read the step's verdict

The numbers are exit codes: the contract between a step and its runner.
Nothing here imports a library, so catching one of these costs nothing.
"""

from tac.plain import plain

SERVER_TEXT_LIMIT = 500
"""Characters of somebody else's error text that a message of ours may hold."""


class TacError(Exception):
    """What went wrong, in one sentence, and in `hint` what to do about it.

    Both are plain and bounded from their beginning: Luigi's own worker logs them by doors that are
    not ours.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = plain(message)
        self.hint = None if hint is None else plain(hint)
        super().__init__(self.message)
        if self.hint:  # also where a traceback is all that is shown, as under the stock `luigi`
            self.add_note(f"Hint: {self.hint}")


class ConfigError(TacError):
    """A setting, an option or an address cannot be used as it stands."""

    exit_code = 2


class StorageError(TacError):
    """The store answered, and the answer will be the same next time."""

    exit_code = 2


class InputMissing(StorageError):
    """There is nothing at an address that was to be read."""


class BucketMissing(StorageError):
    """The bucket does not exist; trying again cannot help."""


class AccessDenied(StorageError):
    """The credentials, or the rights of the user, do not allow it."""


class ApiError(TacError):
    """The API server of Kubernetes answered, and the answer will be the same next time.

    `status` is the answer's number, `reason` the server's word for it, such as `AlreadyExists`.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason


class Forbidden(ApiError):
    """It does not know us (401), or does not let us (403): a right, a quota, a policy."""


class NotFound(ApiError):
    """There is no such object, or no such namespace (404)."""


class Conflict(ApiError):
    """There is one of that name already, or it is not the one that was meant (409)."""


class Invalid(ApiError):
    """It cannot do what was asked as it was asked (400, 422)."""


class Expired(ApiError):
    """It has forgotten the version that was asked for (410): list, and go on from there."""


class DataError(TacError):
    """The bytes were read and are not what they must be."""

    exit_code = 65  # EX_DATAERR of sysexits.h


class TemporaryError(TacError):
    """It may work a little later, unchanged."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class StorageUnavailable(TemporaryError):
    """The store did not answer, or asked us to slow down."""


class StorageFull(TemporaryError):
    """The output does not fit on the disk, the quota or the server."""


class ApiUnavailable(TemporaryError):
    """The API server of Kubernetes did not answer, or asked us to come back later.

    `retry_after_seconds` is how much later, if it said so.
    Of a change nobody knows whether it was made: read before making it again.
    """

    def __init__(
        self, message: str, *, retry_after_seconds: float | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class StepFailed(TacError):
    """A step did not do its work; the message is its verdict."""


def cut(text: str, limit: int = SERVER_TEXT_LIMIT) -> str:
    """Shorten text from elsewhere to one plain line of at most `limit` characters."""
    return plain(text, limit=limit)
