"""The Docker runner: each attempt at a step is one container, which outlives whoever asked for it.

A driver that was killed, or lost the engine, finds its container again by its labels; two drivers
share one. A container is removed when its result has been read, and never before.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, ClassVar

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
from tac.runners.outliving import OutlivingRunner
from tac.store import store_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from tac.log_file import Log
    from tac.runners import Command
    from tac.verdict import Verdict


class DockerRunner(OutlivingRunner):
    """Runs commands as containers of the image that the settings name."""

    # They are this machine's, as processes are: who presses Ctrl-C wants it back.
    leaves_on_interrupt: ClassVar[bool] = False

    def __init__(self, *, stop_grace_seconds: float | None = None) -> None:
        super().__init__(stop_grace_seconds)
        self._shared: Shared | None = None

    def where(self) -> str:
        """Say where commands run: see `tac.runners.Runner`."""
        return f"docker: image {self._settings.image}"

    def _attempt(
        self, command: Command, log: Log, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        with contextlib.ExitStack() as stack:
            try:
                attempt = self._prepare(command, Copy(command.log, log, follow), stop, stack)
            except (TacError, OSError) as error:
                return not_begun(error, command)
            return attempt.run()

    def close(self) -> None:
        """Stop what still runs, or leave it, as configured; then give everything back."""
        self._closed.set()
        self._wait_until_idle(self._grace_seconds + 5)
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
            memory=chosen.memory_of(),
            cpu=chosen.cpu_of(),
            host_users=any("userns" in option for option in security),
        )


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
