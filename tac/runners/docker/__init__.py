"""The Docker runner: each attempt at a step is one container, which outlives whoever asked for it.

A driver that was killed, or lost the engine, finds its container again by its labels; two drivers
share one. A container is removed when its result has been read, and never before.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, ClassVar

from tac import settings, verdict
from tac.errors import TacError
from tac.names import MANAGED, OUTPUT
from tac.runners.docker import keys
from tac.runners.docker.attempt import Attempt, Shared, not_begun
from tac.runners.docker.container import (
    Sight,
    Terms,
    build_container,
    check_endpoint,
)
from tac.runners.docker.engine import Engine, Gone
from tac.runners.docker.log import Copy
from tac.runners.docker.mounts import find_mounts
from tac.runners.log import open_log
from tac.store import store_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tac.runners import Command
    from tac.verdict import Verdict


class DockerRunner:
    """Runs commands as containers of the image that the settings name."""

    # They are this machine's, as processes are: who presses Ctrl-C wants it back.
    leaves_on_interrupt: ClassVar[bool] = False

    def __init__(self, *, stop_grace_seconds: float | None = None) -> None:
        self._settings = settings.current()
        self._grace_seconds = (
            self._settings.stop_grace_seconds if stop_grace_seconds is None else stop_grace_seconds
        )
        self._leave = self._settings.on_stop == "leave"
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._running = 0
        self._shared: Shared | None = None
        self._process = os.getpid()

    def leaves(self) -> bool:
        """Tell whether what runs goes on when this process is told to stop."""
        return self._leave

    def leave(self) -> None:
        """Let what runs go on, whatever the settings say."""
        self._leave = True

    def where(self) -> str:
        """Say where commands run: see `tac.runners.Runner`."""
        return f"docker: image {self._settings.image}"

    def run(
        self, command: Command, *, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        """Run the command to its end: see `tac.runners.Runner`."""
        if stop.is_set() or self._closed.is_set():
            return verdict.stopped_before_start()
        try:
            log = open_log(command)
        except OSError as error:
            return verdict.cannot_start(str(error), log=str(command.log))
        with log, self._counted(), contextlib.ExitStack() as stack:
            try:
                attempt = self._prepare(command, Copy(command.log, log, follow), stop, stack)
            except (TacError, OSError) as error:
                return not_begun(error, command)
            return attempt.run()

    def close(self) -> None:
        """Stop what still runs, or leave it, as configured; then give everything back."""
        self._closed.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._running, self._grace_seconds + 5)
        if self._shared is not None:
            with contextlib.suppress(TacError):  # the next driver sweeps too
                sweep(self._shared.engine)
            self._shared.engine.close()
            self._shared = None

    def tidy(self) -> None:
        """Remove what drivers that were killed left behind, if there is an engine to ask."""
        with contextlib.suppress(TacError):
            self._meet()
        self.close()

    def _meet(self) -> Shared:
        """Return what attempts share, once the engine has answered."""
        with self._changed:
            # A process that was forked must not share its parent's connections.
            if self._shared is None or self._process != os.getpid():
                self._shared = Shared(
                    Engine(),
                    self._settings.image,
                    self.leaves,
                    self._grace_seconds,
                    self._closed,
                )
                self._process = os.getpid()
            return self._shared

    def _prepare(
        self, command: Command, copy: Copy, stop: threading.Event, stack: contextlib.ExitStack
    ) -> Attempt:
        """Find what the container needs of this machine; `stack` gives back what is lent to it."""
        stack.enter_context(copy)
        argv, mounts = find_mounts(
            [str(word) for word in command.argv], store=self._settings.store, output=command.output
        )
        shared = self._meet()
        terms = self._terms(command, shared.engine.security)
        sight = Sight(mounts)
        if any("s3://" in word for word in argv):
            check_endpoint(terms)
            mounts_of_keys, variables = stack.enter_context(keys.mounted(command.environment))
            sight = Sight((*mounts, *mounts_of_keys), variables)
        container = build_container(command, argv, terms, sight)
        return Attempt(shared, command, container, copy, stop)

    def _terms(self, command: Command, security: Sequence[str]) -> Terms:
        chosen = self._settings
        # A rootless engine's root is the user, and its other users are nobody of this machine.
        rootless = any("rootless" in option for option in security)
        return Terms(
            image=chosen.image,
            user="0:0" if rootless else f"{os.geteuid()}:{os.getegid()}",
            network=chosen.docker_network,
            s3_endpoint_url=chosen.container_s3_endpoint_url
            or command.environment.get("AWS_ENDPOINT_URL_S3", ""),
            memory=chosen.memory,
            cpu=chosen.cpu,
            host_users=any("userns" in option for option in security),
        )

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()


def sweep(engine: Engine) -> None:
    """Remove the containers that ended well and whose outputs are there: nobody asks for them.

    Their drivers were killed after the step had published, so no task leads there any more. A
    driver that is about to read one finds the output in its place.
    """
    for container in engine.find(MANAGED):
        with contextlib.suppress(Gone):
            state = engine.inspect(container)
            output = state.labels.get(OUTPUT)
            if not state.finished or state.exit_code != 0 or not output:
                continue
            if store_of(output).exists(output, fresh=True):
                engine.remove(container)
