"""How a program ended, and what that means for the step that it was.

Pure: it is told how the program ended and the last lines of its log, and asks nobody.
So every way in which a step can end is a row in tests/unit/test_exits.py.
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
    """Whether we told the program to stop, and how far that had to go."""

    NOT_ASKED = "not_asked"
    ASKED = "asked"  # SIGTERM
    FORCED = "forced"  # SIGTERM, the grace, SIGKILL


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a program ended, as the system saw it: an exit code, or the signal that ended it."""

    exit_code: int | None = None
    signal: int | None = None
    stop: Stop = Stop.NOT_ASKED
    oom_killed: bool = False
    """The kernel killed something here for lack of memory while the program ran."""
    peak_memory_mib: int | None = None
    seconds: float = 0.0
    image: str = ""
    """The container image that it ran in; without one it was a process of this machine."""
    memory_limit: str = ""
    """How much memory its container was given, if that was limited."""
    place: str = ""
    """What a person can look at to see where it ran, such as `job/NAME`."""
    own_exit_codes: bool = False
    """It is no step of tac: its exit code 0 is success, and all others are failure."""


@dataclass(frozen=True)
class Words:
    """What a program said last: its error, and its own hint if it gave one."""

    text: str
    hint: str | None = None


_OF_OURS = re.compile(r"^Error: (?P<text>.+)$")
_HINT = re.compile(r"^Hint: (?P<text>.+)$")
_TRACEBACK = "Traceback (most recent call last):"
_FATAL = "Fatal Python error: "
_MEMORY_ERROR = re.compile(r"^[\w.]*MemoryError\b")
_NO_MODULE = re.compile(r"^\S*python\S*: (?P<text>(?:No module named|Error while finding) .+)$")


def last_words(tail: Sequence[str]) -> Words:
    """Find in the last lines of a log what its program died of.

    That is the `Error:` and `Hint:` of a step, else the last traceback's exception, else the last
    line.
    """
    lines = [line.rstrip() for line in tail if line.strip()]
    hint = _HINT.match(lines[-1]) if lines else None
    rest = lines[:-1] if hint else lines
    if rest and (found := _OF_OURS.match(rest[-1])):
        return Words(cut(found["text"]), cut(hint["text"]) if hint else None)
    exception = _exception(lines)
    return Words(cut(exception or (lines[-1] if lines else "")))


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
    """Return the signal that an exit code of 129 and more stands for, if it stands for one."""
    number = (exit_code or 0) - _SHELL_SIGNAL_BASE
    return number if number in set(signal.Signals) else None


