"""What happens before a command starts: its log is opened, and a refusal becomes a verdict."""

from __future__ import annotations

import errno
import shlex
from typing import TYPE_CHECKING

from tac import verdict
from tac.errors import TacError
from tac.log_file import begin_log
from tac.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tac.log_file import Log
    from tac.request import RunRequest
    from tac.verdict import Verdict

_TRY_AGAIN = {
    errno.EAGAIN,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EDQUOT,
}
"""Errors of the system that may be over at the next attempt."""


def open_log(request: RunRequest) -> Log:
    """Open the log of a command that is about to start, headed by its command line.

    Raises:
        ConfigError: a part of its path is a link, or it is something else than a file.
        OSError: it cannot be created.
    """
    again = f"  # attempt {request.attempt}" if request.attempt > 1 else ""
    return begin_log(request.log, f"$ {redacted_command(request.argv)}{again}")


def redacted_command(argv: Iterable[str]) -> str:
    """Write a command for a shell, without the secrets of the addresses in it."""
    return shlex.join(map(redacted, argv))


def not_started(error: OSError | TacError, log: str) -> Verdict:
    """Return the verdict on a command that could not start."""
    if isinstance(error, TacError):
        return verdict.cannot_start(error.message, log=log, remedy=error.hint)
    conclude = verdict.refused if error.errno in _TRY_AGAIN else verdict.cannot_start
    return conclude(str(error), log=log)
