"""The verdict on a program that has exited: from its exit code or signal, and the end of its log.

Pure, so every way in which a step can exit is a row in tests/unit/test_exits.py.
The exit codes are the contract between step and runner.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tac.errors import cut
from tac.verdict import (
    FEWER_STEPS,
    FINISHED_IS_KEPT,
    PERHAPS_MEMORY,
    WHERE_IT_IS_SET,
    Audience,
    Phase,
    Reason,
    Verdict,
    after_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Stop(StrEnum):
    """Whether tac stopped the program, and how."""

    NOT_REQUESTED = "not_requested"
    REQUESTED = "requested"  # SIGTERM
    FORCED = "forced"  # SIGTERM, the grace period, SIGKILL


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a program exited, as the system reports it: an exit code, or a signal."""

    exit_code: int | None = None
    signal: int | None = None
    stop: Stop = Stop.NOT_REQUESTED
    oom_killed: bool = False
    """The kernel's OOM killer killed a process here while the program ran."""
    peak_memory_mib: int | None = None
    seconds: float = 0.0
    image: str = ""
    """The image of its container; "" for a process of this machine."""
    memory_limit: str = ""
    """The memory limit of its container, if it has one."""
    place: str = ""
    """The object that it ran in, such as `job/NAME`."""
    foreign_exit_codes: bool = False
    """It is not a step of tac: exit code 0 is success, and all others are failure."""


@dataclass(frozen=True)
class LastError:
    """The error that a log ends with, and the program's own hint if it printed one."""

    text: str
    hint: str | None = None


_ERROR = re.compile(r"^Error: (?P<text>.+)$")
_HINT = re.compile(r"^Hint: (?P<text>.+)$")
_TRACEBACK = "Traceback (most recent call last):"
_FATAL = "Fatal Python error: "
_MEMORY_ERROR = re.compile(r"^[\w.]*MemoryError\b")
_NO_MODULE = re.compile(r"^\S*python\S*: (?P<text>(?:No module named|Error while finding) .+)$")


def last_error(tail: Sequence[str]) -> LastError:
    """Find the error in the last lines of a log.

    That is the `Error:` and `Hint:` of a step, else the last traceback's exception, else the last
    line.
    """
    lines = [line.rstrip() for line in tail if line.strip()]
    hint = _HINT.match(lines[-1]) if lines else None
    rest = lines[:-1] if hint else lines
    if rest and (found := _ERROR.match(rest[-1])):
        return LastError(cut(found["text"]), cut(hint["text"]) if hint else None)
    exception = _exception(lines)
    return LastError(cut(exception or (lines[-1] if lines else "")))


def _exception(lines: Sequence[str]) -> str | None:
    fatal = [line for line in lines if line.startswith(_FATAL)]
    if fatal:
        return fatal[-1]
    starts = [number for number, line in enumerate(lines) if line == _TRACEBACK]
    if not starts:
        return None
    # Frames are indented; the first line that is not is the exception, its message may go on below.
    return next((line for line in lines[starts[-1] + 1 :] if not line.startswith(" ")), None)


_BY_EXIT_CODE: Mapping[int, Reason] = {
    0: Reason.DONE,
    1: Reason.BUG,
    2: Reason.USAGE,
    65: Reason.BAD_DATA,
    75: Reason.TRY_AGAIN,
    126: Reason.CANNOT_START,  # found but not executable, or
    127: Reason.CANNOT_START,  # not found: the shell's codes (POSIX, "Exit Status for Commands")
}
_BY_SIGNAL: Mapping[int, Reason] = {
    signal.SIGTERM: Reason.STOPPED,
    signal.SIGKILL: Reason.KILLED,
    signal.SIGSEGV: Reason.CRASHED,
    signal.SIGBUS: Reason.CRASHED,
    signal.SIGILL: Reason.CRASHED,
    signal.SIGFPE: Reason.CRASHED,
    signal.SIGABRT: Reason.CRASHED,
}
_SHELL_SIGNAL_BASE = 128  # a shell, and a container, report signal N as exit code 128+N