def signal_name(number: int) -> str:
    """Return `SIGKILL` for 9, and `signal 40` for one without a name here."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _reason(ending: Ending, words: Words) -> Reason:
    if ending.stop is not Stop.NOT_ASKED:
        # Whatever its exit code: many a program answers SIGTERM with 0 and half its work done.
        return Reason.STOPPED
    number = ending.signal or signal_of(ending.exit_code)
    if number is not None:
        reason = _BY_SIGNAL.get(number, Reason.SIGNALLED)
        return _killed(ending) if reason is Reason.KILLED else reason
    reason = _BY_EXIT_CODE.get(ending.exit_code or 0, Reason.UNKNOWN_EXIT)
    return _bug_or_worse(ending, words) if reason is Reason.BUG else reason


def _own_reason(ending: Ending) -> Reason:
    """Tell of a program that knows nothing of our exit codes: 0 is success, nothing else is."""
    if ending.stop is not Stop.NOT_ASKED:
        return Reason.STOPPED
    if not ending.exit_code and not ending.signal:
        return Reason.DONE
    if ending.oom_killed:
        return Reason.OUT_OF_MEMORY
    number = ending.signal or signal_of(ending.exit_code)
    return _killed(ending) if number == signal.SIGKILL else Reason.FAILED


def _killed(ending: Ending) -> Reason:
    """Tell what a SIGKILL was for that neither tac nor the platform has owned up to.

    Both of containerd and Docker hear of a kill for lack of memory beside the end of the container,
    and may tell the end first, and never the reason (containerd issues 8180 and 12260).
    """
    if ending.oom_killed:
        return Reason.OUT_OF_MEMORY
    return Reason.PERHAPS_OUT_OF_MEMORY if ending.memory_limit else Reason.KILLED


def _bug_or_worse(ending: Ending, words: Words) -> Reason:
    # Python has one exit code for all of these. In a container the kernel's kill was of something
    # that the program had started; on a whole machine it may have been anybody's.
    if _MEMORY_ERROR.match(words.text) or (ending.oom_killed and ending.image):
        return Reason.OUT_OF_MEMORY
    return Reason.CANNOT_START if _NO_MODULE.match(words.text) else Reason.BUG


_DETAILS: Mapping[Reason, str] = {
    Reason.DONE: "done {after}",
    Reason.FAILED: "failed with {how} {after}: {words}",
    Reason.BUG: "failed with {how} {after}: {words}",
    Reason.USAGE: "cannot be done as asked, {how}: {words}",
    Reason.BAD_DATA: "was given data that cannot be used, {how}: {words}",
    Reason.TRY_AGAIN: "could not be done just now, {how} {after}: {words}",
    Reason.STOPPED: "stopped by {how}, which did not come from tac, {after}: {words}",
    Reason.OUT_OF_MEMORY: "ran out of memory, {how} {after}: {words}",
    Reason.PERHAPS_OUT_OF_MEMORY: (
        "killed by {how} {after}, under a memory limit of {limit} and for no reason that is given, "
        "perhaps out of memory: {words}"
    ),
    Reason.KILLED: "killed by {how} {after}, by whom is not known: {words}",
    Reason.CRASHED: "crashed in native code, {how} {after}: {words}",
    Reason.SIGNALLED: "ended by {how} {after}: {words}",
    Reason.UNKNOWN_EXIT: "ended with {how}, which has no meaning here, {after}: {words}",
    Reason.CANNOT_START: "could not be started, {how}: {words}",
}
_STOP_DETAILS: Mapping[Stop, str] = {
    Stop.ASKED: "stopped as asked {after}",
    Stop.FORCED: "stopped as asked {after}, by SIGKILL because SIGTERM did not end it",
}
_MORE_MEMORY = "give it more memory, {in_its_memory} (now {limit})"
_REMEDIES: Mapping[Reason, str] = {
    Reason.DONE: "",
    Reason.FAILED: "everything it said is in {log}",
    Reason.BUG: "a bug of the step; everything it said is in {log}",
    Reason.USAGE: "mend the setting, the command or the input it names; log: {log}",
    Reason.BAD_DATA: "mend the data it names, the same data fail again; log: {log}",
    Reason.TRY_AGAIN: "run the same command again a little later; log: {log}",
    Reason.STOPPED: FINISHED_IS_KEPT,
    Reason.OUT_OF_MEMORY: f"{FEWER_STEPS}; log: {{log}}",
    Reason.PERHAPS_OUT_OF_MEMORY: f"if it ran out, {_MORE_MEMORY}; log: {{log}}",
    Reason.KILLED: f"{PERHAPS_MEMORY}; log: {{log}}",
    Reason.CRASHED: "run the command at the top of {log} with PYTHONFAULTHANDLER=1 to see where",
    Reason.SIGNALLED: "somebody sent that signal; log: {log}",
    Reason.UNKNOWN_EXIT: "steps end with 0, 1, 2, 65, 75 or 143; log: {log}",
    Reason.CANNOT_START: "install the program or module, name its folder in PATH or PYTHONPATH, "
    "or mend the command at the top of {log}",
}

_WITH_OWN_HINT = {Reason.BUG, Reason.USAGE, Reason.BAD_DATA, Reason.TRY_AGAIN, Reason.UNKNOWN_EXIT}


def judge(
    ending: Ending, tail: Sequence[str], *, log: str, audience: Audience = Audience.STEP
) -> Verdict:
    """Conclude from how a program ended and from the last lines of its log, which is at `log`."""
    words = last_words(tail)
    reason = _own_reason(ending) if ending.own_exit_codes else _reason(ending, words)
    detail = _STOP_DETAILS.get(ending.stop, _DETAILS[reason])
    number = ending.signal or signal_of(ending.exit_code)
    facts = {
        "how": _how(ending, number),
        "after": _after(ending),
        "limit": ending.memory_limit,
        "words": words.text or "it said nothing",
    }
    own_hint = words.hint if reason in _WITH_OWN_HINT else None
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
            "or mend the command at the top of {log}"
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
