"""One attempt at a step as a container: made or found, started, followed, read, removed.

An engine that goes away meanwhile is waited for: the container may go on without it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tac import exits, verdict
from tac.errors import TacError
from tac.names import MANAGED, WORK
from tac.runners.docker.engine import (
    Engine,
    EngineAway,
    EngineError,
    Gone,
    NoImage,
    Refused,
    State,
    Taken,
)
from tac.runners.docker.log import Copy, LiveLog
from tac.runners.log import not_started
from tac.store import store_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tac.runners import Command
    from tac.runners.docker.container import Container
    from tac.verdict import Verdict

_log = logging.getLogger(__name__)
T = TypeVar("T")

_AWAY_SECONDS = 180.0
"""How long an engine may be away in the middle of a run: an upgrade of its package takes one
minute."""

_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.1, 5.0
_LOOK_SECONDS = 0.25
_QUIET_SECONDS = 10.0
"""After so long without a word the engine is asked whether the container still runs: a connection
through a network can die without a sign."""

_MOST_LOOKS = 20
"""How often a container may be taken away by another driver while we look at it."""

_KILLED, _TERMINATED = 137, 143


@dataclass(frozen=True)
class Shared:
    """What the attempts of one driver have in common."""

    engine: Engine
    image: str
    leaves: Callable[[], bool]
    """Whether to let containers go on when the driver is told to stop."""
    grace_seconds: float
    closed: threading.Event
    read: set[str] = field(default_factory=set)
    """Containers whose result was read here: they mean nothing any more."""
    pulling: threading.Lock = field(default_factory=threading.Lock)

    def pull(self) -> None:
        """Fetch the image, once for all steps that want it."""
        with self.pulling:
            try:
                self.engine.image_id(self.image)
            except NoImage:
                _log.info("image/%s: pulling", self.image)
                self.engine.pull(self.image)


class Attempt:
    """One container from its making, or its finding, to its end."""

    def __init__(
        self,
        shared: Shared,
        command: Command,
        container: Container,
        copy: Copy,
        stop: threading.Event,
    ) -> None:
        self._shared = shared
        self._engine = shared.engine
        self._command = command
        self._container = container
        self._copy = copy
        self._stop = stop
        self._began = time.monotonic()
        self._stopped = False
        self._cut_off = False

    def run(self) -> Verdict:
        """Run it to its end, whoever began it, and say what it came to."""
        try:
            container = self._ensure()
        except TacError as error:
            return self._not_started(error)
        try:
            state = self._follow(container)
        except Gone:
            return self._taken_away()
        except EngineError as error:
            return verdict.lost(
                error.message,
                seconds=self._seconds(),
                log=str(self._command.log),
                remedy=f"container/{self._container.name} may still run, and the next run of the "
                "same command goes on with it",
            )
        except BaseException as error:
            # What those who listen raise ends it first; a bug of ours is not the container's.
            if error is self._copy.raised:
                self._abandon(container)
            raise
        if state is None:
            name = self._container.name
            return verdict.left_running(
                f"container/{name}", f"docker stop {name}", seconds=self._seconds()
            )
        return self._conclude(state)

    # Before it runs.

    def _ensure(self) -> str:
        """Return the id of a container that does this work, and has been started."""
        for look in range(_MOST_LOOKS):
            container, ours = self._find_or_create()
            if container is None:
                self._stop.wait(min(_FIRST_PAUSE_SECONDS * look, 1.0))
                continue
            try:
                self._start(container)
            except Gone:
                continue
            except (Refused, Taken) as error:
                state = self._state_or_none(container)
                self._remove(container)
                if ours:
                    code = state.exit_code if state is not None else 0
                    raise _CannotStart(error.message, code) from error
                continue
            return container
        name = self._container.name
        raise TacError(
            f"container/{name}: can neither be created nor found by its labels",
            hint=f"`docker inspect {name}` shows whose it is, `docker rm {name}` removes it",
        )

    def _find_or_create(self) -> tuple[str | None, bool]:
        found = self._find()
        if found is not None:
            return found, False
        try:
            create = self._engine.create
            container = self._patiently(
                lambda: create(self._container.name, self._container.manifest)
            )
        except Taken:
            return None, False
        except NoImage:
            self._pull()
            return None, False
        _log.info("container/%s: created", self._container.name)
        return container, True

    def _pull(self) -> None:
        try:
            self._shared.pull()
        except Refused as error:
            raise NoImage(error.message) from error

    def _find(self) -> str | None:
        """Find a container of the same work, whichever attempt it was, that is worth following."""
        labels = {**MANAGED, WORK: self._container.work}
        for container in self._patiently(lambda: self._engine.find(labels)):
            state = self._state_or_none(container)
            if state is None or state.status == "removing":
                continue
            if state.finished and not self._counts(state):
                self._put_away(state)
                continue
            _log.info("container/%s: found, %s", self._container.name, state.status)
            self._copy.note(f"container {container[:12]} was there already, {state.status}")
            return container
        return None

    def _counts(self, state: State) -> bool:
        """Whether a result that we did not wait for is one: a success whose output is there."""
        if state.id in self._shared.read or state.exit_code != 0:
            return False
        output = self._command.output
        return not output or store_of(output).exists(output, fresh=True)

    def _put_away(self, state: State) -> None:
        """Remove a container of an earlier run; what it said of its failure is kept."""
        if state.exit_code and state.id not in self._shared.read:
            self._copy.note(
                f"an earlier run left container {state.id[:12]}, which ended with exit code "
                f"{state.exit_code} and said:"
            )
            with contextlib.suppress(Gone):
                for line in self._engine.logs(state.id).decode(errors="replace").splitlines():
                    self._copy.note(line)
        self._remove(state.id)

    def _start(self, container: str) -> None:
        state = self._patiently(lambda: self._engine.inspect(container))
        if state.status == "created":
            self._patiently(lambda: self._engine.start(container))

    def _not_started(self, error: TacError) -> Verdict:
        if isinstance(error, NoImage):
            return verdict.no_image(self._shared.image, error.message)
        if isinstance(error, _CannotStart) and error.code in {126, 127}:
            ending = exits.Ending(exit_code=error.code, image=self._shared.image)
            return exits.judge(ending, [error.message], log=str(self._command.log))
        return not_begun(error, self._command)

    # While it runs.

    def _follow(self, container: str) -> State | None:
        """Copy what it says until it has ended; None: it was left running."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._copy.rewind()
            with LiveLog(self._engine, container) as live:
                if not self._drain(live, container):
                    return None
            state = self._patiently(lambda: self._engine.inspect(container))
            if state.finished:
                self._copy.add_rest(self._engine, container)
                return state
            self._stop.wait(pause)
            pause = min(2 * pause, _LAST_PAUSE_SECONDS)

    def _drain(self, live: LiveLog, container: str) -> bool:
        """Copy until the connection or the container has ended; False: it is to be left running."""
        heard = time.monotonic()
        while True:
            if self._told_to_stop() and not self._stopped:
                if self._shared.leaves():
                    return False
                self._end(container)
            piece = live.next(_LOOK_SECONDS)
            if piece is None:
                return True
            now = time.monotonic()
            if piece:
                self._copy.add(piece)
                heard = now
            elif now - heard > _QUIET_SECONDS:
                heard = now
                if self._patiently(lambda: self._engine.inspect(container)).finished:
                    return True

    def _told_to_stop(self) -> bool:
        return self._stop.is_set() or self._shared.closed.is_set()

    def _end(self, container: str) -> None:
        self._stopped = True
        grace = math.ceil(self._shared.grace_seconds)
        self._patiently(lambda: self._engine.stop(container, grace))

    # After it ran.

    def _conclude(self, state: State) -> Verdict:
        self._shared.read.add(state.id)
        self._remove(state.id)
        if self._was_ended_by_the_engine(state):
            return verdict.lost(
                f"container/{self._container.name} ended with exit code {state.exit_code} "
                "while the engine was away",
                seconds=state.seconds,
                log=str(self._command.log),
                remedy='`"live-restore": true` in /etc/docker/daemon.json lets containers '
                "outlive a restart of the engine",
            )
        return exits.judge(self._ending(state), self._copy.tail(), log=str(self._command.log))

    def _was_ended_by_the_engine(self, state: State) -> bool:
        of_others = self._cut_off and not self._stopped and not state.oom_killed
        return of_others and state.exit_code in {_KILLED, _TERMINATED}

    def _ending(self, state: State) -> exits.Ending:
        stop = exits.Stop.NOT_ASKED
        if self._stopped:
            forced = state.exit_code == _KILLED
            stop = exits.Stop.FORCED if forced else exits.Stop.ASKED
        return exits.Ending(
            exit_code=state.exit_code,
            stop=stop,
            oom_killed=state.oom_killed,
            seconds=state.seconds,
            image=self._shared.image,
            memory_limit=self._container.memory,
        )

    def _taken_away(self) -> Verdict:
        """Conclude about a container that somebody removed: another driver that has read it."""
        output = self._command.output
        if output and store_of(output).exists(output, fresh=True):
            ending = exits.Ending(exit_code=0, seconds=self._seconds())
            return exits.judge(ending, (), log=str(self._command.log))
        return verdict.lost(
            f"container/{self._container.name} was removed before its result was read",
            seconds=self._seconds(),
            log=str(self._command.log),
            remedy="another driver, or somebody by hand, removed it",
        )

    def _remove(self, container: str) -> None:
        try:
            self._patiently(lambda: self._engine.remove(container))
            _log.info("container/%s: removed", self._container.name)
        except EngineError as error:  # the next run of this work removes it
            _log.warning("container/%s: not removed: %s", self._container.name, error.message)

    def _abandon(self, container: str) -> None:
        """End what nobody follows any more."""
        with contextlib.suppress(EngineError):
            self._engine.stop(container, math.ceil(self._shared.grace_seconds))
            self._engine.remove(container)

    def _state_or_none(self, container: str) -> State | None:
        try:
            return self._patiently(lambda: self._engine.inspect(container))
        except Gone:
            return None

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask the engine until it answers: it has before, so it will come back."""
        since = time.monotonic()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return ask()
            except EngineAway as error:
                self._cut_off = True
                patience = self._shared.grace_seconds if self._told_to_stop() else _AWAY_SECONDS
                if time.monotonic() - since > patience:
                    raise
                if pause == _FIRST_PAUSE_SECONDS:
                    _log.warning("%s; waiting for it", error.message)
                time.sleep(pause)  # between two tries; `patience` is the deadline of all of them
                pause = min(2 * pause, 0.5 if self._told_to_stop() else _LAST_PAUSE_SECONDS)

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def not_begun(error: TacError | OSError, command: Command) -> Verdict:
    """Conclude from what stood in the way of a container."""
    hint = error.hint if isinstance(error, TacError) else None
    if isinstance(error, EngineAway):
        return verdict.no_engine(error.message, hint or "")
    if isinstance(error, OSError):
        return not_started(error, str(command.log))
    if "bind source path does not exist" in str(error):
        hint = (
            "the engine runs on another machine, or may not see this one's files: "
            "keep the store on S3 (`--store s3://bucket/prefix`)"
        )
    return verdict.cannot_start(str(error), log=str(command.log), remedy=hint)


class _CannotStart(TacError):
    """The engine made the container, and could not start its program."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
