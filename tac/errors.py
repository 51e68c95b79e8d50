"""The errors of tac, grouped by what the person or the runner who meets one does next.

    TacError                       1   a bug, until a subclass says otherwise
    ├── ConfigError                2   fix a setting or a command line
    ├── StorageError               2   fix an address or a right
    │   ├── InputMissing           2   make the input first
    │   ├── BucketMissing          2   create the bucket
    │   ├── CredentialsRejected    2   log in again, or set other keys
    │   └── AccessDenied           2   ask for the right
    ├── ApiError                   1   read what the API server of Kubernetes said
    │   ├── Unauthorized           2   log in again
    │   ├── Forbidden              2   ask for the right
    │   ├── NotFound               1   look for the name, or the namespace
    │   ├── Conflict               1   look at the object that has the name
    │   ├── Invalid                1   fix the manifest
    │   └── Expired                1   list again
    ├── EngineError                1   read what the Docker engine said
    │   ├── EngineUnavailable      1   start the engine
    │   ├── ImageNotFound          1   build the image, or name another
    │   ├── ContainerNotFound      1   create the container
    │   ├── ContainerConflict      1   look at the container that has the name
    │   ├── ContainerNotStarted    1   fix the command, or the image
    │   └── EngineRefused          1   fix what it names
    ├── DataError                 65   fix the data
    ├── TemporaryError            75   try again
    │   ├── StorageUnavailable    75   wait until the store answers again
    │   ├── StorageFull           75   free space in the store
    │   └── ApiUnavailable        75   wait until the API server answers again
    └── StepFailed                 1   read the step's verdict

The numbers are exit codes: the contract between a step and its runner.
Nothing here imports a library, so catching one of these costs nothing; so `TargetMissing`, which is
an error of Luigi's too, is in `tac.target`.
"""

from tac.plain import plain

SERVER_TEXT_LIMIT = 500
"""Characters of a server's or a library's error text that a message may hold."""


class TacError(Exception):
    """What went wrong, in one sentence, and in `hint` what to do about it.

    Both are made plain and cut at once, since Luigi's own worker logs them without `tac.terminal`.
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


class CredentialsRejected(StorageError):
    """The store does not know the credentials, or they have expired (401, and codes of S3)."""


class AccessDenied(StorageError):
    """The store knows the user, who has no right to it (403)."""


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


class Unauthorized(ApiError):
    """It rejected the credentials (401)."""

    exit_code = 2


class Forbidden(ApiError):
    """It knows the user, and does not allow it (403): a right, a quota, a policy."""

    exit_code = 2


class NotFound(ApiError):
    """There is no such object, or no such namespace (404)."""


class Conflict(ApiError):
    """An object of that name exists, or it is not the one that was meant (409)."""


class Invalid(ApiError):
    """It cannot do what was asked as it was asked (400, 422)."""


class Expired(ApiError):
    """It has forgotten the version that was asked for (410): list, and go on from there."""


class EngineError(TacError):
    """The Docker engine did not do what was asked."""


class EngineUnavailable(EngineError):
    """It did not answer, or its socket may not be used."""


class ImageNotFound(EngineError):
    """The image is not here, or its registry does not give it."""


class ContainerNotFound(EngineError):
    """There is no such container, or not any more."""


class ContainerConflict(EngineError):
    """The name belongs to another container, or this one is being removed."""


class EngineRefused(EngineError):
    """The engine answered that it cannot."""


class ContainerNotStarted(EngineError):
    """The engine created the container, and could not start its program.

    `code` is the exit code that the engine gives it, as a shell would.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


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
    A change may have been made all the same: read before making it again.
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
