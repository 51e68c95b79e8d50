"""The one line in which a step tells how far it is, for people and for runners alike, and where.

Pure. A step prints it to its log; a runner, wherever the step runs, finds it there and tells the
dashboard. So progress needs no channel beside the log, which every runner has to follow anyway.

    [ 40 %] reading 2023-02-22.parquet

No line tells where a step runs, because any program can print one: its runner reports that.
"""

import re
from dataclasses import dataclass

from tac.plain import plain

TEXT_LIMIT = 200
"""Characters of what a step does now: a dashboard has one line for it."""

_LOOKED_AT = 1000
"""Characters of a line that are looked at: what is longer is cut anyway."""

_WHOLE = 100
_LINE = re.compile(r"^\[ {0,2}(?P<percent>[0-9]{1,3}) %\] (?P<text>.*)$", re.DOTALL)


@dataclass(frozen=True)
class Progress:
    """How much of a step is done, in whole percent, and what it does now."""

    percent: int
    text: str


@dataclass(frozen=True)
class Location:
    """The pod in which a step runs; `text` is what a person reads of it."""

    pod: str
    namespace: str
    text: str


def format_progress(progress: Progress) -> str:
    """Write the line, without its line feed."""
    return f"[{progress.percent:3d} %] {progress.text}"


def parse_progress(line: str) -> Progress | None:
    """Read the line, plain and bounded; None for every other line of a log."""
    found = _LINE.match(line[:_LOOKED_AT].rstrip("\r\n"))
    if found is None or int(found["percent"]) > _WHOLE:
        return None
    return Progress(int(found["percent"]), plain(found["text"], limit=TEXT_LIMIT))
