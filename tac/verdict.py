"""The verdict on one attempt to run a step: phase, reason, detail, and a remedy for a person.

The verdicts on attempts without an exit code are here, those on exit codes in `tac.exits`, and what
is tried again in `tac.retry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from shlex import quote
from typing import TYPE_CHECKING

from tac.errors import StepFailed, cut

if TYPE_CHECKING:
    from collections.abc import Mapping


class Phase(StrEnum):
    """How far an attempt came."""

    PENDING = "pending"  # the program never started
    RUNNING = "running"  # it was killed, or it may still run
    FINISHED = "finished"  # it exited by itself


class Reason(StrEnum):
    """Why an attempt ended as it did. The values are stable: dashboards count by them."""

    DONE = "done"
    FAILED = "failed"  # of a task that describes its own Job: its exit codes are not tac's
    BUG = "bug"
    USAGE = "usage"
    BAD_DATA = "bad_data"
    TRY_AGAIN = "try_again"
    STOPPED = "stopped"
    OUT_OF_MEMORY = "out_of_memory"
    PERHAPS_OUT_OF_MEMORY = "perhaps_out_of_memory"  # killed under a limit, and nothing says why
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


class Audience(StrEnum):
    """Who reads a remedy, and so where they set what it names."""

    STEP = "step"  # tac's settings and options
    JOB_TASK = "job_task"  # the `spec_schema` of a task that describes its own pod


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What we concluded about one attempt; `remedy` is the hint, written for who will read it."""

    phase: Phase
    reason: Reason
    detail: str
    remedy: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    peak_memory_mib: int | None = None
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether the work is done."""
        return self.reason is Reason.DONE

    def sentence(self, name: str) -> str:
        """Return one sentence about the step of that name."""
        return f"step/{name}: {self.detail}"

    def message(self, name: str) -> str:
        """Return the sentence, and the hint on a line of its own if there is one."""
        hint = f"\nHint: {self.remedy}" if self.remedy else ""
        return self.sentence(name) + hint

    def error(self, name: str) -> StepFailed:
        """Build the error to raise for an attempt that did not succeed."""
        return StepFailed(self.sentence(name), hint=self.remedy)


WHERE_IT_IS_SET: Mapping[Audience, Mapping[str, str]] = {
    Audience.STEP: {
        "set_memory": "TAC_MEMORY",
        "set_cpu": "TAC_CPU",
        "set_pod": "TAC_KUBERNETES_POD_PATCH",
        "set_image": "`--image`",
        "in_its_memory": "in its task or by TAC_MEMORY",
        "by_image": "(`--image`)",
        "by_secret": "by TAC_KUBERNETES_SECRET",
        "by_config_map": "by TAC_KUBERNETES_CONFIG_MAP",
        "by_service_account": "by TAC_KUBERNETES_SERVICE_ACCOUNT",
    },
    Audience.JOB_TASK: {
        "set_memory": "the memory in spec_schema",
        "set_cpu": "the processors in spec_schema",
        "set_pod": "spec_schema",
        "set_image": "spec_schema",
        "in_its_memory": "in spec_schema",
        "by_image": "in spec_schema",
        "by_secret": "in spec_schema",
        "by_config_map": "in spec_schema",
        "by_service_account": "in spec_schema",
    },
}
"""The fields of remedies that name what a person sets."""


FINISHED_IS_KEPT = "run the same command again: what is finished is kept"
FEWER_STEPS = "run fewer steps at once (`--workers 1`), or on a machine with more memory"
PERHAPS_MEMORY = f"perhaps for lack of memory (`dmesg | grep -i oom` tells): {FEWER_STEPS}"


def after_seconds(seconds: float) -> str:
    """Return `after 3.0 s`."""
    return f"after {seconds:.1f} s"


def cannot_start(why: str, *, log: str, remedy: str | None = None) -> Verdict:
    """Conclude that the program could not be started."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.CANNOT_START,
        detail=f"could not be started: {cut(why)}",
        remedy=remedy or f"fix what it names and run the same command again; log: {log}",
    )


