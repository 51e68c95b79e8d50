"""The local runner: steps are processes of this machine, held by a step server.

It starts no step itself and forks never: `tac.runners.step_server` does, in a process of its own.
With modules to preload, a step that is `python -m …` is forked from a server that has imported
them; every other command, and every command without them, is an ordinary program.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tac import exits, settings, verdict
from tac.backoff import Backoff
from tac.errors import TacError
from tac.runners.launch import not_started, open_log
from tac.runners.server_process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tac.log_file import Log
    from tac.request import RunRequest
    from tac.runners.server_process import StartedStep
    from tac.verdict import Verdict

_log = logging.getLogger(__name__)

# What an interpreter or a library reads once, when it starts. A step that is given another value
# than the server had is not forked from it.
_READ_AT_START = re.compile(
    r"PYTHON|LD_|DYLD_|MALLOC_|OMP_|KMP_|GOMP_|MKL_|OPENBLAS_|LC_|LANG$|LANGUAGE$|TZ$"
)
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.02, 0.25
"""How often a log is looked at: soon after it said something, then ever more rarely.
Five hundred quiet steps cost 2,000 looks a second, 4 % of a core."""

_SERVERS_TRIED = 3
"""How many servers may end before they have begun a step, until that is the step's verdict."""

_NO_BACKGROUND_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""A server may have one thread, and importing pyarrow starts one that returns memory (jemalloc)."""

_runners: weakref.WeakSet[LocalRunner] = weakref.WeakSet()


class LocalRunner:
    """Runs commands as processes that end when this process does, whatever happens to it."""

    detaches_on_interrupt: ClassVar[bool] = False

    def __init__(
        self,
        *,
        preload: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        stop_grace_seconds: float | None = None,
    ) -> None:
        if environment is None:
            environment = settings.child_environment()
        if stop_grace_seconds is None:
            stop_grace_seconds = settings.current().stop_grace_seconds
        self._preload = tuple(preload)
        self._environment = environment
        self._grace_seconds = stop_grace_seconds
        self._lock = threading.Lock()
        self._servers: dict[bool, ServerProcess] = {}
        self._closed = False
        self._warned = False
        _runners.add(self)

    def start(self) -> Self:
        """Begin to import what is to be preloaded; returns at once, and need not be called."""
        with contextlib.suppress(OSError):  # the verdict of the first step will say it
            self._server(warm=bool(self._preload))
        return self

    def detaches(self) -> bool:
        """Tell whether what runs goes on without us: never."""
        return False

    def detach(self) -> None:
        """Let what runs go on, if it can: it cannot."""

    def preflight(self, addresses: Iterable[str] = ()) -> str:  # noqa: ARG002 - all are here
        """Say where commands run: see `tac.runners.Runner`."""
        return ""

    def run(
        self, request: RunRequest, *, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        """Run the command to its end: see `tac.runners.Runner`."""
        if stop.is_set():
            return verdict.stopped_before_start()
        try:
            message = self._message(request)
            log = open_log(request)
            message["log_is"] = log.identity()
        except (TacError, OSError) as error:
            return not_started(error, str(request.log))
        began = time.monotonic()
        with log:
            news = self._news(message, log, follow, stop)
            return _verdict(news, log.tail(), str(request.log), time.monotonic() - began)

    def close(self) -> None:
        """End the servers and what still runs."""
        with self._lock:
            self._closed = True
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.close(grace_seconds=self._grace_seconds)

    def forget_servers(self) -> None:
        """Begin anew in a process that was forked from the one with the servers."""
        for server in self._servers.values():
            server.forget()
        self._servers = {}
        self._lock = threading.Lock()

    def _news(
        self,
        message: Mapping[str, Any],
        log: Log,
        follow: Callable[[str], None],
        stop: threading.Event,
    ) -> dict[str, Any]:
        """Have the command run, and return what the server says of its end."""
        tried = 0
        while True:
            tried += 1
            try:
                server = self._server(warm=bool(message["module"]))
            except OSError as error:
                return {"refused": error}
            if server is None:
                return {"closed": True}
            step = server.start(message)
            try:
                news = _watch(step, log, follow, stop)
            except BaseException:
                step.stop()
                step.wait(self._grace_seconds + 1)
                raise
            if "lost" not in news or step.pid is not None or tried == _SERVERS_TRIED:
                return news

    def _server(self, *, warm: bool) -> ServerProcess | None:
        with self._lock:
            if self._closed:
                return None
            server = self._servers.get(warm)
            if server is None or server.gone is not None:
                environment = {**_NO_BACKGROUND_THREAD, **self._environment}
                server = ServerProcess(self._preload if warm else (), environment)
                self._servers[warm] = server
            return server

    def _message(self, request: RunRequest) -> dict[str, Any]:
        argv = [str(word) for word in request.argv]
        warm = self._may_be_forked(request)
        if argv[0] == "python" and not warm:
            argv[0] = sys.executable
        return {
            "module": argv[2] if warm else "",
            "argv": argv[3:] if warm else argv,
            "environment": dict(request.environment),
            "directory": os.getcwd(),  # noqa: PTH109 - it travels as text
            "log": str(request.log.absolute()),
            "grace_seconds": self._grace_seconds,
        }

    def _may_be_forked(self, request: RunRequest) -> bool:
        return (
            bool(self._preload)
            and len(request.argv) > 2  # noqa: PLR2004 - python -m MODULE
            and request.argv[:2] == ("python", "-m")
            and _read_at_start(request.environment) == _read_at_start(self._environment)
            and not self._is_threaded()
        )

    def _is_threaded(self) -> bool:
        server = self._servers.get(True)
        if server is None or server.ready is None or server.ready["ready"] == 1:
            return False
        if not self._warned:
            self._warned = True
            _log.warning(
                "step server: has %d threads after importing %s, so steps are started without it",
                server.ready["ready"],
                ", ".join(self._preload),
            )
        return True


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _READ_AT_START.match(name)}


def _watch(
    step: StartedStep, log: Log, follow: Callable[[str], None], stop: threading.Event
) -> dict[str, Any]:
    asked = False
    polling = Backoff(_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS)
    while (news := step.wait(polling.next())) is None:
        if stop.is_set() and not asked:
            asked = True
            step.stop()
        if log.follow(follow):
            polling.reset()
    log.finish(follow)
    return news


def _verdict(news: Mapping[str, Any], tail: Sequence[str], log: str, seconds: float) -> Verdict:
    if "closed" in news:
        return verdict.stopped_before_start()
    if "lost" in news:
        return verdict.lost(news["lost"], seconds=seconds, log=log)
    if "refused" in news:
        return not_started(news["refused"], log)
    ending = exits.Ending(
        exit_code=news["exit_code"],
        signal=news["signal"],
        stop=exits.Stop(news["stop"]),
        oom_killed=news["oom_killed"],
        peak_memory_mib=news["peak_memory_mib"],
        seconds=news["seconds"],
    )
    return exits.judge(ending, tail, log=log)


def _forget_servers() -> None:
    for runner in list(_runners):
        runner.forget_servers()


# Stock Luigi forks a process for each task: a copy of the wire there would keep steps alive.
os.register_at_fork(after_in_child=_forget_servers)
