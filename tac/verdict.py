"""What an attempt to run a step came to, and what to do about it.

Pure: it is told how the program ended and the last lines of its log, and asks nobody.
So every way in which a step can end is a row in tests/unit/test_verdict.py.
The exit codes are the contract between step and runner; the retry table is what tac does by itself.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tac.errors import StepFailed, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Phase(StrEnum):
    """How far an attempt came."""

    PENDING = "pending"  # the program never began
    RUNNING = "running"  # it was ended from outside
    FINISHED = "finished"  # it ended by itself


class Reason(StrEnum):
    """Why an attempt ended as it did. The values are stable: dashboards count by them."""

    DONE = "done"
    FAILED = "failed"  # where exit codes have no meaning of ours
    BUG = "bug"
    USAGE = "usage"
    BAD_DATA = "bad_data"
    TRY_AGAIN = "try_again"
    STOPPED = "stopped"
    OUT_OF_MEMORY = "out_of_memory"
    KILLED = "killed"
    CRASHED = "crashed"
    SIGNALLED = "signalled"
    UNKNOWN_EXIT = "unknown_exit"
    CANNOT_START = "cannot_start"
    NO_IMAGE = "no_image"
    NO_ENGINE = "no_engine"
    LOST = "lost"
    NO_OUTPUT = "no_output"
    NO_CLUSTER = "no_cluster"
    NO_POD = "no_pod"
    UNSCHEDULABLE = "unschedulable"
    EVICTED = "evicted"
    PREEMPTED = "preempted"
    NODE_LOST = "node_lost"
    OUT_OF_DISK = "out_of_disk"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"


class Next(StrEnum):
    """What follows from a verdict."""

    ACCEPT = "accept"
    RETRY = "retry"
    GIVE_UP = "give_up"


RETRY_SECONDS: Mapping[Reason, tuple[float, ...]] = {
    # A store that is away or throttles is mostly back within a minute.
    Reason.TRY_AGAIN: (2, 8, 30),
    # The kernel may have picked this step for what its neighbours used, and they have moved on.
    Reason.KILLED: (2,),
    Reason.OUT_OF_MEMORY: (5, 5),  # in a container with twice as much each time
    Reason.LOST: (1,),
    # Nothing of these is the step's doing, and on nodes that are sold cheaply because they may be
    # taken away, or while all nodes are upgraded one by one, one step can meet several.
    Reason.EVICTED: (1, 5, 15, 60, 60),
    Reason.PREEMPTED: (5, 15, 60, 60, 60),  # whoever came first has the room for a while
    Reason.NODE_LOST: (0, 5, 15, 60, 60),  # noticing it has taken its time already
}
"""What tac tries again: the pause before each further attempt. For every other reason: never."""


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


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What we concluded about one attempt; `remedy` is the hint for a person."""

    phase: Phase
    reason: Reason
    detail: str
    remedy: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    peak_memory_mib: int | None = None
    seconds: float = 0.0

    @property
    def next(self) -> Next:
        """What follows, before it is counted how often that was tried already."""
        if self.reason is Reason.DONE:
            return Next.ACCEPT
        return Next.RETRY if self.reason in RETRY_SECONDS else Next.GIVE_UP

    def sentence(self, name: str) -> str:
        """Say it in one sentence about the step of that name."""
        return f"step/{name}: {self.detail}"

    def message(self, name: str) -> str:
        """Say it with the hint on a line of its own, if there is one."""
        hint = f"\nHint: {self.remedy}" if self.remedy else ""
        return self.sentence(name) + hint

    def error(self, name: str) -> StepFailed:
        """Build the error to raise for a verdict that is not accepted."""
        return StepFailed(self.sentence(name), hint=self.remedy)


def backoff_seconds(verdict: Verdict, attempt: int) -> float | None:
    """Return how long to wait after a verdict; None: there is no further attempt.

    Each reason has a budget of its own: `attempt` counts, from 1, the attempts that ended for it.
    """
    pauses = RETRY_SECONDS.get(verdict.reason, ())
    return pauses[attempt - 1] if attempt <= len(pauses) else None


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
        return Words(cut(found["text"]), hint["text"] if hint else None)
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
        return Reason.OUT_OF_MEMORY if reason is Reason.KILLED and ending.oom_killed else reason
    reason = _BY_EXIT_CODE.get(ending.exit_code or 0, Reason.UNKNOWN_EXIT)
    return _bug_or_worse(ending, words) if reason is Reason.BUG else reason