def no_engine(why: str, remedy: str) -> Verdict:
    """Conclude that no container engine can be reached."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.NO_ENGINE,
        detail=f"could not be started: {cut(why)}",
        remedy=remedy,
    )


def no_image(image: str, why: str) -> Verdict:
    """Conclude that the image does not exist here, and cannot be pulled."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.NO_IMAGE,
        detail=f"could not be started: there is no image {image!r} here, "
        f"and pulling it failed: {cut(why)}",
        remedy=f"`docker build --tag {quote(image)} .` makes it from a checkout; "
        "`--image` names another",
    )


def no_cluster(why: str, remedy: str) -> Verdict:
    """Conclude that no API server of Kubernetes answers, or none that lets us create Jobs."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.NO_CLUSTER,
        detail=f"could not be started: {cut(why)}",
        remedy=remedy,
    )


def never_began(reason: Reason, what: str, *, remedy: str) -> Verdict:
    """Conclude that the attempt was given up while pending, before its program started."""
    return Verdict(phase=Phase.PENDING, reason=reason, detail=what, remedy=remedy)


def cut_short(reason: Reason, how: str, what: str, *, seconds: float, remedy: str) -> Verdict:
    """Conclude that the platform ended the attempt: `how`, such as evicted, and by `what`."""
    return Verdict(
        phase=Phase.RUNNING,
        reason=reason,
        detail=f"{how} {after_seconds(seconds)}: {cut(what)}",
        remedy=remedy,
        seconds=seconds,
    )


def left_running(place: str, stop_command: str, *, seconds: float) -> Verdict:
    """Conclude that the driver was stopped and left the attempt running, as configured.

    `place` is the object, such as `container/NAME` or `job/NAME`, and `stop_command` ends it.
    """
    return Verdict(
        phase=Phase.RUNNING,
        reason=Reason.STOPPED,
        detail=f"left running after {seconds:.1f} s, in {place}",
        remedy=f"run the same command again: it goes on from there (`{stop_command}` ends it)",
        seconds=seconds,
    )


def may_still_run(place: str, why: str, remedy: str, *, seconds: float) -> Verdict:
    """Conclude that a stop was requested, and that it is not known whether it took effect."""
    return Verdict(
        phase=Phase.RUNNING,
        reason=Reason.STOPPED,
        detail=f"stop requested {after_seconds(seconds)}, and {place} may still run: {cut(why)}",
        remedy=remedy,
        seconds=seconds,
    )


def refused(why: str, *, log: str) -> Verdict:
    """Conclude that a limit of the system (processes, memory) was met when it was started."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.TRY_AGAIN,
        detail=f"could not be started just now: {cut(why)}",
        remedy="run fewer steps at once (`--workers 1`), or raise the limit it met (`ulimit -a`); "
        f"log: {log}",
    )


def stopped_before_start() -> Verdict:
    """Conclude that a stop was requested before the attempt began."""
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.STOPPED,
        detail="stopped on request before it began",
        remedy=FINISHED_IS_KEPT,
    )


def lost(what: str, *, seconds: float, log: str, remedy: str = PERHAPS_MEMORY) -> Verdict:
    """Conclude that it cannot be known how the attempt ended, because of `what`."""
    return Verdict(
        phase=Phase.RUNNING,
        reason=Reason.LOST,
        detail=f"lost {after_seconds(seconds)}: {cut(what)}",
        remedy=f"{remedy}; log: {log}",
        seconds=seconds,
    )


def output_missing(verdict: Verdict, address: str) -> Verdict:
    """Conclude that the program succeeded without an output at `address`."""
    return Verdict(
        phase=Phase.FINISHED,
        reason=Reason.NO_OUTPUT,
        detail=f"ended with exit code 0 {after_seconds(verdict.seconds)}, "
        f"but there is no output at {address}",
        remedy="a step writes its output to the address that is its first argument",
        exit_code=verdict.exit_code,
        peak_memory_mib=verdict.peak_memory_mib,
        seconds=verdict.seconds,
    )