def signal_of(exit_code: int | None) -> int | None:
    """Return the signal that an exit code above 128 stands for, if there is such a signal."""
    number = (exit_code or 0) - _SHELL_SIGNAL_BASE
    return number if number in set(signal.Signals) else None


def signal_name(number: int) -> str:
    """Return `SIGKILL` for 9, and `signal 40` where the platform has no name for it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _reason(ending: Ending, error: LastError) -> Reason:
    if ending.stop is not Stop.NOT_REQUESTED:
        # Whatever its exit code: many programs exit with 0 after SIGTERM, their work unfinished.
        return Reason.STOPPED
    number = ending.signal or signal_of(ending.exit_code)
    if number is not None:
        reason = _BY_SIGNAL.get(number, Reason.SIGNALLED)
        return _killed(ending) if reason is Reason.KILLED else reason
    reason = _BY_EXIT_CODE.get(ending.exit_code or 0, Reason.UNKNOWN_EXIT)
    return _reason_of_exit_code_1(ending, error) if reason is Reason.BUG else reason


def _foreign_reason(ending: Ending) -> Reason:
    """Return the reason for a program without our exit codes: only 0 is success."""
    if ending.stop is not Stop.NOT_REQUESTED:
        return Reason.STOPPED
    if not ending.exit_code and not ending.signal:
        return Reason.DONE
    if ending.oom_killed:
        return Reason.OUT_OF_MEMORY
    number = ending.signal or signal_of(ending.exit_code)
    return _killed(ending) if number == signal.SIGKILL else Reason.FAILED


def _killed(ending: Ending) -> Reason:
    """Return the reason for a SIGKILL that neither tac nor the platform reports as its own.

    containerd and Docker receive an OOM kill apart from the exit of the container, and may report
    the exit first, and the OOM kill never (containerd issues 8180 and 12260).
    """
    if ending.oom_killed:
        return Reason.OUT_OF_MEMORY
    return Reason.PERHAPS_OUT_OF_MEMORY if ending.memory_limit else Reason.KILLED


def _reason_of_exit_code_1(ending: Ending, error: LastError) -> Reason:
    # Python exits with 1 for all of these. In a container the OOM killer killed a child of the
    # program; on a whole machine it may have been any process.
    if _MEMORY_ERROR.match(error.text) or (ending.oom_killed and ending.image):
        return Reason.OUT_OF_MEMORY
    return Reason.CANNOT_START if _NO_MODULE.match(error.text) else Reason.BUG


_DETAILS: Mapping[Reason, str] = {
    Reason.DONE: "done {after}",
    Reason.FAILED: "failed with {how} {after}: {error}",
    Reason.BUG: "failed with {how} {after}: {error}",
    Reason.USAGE: "cannot be done as asked, {how}: {error}",
    Reason.BAD_DATA: "cannot use its input data, {how}: {error}",
    Reason.TRY_AGAIN: "failed temporarily, {how} {after}: {error}",
    Reason.STOPPED: "stopped by {how}, which did not come from tac, {after}: {error}",
    Reason.OUT_OF_MEMORY: "ran out of memory, {how} {after}: {error}",
    Reason.PERHAPS_OUT_OF_MEMORY: (
        "killed by {how} {after}, under a memory limit of {limit} and for no reason that is given, "
        "perhaps out of memory: {error}"
    ),
    Reason.KILLED: "killed by {how} {after}, sender unknown: {error}",
    Reason.CRASHED: "crashed in native code, {how} {after}: {error}",
    Reason.SIGNALLED: "ended by {how} {after}: {error}",
    Reason.UNKNOWN_EXIT: "ended with {how}, which has no meaning here, {after}: {error}",
    Reason.CANNOT_START: "could not be started, {how}: {error}",
}
_STOP_DETAILS: Mapping[Stop, str] = {
    Stop.REQUESTED: "stopped on request {after}",
    Stop.FORCED: "stopped on request {after}, by SIGKILL because SIGTERM did not end it",
}
_MORE_MEMORY = "give it more memory, {in_its_memory} (now {limit})"
_REMEDIES: Mapping[Reason, str] = {
    Reason.DONE: "",
    Reason.FAILED: "log: {log}",
    Reason.BUG: "a bug of the step; log: {log}",
    Reason.USAGE: "fix the setting, the command or the input it names; log: {log}",
    Reason.BAD_DATA: "fix the data it names, the same data fail again; log: {log}",
    Reason.TRY_AGAIN: "run the same command again a little later; log: {log}",
    Reason.STOPPED: FINISHED_IS_KEPT,
    Reason.OUT_OF_MEMORY: f"{FEWER_STEPS}; log: {{log}}",
    Reason.PERHAPS_OUT_OF_MEMORY: f"if it ran out, {_MORE_MEMORY}; log: {{log}}",
    Reason.KILLED: f"{PERHAPS_MEMORY}; log: {{log}}",
    Reason.CRASHED: "run the command at the top of {log} with PYTHONFAULTHANDLER=1 to see where",
    Reason.SIGNALLED: "a signal from outside; log: {log}",
    Reason.UNKNOWN_EXIT: "steps end with 0, 1, 2, 65, 75 or 143; log: {log}",
    Reason.CANNOT_START: "install the program or module, name its folder in PATH or PYTHONPATH, "
    "or fix the command at the top of {log}",
}

_WITH_OWN_HINT = {Reason.BUG, Reason.USAGE, Reason.BAD_DATA, Reason.TRY_AGAIN, Reason.UNKNOWN_EXIT}


def judge(
    ending: Ending, tail: Sequence[str], *, log: str, audience: Audience = Audience.STEP
) -> Verdict:
    """Conclude from how a program exited and from the last lines of its log, which is at `log`."""
    error = last_error(tail)
    reason = _foreign_reason(ending) if ending.foreign_exit_codes else _reason(ending, error)
    detail = _STOP_DETAILS.get(ending.stop, _DETAILS[reason])
    number = ending.signal or signal_of(ending.exit_code)
    facts = {
        "how": _how(ending, number),
        "after": _after(ending),
        "limit": ending.memory_limit,
        "error": error.text or "no output",
    }
    own_hint = error.hint if reason in _WITH_OWN_HINT else None
    facts |= {**WHERE_IT_IS_SET[audience], "image": ending.image, "log": log}
    remedy = _remedy(reason, ending).format_map(facts)
    return Verdict(
        phase=_phase(reason, number),
        reason=reason,
        detail=detail.format_map(facts),
        remedy=own_hint or remedy or None,
        exit_code=ending.exit_code,
        signal=number,
        peak_memory_mib=ending.peak_memory_mib,
        seconds=ending.seconds,
    )


def _remedy(reason: Reason, ending: Ending) -> str:
    if reason is Reason.OUT_OF_MEMORY and ending.memory_limit:
        return f"{_MORE_MEMORY}; log: {{log}}"
    if reason is Reason.CANNOT_START and ending.image:
        return (
            "build the program or module into the image {image!r}, name another {by_image}, "
            "or fix the command at the top of {log}"
        )
    return _REMEDIES[reason]


def _phase(reason: Reason, number: int | None) -> Phase:
    if reason is Reason.CANNOT_START:
        return Phase.PENDING
    return Phase.FINISHED if number is None and reason is not Reason.STOPPED else Phase.RUNNING


def _how(ending: Ending, number: int | None) -> str:
    place = f" in {ending.place}" if ending.place else ""
    if ending.exit_code is None:
        return f"{signal_name(number or 0)}{place}"
    meaning = f" ({signal_name(number)})" if number is not None else ""
    return f"exit code {ending.exit_code}{meaning}{place}"


def _after(ending: Ending) -> str:
    memory = ending.peak_memory_mib
    return after_seconds(ending.seconds) + (f", peak memory {memory} MiB" if memory else "")