def _own_reason(ending: Ending) -> Reason:
    """Tell of a program that knows nothing of our exit codes: 0 is success, nothing else is."""
    if ending.stop is not Stop.NOT_ASKED:
        return Reason.STOPPED
    if not ending.exit_code:
        return Reason.DONE
    if ending.oom_killed:
        return Reason.OUT_OF_MEMORY
    killed = signal_of(ending.exit_code) == signal.SIGKILL
    return Reason.KILLED if killed else Reason.FAILED


def _bug_or_worse(ending: Ending, words: Words) -> Reason:
    # Python has one exit code for all of these. In a container the kernel's kill was of something
    # that the program had started; on a whole machine it may have been anybody's.
    if _MEMORY_ERROR.match(words.text) or (ending.oom_killed and ending.image):
        return Reason.OUT_OF_MEMORY
    return Reason.CANNOT_START if _NO_MODULE.match(words.text) else Reason.BUG


_FEWER_STEPS = "run fewer steps at once (`--workers 1`), or on a machine with more memory"
_PERHAPS_MEMORY = f"perhaps for lack of memory (`dmesg | grep -i oom` tells): {_FEWER_STEPS}"
_DETAILS: Mapping[Reason, str] = {
    Reason.DONE: "done {after}",
    Reason.FAILED: "failed with {how} {after}: {words}",
    Reason.BUG: "failed with {how} {after}: {words}",
    Reason.USAGE: "cannot be done as asked, {how}: {words}",
    Reason.BAD_DATA: "was given data that cannot be used, {how}: {words}",
    Reason.TRY_AGAIN: "could not be done just now, {how} {after}: {words}",
    Reason.STOPPED: "stopped by {how}, which did not come from tac, {after}: {words}",
    Reason.OUT_OF_MEMORY: "ran out of memory, {how} {after}: {words}",
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
_REMEDIES: Mapping[Reason, str] = {
    Reason.DONE: "",
    Reason.FAILED: "everything it said is in {log}",
    Reason.BUG: "a bug of the step; everything it said is in {log}",
    Reason.USAGE: "mend the setting, the command or the input it names; log: {log}",
    Reason.BAD_DATA: "mend the data it names, the same data fail again; log: {log}",
    Reason.TRY_AGAIN: "run the same command again a little later; log: {log}",
    Reason.STOPPED: "run the same command again: what is finished is kept",
    Reason.OUT_OF_MEMORY: f"{_FEWER_STEPS}; log: {{log}}",
    Reason.KILLED: f"{_PERHAPS_MEMORY}; log: {{log}}",
    Reason.CRASHED: "run the command at the top of {log} with PYTHONFAULTHANDLER=1 to see where",
    Reason.SIGNALLED: "somebody sent that signal; log: {log}",
    Reason.UNKNOWN_EXIT: "steps end with 0, 1, 2, 65, 75 or 143; log: {log}",
    Reason.CANNOT_START: "install the program or module, or mend the command at the top of {log}",
}

_WITH_OWN_HINT = {Reason.BUG, Reason.USAGE, Reason.BAD_DATA, Reason.TRY_AGAIN, Reason.UNKNOWN_EXIT}


def judge(ending: Ending, tail: Sequence[str], *, log: str) -> Verdict:
    """Conclude from how a program ended and from the last lines of its log, which is at `log`."""
    words = last_words(tail)
    reason = _own_reason(ending) if ending.own_exit_codes else _reason(ending, words)
    detail = _STOP_DETAILS.get(ending.stop, _DETAILS[reason])
    number = ending.signal or signal_of(ending.exit_code)
    facts = {
        "how": _how(ending, number),
        "after": _after(ending),
        "words": words.text or "it said nothing",
    }
    own_hint = words.hint if reason in _WITH_OWN_HINT else None
    return Verdict(
        phase=_phase(reason, number),
        reason=reason,
        detail=detail.format_map(facts),
        remedy=own_hint or _remedy(reason, ending).format(log=log) or None,
        exit_code=ending.exit_code,
        signal=number,
        peak_memory_mib=ending.peak_memory_mib,
        seconds=ending.seconds,
    )


def _remedy(reason: Reason, ending: Ending) -> str:
    if reason is Reason.OUT_OF_MEMORY and ending.memory_limit:
        return f"give it more memory, in its task or by TAC_MEMORY (now {ending.memory_limit})" + (
            "; log: {log}"
        )
    if reason is Reason.CANNOT_START and ending.image:
        return (
            f"build the program or module into the image {ending.image!r}, name another (`--image`)"
            ", or mend the command at the top of {log}"
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
    return _after_seconds(ending.seconds) + (f", peak memory {memory} MiB" if memory else "")


def _after_seconds(seconds: float) -> str:
    return f"after {seconds:.1f} s"


def cannot_start(why: str, *, log: str, remedy: str | None = None) -> Verdict:
    """Conclude that the system refused to begin an attempt, so nothing ran."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.CANNOT_START,
        detail=f"could not be started: {cut(why)}",
        remedy=remedy or f"mend what it names and run the same command again; log: {log}",
    )


def no_engine(why: str, remedy: str) -> Verdict:
    """Conclude that there is nobody who could run a container."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.NO_ENGINE,
        detail=f"could not be started: {cut(why)}",
        remedy=remedy,
    )


def no_image(image: str, why: str) -> Verdict:
    """Conclude that there is no such image here, and that none could be pulled."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.NO_IMAGE,
        detail=f"could not be started: there is no image {image!r} here, "
        f"and pulling it failed: {cut(why)}",
        remedy=f"`docker build --tag {image} .` makes it from a checkout; `--image` names another",
    )


def no_cluster(why: str, remedy: str) -> Verdict:
    """Conclude that no API server of Kubernetes answers, or lets us make Jobs."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.NO_CLUSTER,
        detail=f"could not be started: {cut(why)}",
        remedy=remedy,
    )


