"""Verdicts on a step's container that has ended, or is not there any more.

Asks the engine nothing; asks the store only whether the output is there.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tac import exits, verdict
from tac.errors import TacError, TemporaryError
from tac.quantities import format_bytes, parse_memory
from tac.runners.docker import engine_words
from tac.runners.docker.keys import HOME
from tac.store import store_of
from tac.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tac.request import RunRequest
    from tac.runners.docker.engine import State
    from tac.verdict import Verdict

STOPPED = "-stopped"
"""How the name of a container ends that a driver has told to stop, so that others which follow it
do not take that for an end of its own. A name is all that can be changed in a container: labels
cannot (https://docs.docker.com/reference/api/engine/, `POST /containers/{id}/rename`)."""

_OF_MEMORY: Mapping[Reason, str] = {
    Reason.OUT_OF_MEMORY: "ran out of memory",
    Reason.PERHAPS_OUT_OF_MEMORY: "was killed, perhaps out of memory",
}
_BY_ITSELF = {
    Reason.BUG,
    Reason.USAGE,
    Reason.BAD_DATA,
    Reason.TRY_AGAIN,
    Reason.UNKNOWN_EXIT,
}
_KILLED, _TERMINATED = 137, 143
_ENDED_UNSEEN = 255
"""What the engine says of a container whose end it has not seen: the machine, or all that watched
over it, ended at once (moby's `daemon/monitor.go`)."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a driver knows of the container that it followed, beside what the engine tells."""

    name: str
    request: RunRequest
    image: str
    memory: str
    """How much this driver would have given; another one may have made the container."""
    stopped: bool
    """This driver told it to stop."""
    cut_off: bool
    """The engine did not answer for a while."""
    seconds: float


def conclude(watched: Watched, state: State, tail: Sequence[str]) -> Verdict:
    """Conclude from the state of a container that has ended, and from the end of its log."""
    if _ended_for_another_driver(watched, state):
        return _by_its_output(
            watched,
            f"another driver stopped container/{watched.name}",
            "TAC_ON_STOP=leave lets go on what drivers share",
        )
    if _ended_with_the_engine(watched, state):
        return verdict.lost(
            f"container/{watched.name} ended with exit code {state.exit_code} "
            "while the engine was unavailable",
            seconds=state.seconds,
            log=str(watched.request.log),
            remedy='`"live-restore": true` in /etc/docker/daemon.json lets containers '
            "outlive a restart of the engine",
        )
    judged = exits.judge(_ending(watched, state), tail, log=str(watched.request.log))
    if judged.reason in _OF_MEMORY and _had_less(watched, state):
        # With this driver's amount it may be enough, which is neither met yet nor to be raised.
        return verdict.lost(
            f"container/{watched.name} {_OF_MEMORY[judged.reason]}, and had been given "
            f"{_limit(watched, state)}",
            seconds=state.seconds,
            log=str(watched.request.log),
            remedy=f"made anew it gets {watched.memory}",
        )
    met = _limit_met(judged, watched.request, state, tail)
    return replace(judged, remedy=f"{met}; log: {watched.request.log}") if met else judged


def _limit_met(judged: Verdict, request: RunRequest, state: State, tail: Sequence[str]) -> str:
    """Say which limit of its container a step has met, and what raises it; nothing: none.

    The engine does not report it: only the system's error at the end of the step's log shows it.
    """
    if judged.reason not in _BY_ITSELF:
        return ""
    words = exits.last_error(tail)
    in_tmp = HOME in words.text and not _names_a_file_of(request, words.text)
    if state.tmp_bytes and engine_words.NO_SPACE.search(words.text) and (in_tmp or not words.hint):
        elsewhere = "" if in_tmp else "unless the disk of its output is full (`df -h`): "
        return (
            f"{elsewhere}its {HOME} holds {format_bytes(state.tmp_bytes)}, "
            "which count as its memory; TAC_DOCKER_TMP_SIZE sets how much"
        )
    # Standard output and standard error are two streams: either may bring its last line later.
    if state.pids and engine_words.NO_PROCESS.search("\n".join((*tail[-3:], words.text))):
        return (
            f"it may have {state.pids} processes and threads at once; "
            "TAC_DOCKER_PIDS_LIMIT sets how many"
        )
    return ""


def _names_a_file_of(request: RunRequest, text: str) -> bool:
    """Tell whether a text is of what lies here, where the container has it, and not in its /tmp."""
    folders = {posixpath.dirname(word) for word in (*request.argv, request.output)}
    return any(folder in text for folder in folders if folder.startswith(f"{HOME}/"))


def conclude_without_it(watched: Watched) -> Verdict:
    """Conclude about a container that was removed: another driver has read it."""
    return _by_its_output(
        watched,
        f"container/{watched.name} was removed before its result was read",
        "another driver or a person removed it",
    )


def conclude_unseen(watched: Watched, error: TacError) -> Verdict:
    """Conclude about a container whose end the engine did not report: it did not answer in time."""
    place = f"container/{watched.name}"
    if watched.stopped:
        ends = f"`docker stop {watched.name}` ends it"
        return verdict.may_still_run(place, error.message, ends, seconds=watched.seconds)
    return verdict.lost(
        error.message,
        seconds=watched.seconds,
        log=str(watched.request.log),
        remedy=f"{place} may still run, and the next run of the same command goes on with it",
    )


def _ended_for_another_driver(watched: Watched, state: State) -> bool:
    # Whatever its exit code: programs answer SIGTERM as they like.
    return state.name.endswith(STOPPED) and not watched.stopped and not state.oom_killed


def _ended_with_the_engine(watched: Watched, state: State) -> bool:
    of_others = watched.cut_off and not watched.stopped and not state.oom_killed
    return of_others and state.exit_code in {_KILLED, _TERMINATED, _ENDED_UNSEEN}


def _by_its_output(watched: Watched, what: str, remedy: str) -> Verdict:
    """Believe the output if it is there; without it the end of the step is not known."""
    output, log, seconds = watched.request.output, str(watched.request.log), watched.seconds
    try:
        if output and store_of(output).exists(output, fresh=True):
            return exits.judge(exits.Ending(exit_code=0, seconds=seconds), (), log=log)
    except TacError as error:
        later = isinstance(error, TemporaryError)
        return verdict.cut_short(
            Reason.TRY_AGAIN if later else Reason.LOST,
            "lost",
            f"{what}, and whether it had done its work cannot be told: {error.message}",
            seconds=seconds,
            remedy=f"{error.hint or remedy}; log: {log}",
        )
    if watched.stopped:
        ending = exits.Ending(stop=exits.Stop.REQUESTED, seconds=seconds)
        return exits.judge(ending, (), log=log)
    return verdict.lost(what, seconds=seconds, log=log, remedy=remedy)


def _ending(watched: Watched, state: State) -> exits.Ending:
    stop = exits.Stop.NOT_REQUESTED
    if watched.stopped:
        forced = state.exit_code == _KILLED
        stop = exits.Stop.FORCED if forced else exits.Stop.REQUESTED
    return exits.Ending(
        exit_code=state.exit_code,
        stop=stop,
        oom_killed=state.oom_killed,
        seconds=state.seconds,
        image=watched.image,
        memory_limit=_limit(watched, state),
    )


def _had_less(watched: Watched, state: State) -> bool:
    return bool(watched.memory) and 0 < state.memory < parse_memory(watched.memory)


def _limit(watched: Watched, state: State) -> str:
    """Write the container's own limit, as the user did if it is the same."""
    if watched.memory and parse_memory(watched.memory) == state.memory:
        return watched.memory
    return f"{state.memory >> 20}Mi" if state.memory else ""
