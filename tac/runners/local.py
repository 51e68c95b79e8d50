"""The local runner: steps are processes of this machine, held by a step server.

It never forks: `tac.runners.step_server` does, in a process of its own.
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
from typing import TYPE_CHECKING, Any, Self

from tac import exits, settings, verdict
from tac.backoff import Backoff
from tac.errors import TacError
from tac.runners.launch import not_started, open_log
from tac.runners.runner import Runner
from tac.runners.server_process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tac.log_file import Log
    from tac.request import RunRequest
    from tac.runners.server_process import StartedStep
    from tac.verdict import Verdict

_log = logging.getLogger(__name__)

# What an interpreter or a library reads once, when it starts. A step with another value than the
# server's is not forked from it.
_READ_AT_START = re.compile(
    r"PYTHON|LD_|DYLD_|MALLOC_|OMP_|KMP_|GOMP_|MKL_|OPENBLAS_|LC_|LANG$|LANGUAGE$|TZ$"
)
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.02, 0.25
"""How often a log is read: soon after it has grown, then ever more rarely.
Five hundred quiet steps cost 2,000 reads a second, 4 % of a core."""

_SERVERS_TRIED = 3
"""After so many servers that died before they started the step, that is its verdict."""

_NO_BACKGROUND_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""A server may have one thread, and importing pyarrow starts one that returns memory (jemalloc)."""

_runners: weakref.WeakSet[LocalRunner] = weakref.WeakSet()


class LocalRunner(Runner):
    """Runs commands as processes that end with this process, even by SIGKILL."""

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
        with contextlib.suppress(OSError):  # the verdict of the first step will report it
            self._server(warm=bool(self._preload))
        return self

    def run(
        self, request: RunRequest, *, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        """Run the command to its end: see `Runner`."""
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
            result = self._result(message, log, follow, stop)
            return _verdict(result, log.tail(), str(request.log), time.monotonic() - began)

    def close(self) -> None:
        """Stop what still runs, and the servers."""
        with self._lock:
            self._closed = True
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.close(grace_seconds=self._grace_seconds)

    def forget_servers(self) -> None:
        """Start without servers in a process that was forked from the one that has them."""
        for server in self._servers.values():
            server.close_copies()
        self._servers = {}
        self._lock = threading.Lock()

    def _result(
        self,
        message: Mapping[str, Any],
        log: Log,
        follow: Callable[[str], None],
        stop: threading.Event,
    ) -> dict[str, Any]:
        """Have a server run the command, and return its result."""
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
                result = _watch(step, log, follow, stop)
            except BaseException:
                step.stop()
                step.wait(self._grace_seconds + 1)
                raise
            if "lost" not in result or step.pid is not None or tried == _SERVERS_TRIED:
                return result

    def _server(self, *, warm: bool) -> ServerProcess | None:
        with self._lock:
            if self._closed:
                return None
            server = self._servers.get(warm)
            if server is None or server.death is not None:
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
            "environment": {**request.environment, **request.variables},
            "directory": os.getcwd(),  # noqa: PTH109 - it travels as text
            "log": str(request.log.absolute()),
            "grace_seconds": self._grace_seconds,
        }

    def _may_be_forked(self, request: RunRequest) -> bool:
        return (
            bool(self._preload)
            and len(request.argv) > 2  # noqa: PLR2004 - python -m MODULE
            and request.argv[:2] == ("python", "-m")
            and _read_at_start({**request.environment, **request.variables})
            == _read_at_start(self._environment)
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
    while (result := step.wait(polling.next())) is None:
        if stop.is_set() and not asked:
            asked = True
            step.stop()
        if log.follow(follow):
            polling.reset()
    log.finish(follow)
    return result


def _verdict(result: Mapping[str, Any], tail: Sequence[str], log: str, seconds: float) -> Verdict:
    if "closed" in result:
        return verdict.stopped_before_start()
    if "lost" in result:
        return verdict.lost(result["lost"], seconds=seconds, log=log)
    if "refused" in result:
        return not_started(result["refused"], log)
    ending = exits.Ending(
        exit_code=result["exit_code"],
        signal=result["signal"],
        stop=exits.Stop(result["stop"]),
        oom_killed=result["oom_killed"],
        peak_memory_mib=result["peak_memory_mib"],
        seconds=result["seconds"],
    )
    return exits.judge(ending, tail, log=log)


def _forget_servers() -> None:
    for runner in list(_runners):
        runner.forget_servers()


# Stock Luigi forks a process for each task: a copy of the socket there would keep steps running.
os.register_at_fork(after_in_child=_forget_servers)