def never_began(reason: Reason, what: str, *, remedy: str) -> Verdict:
    """Conclude that what has to come before the program did not come, and will not."""
    return Verdict(phase=Phase.PENDING, reason=reason, detail=what, remedy=remedy)


def cut_short(reason: Reason, how: str, what: str, *, seconds: float, remedy: str) -> Verdict:
    """Conclude that neither the program nor tac ended it: `how` it came to that, and by `what`."""
    return Verdict(
        phase=Phase.RUNNING,
        reason=reason,
        detail=f"{how} {_after_seconds(seconds)}: {cut(what)}",
        remedy=remedy,
        seconds=seconds,
    )


def left_running(place: str, stop_command: str, *, seconds: float) -> Verdict:
    """Conclude that we stopped following what goes on without us, as configured.

    `place` is where, such as `container/NAME` or `job/NAME`, and `stop_command` ends it.
    """
    return Verdict(
        phase=Phase.RUNNING,
        reason=Reason.STOPPED,
        detail=f"left running after {seconds:.1f} s, in {place}",
        remedy=f"run the same command again: it goes on from there (`{stop_command}` ends it)",
        seconds=seconds,
    )


def refused(why: str, *, log: str) -> Verdict:
    """Conclude that the system had no room to begin an attempt, which may change."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.TRY_AGAIN,
        detail=f"could not be started just now: {cut(why)}",
        remedy="run fewer steps at once (`--workers 1`), or raise the limit it met (`ulimit -a`); "
        f"log: {log}",
    )


def stopped_before_start() -> Verdict:
    """Conclude that the stop came first."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.STOPPED,
        detail="stopped as asked before it began",
        remedy=_REMEDIES[Reason.STOPPED],
    )


def lost(what: str, *, seconds: float, log: str, remedy: str = _PERHAPS_MEMORY) -> Verdict:
    """Conclude that nobody can tell how the attempt ended: `what` happened to who could have."""
    return Verdict(
        phase=Phase.RUNNING,
        reason=Reason.LOST,
        detail=f"lost {_after_seconds(seconds)}: {cut(what)}",
        remedy=f"{remedy}; log: {log}",
        seconds=seconds,
    )


def output_missing(verdict: Verdict, address: str) -> Verdict:
    """Turn a success that left nothing at `address` into what it is."""
    return Verdict(
        phase=Phase.FINISHED,
        reason=Reason.NO_OUTPUT,
        detail=f"ended with exit code 0 {_after_seconds(verdict.seconds)}, "
        f"but left nothing at {address}",
        remedy="a step writes its output to the address that is its first argument",
        exit_code=verdict.exit_code,
        peak_memory_mib=verdict.peak_memory_mib,
        seconds=verdict.seconds,
    )
