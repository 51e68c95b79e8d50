"""The one line in which a step tells how far it is, for people and for runners alike.

Pure. A step prints it to its log; a runner, wherever the step runs, finds it there and tells the
dashboard. So progress needs no channel beside the log, which every runner has to follow anyway.

    [ 40 %] reading 2023-02-22.parquet
"""

import re
from dataclasses import dataclass

_WHOLE = 100
_LINE = re.compile(r"^\[ {0,2}(?P<percent>\d{1,3}) %\] (?P<text>.*)$")


@dataclass(frozen=True)
class Progress:
    """How much of a step is done, in whole percent, and what it does now."""

    percent: int
    text: str


def format_progress(progress: Progress) -> str:
    """Write the line, without its line feed."""
    return f"[{progress.percent:3d} %] {progress.text}"


def parse_progress(line: str) -> Progress | None:
    """Read the line; None for every other line of a log."""
    found = _LINE.match(line.rstrip("\r\n"))
    if found is None or int(found["percent"]) > _WHOLE:
        return None
    return Progress(int(found["percent"]), found["text"])
