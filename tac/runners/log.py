"""The log file of a command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tac.log_file import begin_log

if TYPE_CHECKING:
    from tac.log_file import Log
    from tac.runners import Command


def open_log(command: Command) -> Log:
    """Open the log of a command that is about to begin, headed by what would run it by hand.

    Raises:
        OSError: the file cannot be made.
    """
    again = f"  # attempt {command.attempt}" if command.attempt > 1 else ""
    return begin_log(command.log, f"$ {shlex.join(command.argv)}{again}")
