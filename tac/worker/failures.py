"""The failure of a task, in one sentence, from the exception that it raised."""

import traceback
from pathlib import Path

import luigi

from tac.errors import TacError, cut
from tac.observer import TaskFailure
from tac.redaction import redacted

_NOT_THE_TASKS = (str(Path(luigi.__file__).parent), str(Path(__file__).parent))
"""A traceback begins in these files, which are not the task's own."""


def failure_of(name: str, error: BaseException) -> TaskFailure:
    """Return why `name` failed; an exception that is no TacError comes with its traceback."""
    if isinstance(error, TacError):
        return TaskFailure(error.message, error.hint)
    where = error.__traceback__
    while where is not None and where.tb_frame.f_code.co_filename.startswith(_NOT_THE_TASKS):
        where = where.tb_next
    details = redacted("".join(traceback.format_exception(type(error), error, where)))
    text = f"{type(error).__name__}: {cut(str(error))}" if str(error) else type(error).__name__
    return TaskFailure(f"{name}: {text}", details=details)
