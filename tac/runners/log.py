"""The log file of a command, and what it means that one, or a process, cannot be had."""

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

_NO_ROOM = {
    errno.EAGAIN,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EDQUOT,
}
"""Limits of the system that another moment may not meet."""


def open_log(request: RunRequest) -> Log:
    """Open the log of a command that is about to begin, headed by what would run it by hand.

    Raises:
        ConfigError: a part of its path is a link, or something else than a file stands there.
        OSError: it cannot be made.
    """
    again = f"  # attempt {request.attempt}" if request.attempt > 1 else ""
    return begin_log(request.log, f"$ {shown(request.argv)}{again}")


def shown(argv: Iterable[str]) -> str:
    """Write a command for a shell and for others' eyes: no secret of an address is in it."""
    return shlex.join(map(redacted, argv))


def not_started(error: OSError | TacError, log: str) -> Verdict:
    """Conclude from what was refused before a command began."""
    if isinstance(error, TacError):
        return verdict.cannot_start(error.message, log=log, remedy=error.hint)
    conclude = verdict.refused if error.errno in _NO_ROOM else verdict.cannot_start
    return conclude(str(error), log=log)
