"""The Docker runner: each attempt at a step is one container, which outlives its driver.

A driver that is started again, or has lost the engine, finds its container by its labels; two
drivers share one. A container is removed once its result has been read, and never before.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

from tac import settings
from tac.build_id import build_id
from tac.errors import TacError
from tac.runners.detached import DetachedRunner, refuse_secrets
from tac.runners.docker import keys
from tac.runners.docker.attempt import ContainerAttempt, DockerSession, conclude_not_started
from tac.runners.docker.container import (
    ContainerDefaults,
    ContainerInputs,
    EngineFeatures,
    build_container,
    check_endpoint,
)
from tac.runners.docker.engine import Engine
from tac.runners.docker.log import LogCopy
from tac.runners.docker.mounts import HostDirectories, find_mounts
from tac.runners.docker.sweep import Sweeper

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    from tac.log_file import Log
    from tac.request import RunRequest
    from tac.verdict import Verdict


_log = logging.getLogger(__name__)


class DockerRunner(DetachedRunner):
    """Runs commands as containers of the image that the settings name."""

    # Containers use this machine, as processes do: who presses Ctrl-C wants it back.
    def __init__(self, *, stop_grace_seconds: float | None = None) -> None:
        super().__init__(stop_grace_seconds)
        self._session: DockerSession | None = None
        self._sweeper: Sweeper | None = None
        self._features = EngineFeatures()
        self._warned = False

    def preflight(self, addresses: Iterable[str] = ()) -> str:  # noqa: ARG002 - all can be mounted
        """Check that commands can run, and return where: see `Runner`."""
        _refuse_secrets(self._settings.source)
        return f"docker: image {self._settings.image}"

    def _attempt(
        self, request: RunRequest, log: Log, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        with contextlib.ExitStack() as stack:
            try:
                attempt = self._prepare(request, LogCopy(log, follow), stop, stack)
            except (TacError, OSError) as error:
                return conclude_not_started(error, request)
            return attempt.run()

    def close(self) -> None:
        """Stop what still runs, or leave it, as configured; then close the engine."""
        self._closed.set()
        self._wait_until_idle(self._grace_seconds + 5)
        if self._sweeper is not None:
            self._sweeper.close()  # and with it the engine
            self._session = self._sweeper = None

    def sweep(self) -> None:
        """Remove what killed drivers have left, if the engine answers."""
        with contextlib.suppress(TacError):
            self._connect()
        self.close()

    def _connect(self) -> DockerSession:
        """Return what attempts share, once the engine has answered."""
        with self._changed:
            # A process that was forked must not share its parent's connections.
            if self._session is None or self._process != os.getpid():
                engine, chosen = Engine(), self._settings
                self._features = EngineFeatures.from_info(engine.info)
                endpoint = chosen.container_s3_endpoint_url or chosen.s3_endpoint_url or ""
                self._sweeper = Sweeper(engine, chosen.store, endpoint)
                self._session = DockerSession(
                    engine, chosen.image, self.detaches, self._grace_seconds, self._closed
                )
                self._process = os.getpid()
            return self._session

    def _prepare(
        self, request: RunRequest, copy: LogCopy, stop: threading.Event, stack: contextlib.ExitStack
    ) -> ContainerAttempt:
        """Build the container and its credentials; `stack` closes what the attempt needs open."""
        stack.enter_context(copy)
        _refuse_secrets(*request.argv)
        chosen = self._settings
        argv, mounts = find_mounts(
            [str(word) for word in request.argv],
            HostDirectories(chosen.store, chosen.store_directory, request.log.absolute().parent),
            output=request.output,
        )
        session = self._connect()
        defaults = self._defaults(request)
        if request.cpu or defaults.cpu:
            self._warn_if_no_limit(session.engine.host)
        on_s3 = any("s3://" in word for word in argv)
        if on_s3:
            check_endpoint(defaults)
        given = keys.mounted(
            request.environment,
            s3=on_s3,
            http=any("http://" in word or "https://" in word for word in argv),
            beside=mounts,
        )
        mounts_of_keys, variables = stack.enter_context(given)
        inputs = ContainerInputs((*mounts, *mounts_of_keys), variables)
        container = build_container(request, argv, defaults, inputs)
        return ContainerAttempt(session, request, container, copy, stop)

    def _warn_if_no_limit(self, host: str) -> None:
        with self._changed:
            first, self._warned = not self._warned, True
        if first and not self._features.limits_cpu:
            _log.warning(
                "docker engine at %s: cannot limit processors, so each step may use all of them; "
                "a rootless one can where systemd delegates `cpu` to users",
                host,
            )

    def _defaults(self, request: RunRequest) -> ContainerDefaults:
        chosen, features = self._settings, self._features
        ids = ("0:0", ()) if features.rootless else _own_ids()
        return ContainerDefaults(
            image=chosen.image,
            user=ids[0],
            groups=ids[1],
            network=chosen.docker_network,
            s3_endpoint_url=chosen.container_s3_endpoint_url
            or request.environment.get("AWS_ENDPOINT_URL_S3", ""),
            memory=chosen.memory_of(),
            cpu=chosen.cpu_of(),
            pids=chosen.docker_pids_limit,
            tmp_bytes=chosen.docker_tmp_size,
            features=features,
            build=build_id() if chosen.checks_build else "",
        )


def _own_ids() -> tuple[str, Sequence[str]]:
    """Return the user with their first group, and their other groups, as the engine takes them."""
    others = sorted({*os.getgroups()} - {os.getegid()})
    return f"{os.geteuid()}:{os.getegid()}", [str(group) for group in others]


def _refuse_secrets(*words: str) -> None:
    refuse_secrets(
        map(str, words),
        about="everyone with access to the engine can read a container's command",
        hint=f"leave it out, and set {settings.AUTHORIZATION}, such as 'Bearer …': containers get "
        "it in a file that only you can read",
    )
