"""One attempt at a step as a container: created or adopted, started, followed, read, removed.

An engine that becomes unavailable is waited for: the container may go on without it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from tac import exits, verdict
from tac.backoff import Backoff, retry_on
from tac.errors import (
    ContainerConflict,
    ContainerNotFound,
    ContainerNotStarted,
    EngineError,
    EngineRefused,
    EngineUnavailable,
    ImageNotFound,
    TacError,
    TemporaryError,
    cut,
)
from tac.names import MANAGED, WORK
from tac.runners.docker import engine_words
from tac.runners.docker.engine import Engine, State
from tac.runners.docker.image import ImagePuller
from tac.runners.docker.keys import PREFIX
from tac.runners.docker.log import LiveLog, LogCopy, read_log
from tac.runners.docker.verdicts import (
    STOPPED,
    Watched,
    conclude,
    conclude_unseen,
    conclude_without_it,
)
from tac.runners.launch import not_started
from tac.store import store_of
from tac.verdict import Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from tac.request import RunRequest
    from tac.runners.docker.container import Container

_log = logging.getLogger(__name__)
T = TypeVar("T")

OUTAGE_SECONDS = 180.0
"""How long an engine may be unavailable during a run: an upgrade of its package takes a minute."""

_LOOK_SECONDS = 0.25
_SILENCE_SECONDS = 10.0
"""After so long without a message inspect tells whether the container still runs: a connection
through a network can break without an error."""

_KEPT_LINES = 1000
"""How many of the last lines of a failure that no driver has read are copied to the log."""

_BUFFERS = (
    "take `max-buffer-size` out of `log-opts` in the engine's daemon.json: "
    "tac's containers use a log driver that blocks until the log is written"
)

_MOST_LOOKS = 20
"""How often another driver may remove the container between our requests."""


@dataclass(frozen=True)
class DockerSession:
    """What the attempts of one driver have in common."""

    engine: Engine
    image: str
    detaches: Callable[[], bool]
    """Whether containers go on when the driver is stopped."""
    grace_seconds: float
    closed: threading.Event
    read: set[str] = field(default_factory=set)
    """Containers whose result was read here, which must not be adopted."""
    images: ImagePuller = field(default_factory=ImagePuller)


class ContainerAttempt:
    """One container from its creation, or adoption, to its end."""

    def __init__(
        self,
        session: DockerSession,
        request: RunRequest,
        container: Container,
        copy: LogCopy,
        stop: threading.Event,
    ) -> None:
        self._session = session
        self._engine = session.engine
        self._request = request
        self._container = container
        self._copy = copy
        self._stop = stop
        self._name = container.name
        """The name of the container that is followed: an adopted one has its own."""
        self._began = time.monotonic()
        self._stopped = False
        self._outages = 0

    def run(self) -> Verdict:
        """Run it to its end, or adopt it, and conclude."""
        try:
            container = self._ensure()
        except TacError as error:
            return self._not_started(error)
        if container is None:
            return verdict.stopped_before_start()
        try:
            state = self._follow(container)
        except ContainerNotFound:
            return conclude_without_it(self._watched())
        except EngineError as error:
            return conclude_unseen(self._watched(), error)
        except BaseException as error:
            # What a listener raises ends the container first; a bug of tac's does not.
            if error is self._copy.raised:
                self._abandon(container)
            raise
        if state is None:
            return verdict.left_running(
                f"container/{self._name}", f"docker stop {self._name}", seconds=self._seconds()
            )
        self._session.read.add(state.id)
        self._remove(state.id, self._name)
        return conclude(self._watched(), state, self._copy.tail())

    # Before it runs.

    def _ensure(self) -> str | None:
        """Return the id of a started container of this work, created or adopted.

        None: stopped before there was one.
        """
        backoff = Backoff(longest_seconds=1.0)
        for _ in range(_MOST_LOOKS):
            if self._stop_requested():
                return None
            container, ours = self._find_or_create()
            if container is None:
                self._stop.wait(backoff.next())
                continue
            if ours and self._stop_requested():
                self._remove(container, self._name)
                return None
            if self._is_started(container, ours=ours):
                return container
        name = self._container.name
        raise TacError(
            f"container/{name}: can neither be created nor found by its labels",
            hint=f"`docker inspect {name}` shows whose it is, `docker rm {name}` removes it",
        )

    def _is_started(self, container: str, *, ours: bool) -> bool:
        """Start it, unless another driver has; False: it was removed, it could not start."""
        try:
            self._start(container)
        except ContainerNotFound:
            return False
        except (EngineRefused, ContainerConflict) as error:
            state = self._state_or_none(container)
            self._remove(container, self._name)
            if ours:
                code = state.exit_code if state is not None else 0
                raise ContainerNotStarted(error.message, code) from error
            return False
        return True

    def _find_or_create(self) -> tuple[str | None, bool]:
        found = self._find()
        if found is not None:
            return found, False
        try:
            create = self._engine.create
            container = self._retry_unavailable(
                lambda: create(self._container.name, self._container.manifest)
            )
        except ContainerConflict:
            return None, False
        except ImageNotFound:
            self._pull()
            return None, False
        self._name = self._container.name
        _log.info("container/%s: created", self._name)
        return container, True

    def _pull(self) -> None:
        session = self._session
        session.images.pull(session.engine, session.image, self._stop_requested)

    def _find(self) -> str | None:
        """Find a container of the same work, of any attempt, to adopt."""
        labels = {**MANAGED, WORK: self._container.work}
        for container in self._retry_unavailable(lambda: self._engine.find(labels)):
            state = self._state_or_none(container)
            if state is None or state.status == "removing":
                continue
            if state.finished and not self._counts(state):
                self._discard(state)
                continue
            self._name = state.name
            _log.info("container/%s: found, %s", self._name, state.status)
            self._copy.note(f"adopted container {container[:12]}, {state.status}")
            return container
        return None

    def _counts(self, state: State) -> bool:
        """Whether a container that has ended is to be adopted: a success whose output exists."""
        if state.id in self._session.read or state.exit_code != 0:
            return False
        output = self._request.output
        if not output:
            return not state.name.endswith(STOPPED)
        return store_of(output).exists(output, fresh=True)

    def _discard(self, state: State) -> None:
        """Remove a container of an earlier run; the log of a failure is copied first."""
        if state.exit_code and state.id not in self._session.read:
            self._copy.note(
                f"an earlier run left container {state.id[:12]}, which ended with exit code "
                f"{state.exit_code}; its log:"
            )
            for message in read_log(self._engine, state.id, lines=_KEPT_LINES):
                text = message.partition(b" ")[2].decode(errors="replace")
                self._copy.note(text.rstrip("\r\n"))
        self._remove(state.id, state.name)

    def _start(self, container: str) -> None:
        state = self._retry_unavailable(lambda: self._engine.inspect(container))
        if state.status == "created":
            self._retry_unavailable(lambda: self._engine.start(container))

    def _not_started(self, error: TacError) -> Verdict:
        if isinstance(error, ImageNotFound):
            none = verdict.no_image(self._session.image, error.message)
            return replace(none, remedy=error.hint or none.remedy)
        if isinstance(error, ContainerNotStarted) and error.code in {126, 127}:
            ending = exits.Ending(exit_code=error.code, image=self._session.image)
            return exits.judge(ending, [error.message], log=str(self._request.log))
        return conclude_not_started(error, self._request)

    # While it runs.

    def _follow(self, container: str) -> State | None:
        """Copy its log until it has ended; None: it was left running."""
        backoff = Backoff()
        while True:
            self._copy.rewind()
            with LiveLog(self._engine, container, since=self._copy.since) as live:
                if not self._drain(live, container):
                    return None
            state = self._retry_unavailable(lambda: self._engine.inspect(container))
            if state.finished:
                self._copy.add_rest(self._engine, container)
                return state
            self._stop.wait(backoff.next())

    def _drain(self, live: LiveLog, container: str) -> bool:
        """Copy until the connection or the container has ended; False: it is to be left running."""
        last_message_at = time.monotonic()
        while True:
            if self._stop_requested() and not self._stopped:
                if self._session.detaches():
                    return False
                self._end(container)
            message = live.next(_LOOK_SECONDS)
            if message is None:
                return True
            now = time.monotonic()
            if message:
                self._copy.add(message)
                last_message_at = now
            elif now - last_message_at > _SILENCE_SECONDS:
                last_message_at, before = now, self._outages
                finished = self._retry_unavailable(lambda: self._engine.inspect(container)).finished
                # An outage that broke one connection may have broken the log's without an error.
                if finished or self._outages > before:
                    return True

    def _stop_requested(self) -> bool:
        return self._stop.is_set() or self._session.closed.is_set()

    def _end(self, container: str) -> None:
        self._stopped = True
        grace = math.ceil(self._session.grace_seconds)
        # Without the mark it is stopped all the same, but drivers that share it see a failure.
        with contextlib.suppress(EngineRefused, ContainerConflict):
            self._retry_unavailable(
                lambda: self._engine.rename(container, self._name_when_stopped())
            )
        self._retry_unavailable(lambda: self._engine.stop(container, grace))

    def _name_when_stopped(self) -> str:
        return self._name.removesuffix(STOPPED) + STOPPED

    # After it ran.

    def _watched(self) -> Watched:
        return Watched(
            name=self._name.removesuffix(STOPPED),
            request=self._request,
            image=self._session.image,
            memory=self._container.memory,
            stopped=self._stopped,
            cut_off=self._outages > 0,
            seconds=self._seconds(),
        )

    def _remove(self, container: str, name: str) -> None:
        try:
            self._retry_unavailable(lambda: self._engine.remove(container))
            _log.info("container/%s: removed", name)
        except EngineError as error:  # the next run of this work removes it
            _log.warning("container/%s: not removed: %s", name, error.message)

    def _abandon(self, container: str) -> None:
        """Stop and remove the container, which no driver follows any more."""
        with contextlib.suppress(EngineError):
            with contextlib.suppress(EngineRefused, ContainerConflict):
                self._engine.rename(container, self._name_when_stopped())
            self._engine.stop(container, math.ceil(self._session.grace_seconds))
            self._engine.remove(container)

    def _state_or_none(self, container: str) -> State | None:
        try:
            return self._retry_unavailable(lambda: self._engine.inspect(container))
        except ContainerNotFound:
            return None

    def _retry_unavailable(self, ask: Callable[[], T]) -> T:
        """Repeat a request while the engine is unavailable, up to the timeout."""
        return retry_on(
            EngineUnavailable, ask, self._unavailable_timeout_seconds, on_failure=self._note_outage
        )

    def _unavailable_timeout_seconds(self) -> float:
        return self._session.grace_seconds if self._stop_requested() else OUTAGE_SECONDS

    def _note_outage(self, error: EngineUnavailable, number: int) -> None:
        self._outages += 1
        if number == 1:
            _log.warning("%s; waiting for it", error.message)

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def conclude_not_started(error: TacError | OSError, request: RunRequest) -> Verdict:
    """Conclude from the error that kept a container from starting."""
    log = str(request.log)
    if isinstance(error, OSError):
        return not_started(error, log)
    if isinstance(error, EngineUnavailable):
        return verdict.no_engine(error.message, error.hint or "")
    if engine_words.LOG_BUFFER_OPTION.search(error.message):
        return verdict.cannot_start(error.message, log=log, remedy=_BUFFERS)
    if isinstance(error, TemporaryError):
        return verdict.never_began(
            Reason.TRY_AGAIN,
            f"could not be started just now: {cut(error.message)}",
            remedy=f"{error.hint or 'run the same command again a little later'}; log: {log}",
        )
    return verdict.cannot_start(error.message, log=log, remedy=_unseen(error.message) or error.hint)


def _unseen(message: str) -> str | None:
    """Return the remedy for a path of this machine that the engine does not see."""
    if not engine_words.NO_BIND_SOURCE.search(message):
        return None
    if f"/{PREFIX}" in message:
        return (
            "the engine must see this machine's temporary directory, which holds S3's keys for the "
            "container: set TMPDIR to one that it sees; "
            "for an engine on another machine run tac there"
        )
    return (
        "the engine may not see all of this machine's files: keep the store where it does, or on "
        "S3 (`--store s3://bucket/prefix`); for an engine on another machine run tac there"
    )
