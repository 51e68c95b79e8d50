"""What runners share whose attempts can outlive the driver: Docker's and Kubernetes'."""

from __future__ import annotations

import contextlib
import os
import threading
from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING

from tac import settings, verdict
from tac.errors import ConfigError, TacError
from tac.redaction import holds_secret
from tac.runners.launch import not_started, open_log
from tac.runners.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tac.log_file import Log
    from tac.request import RunRequest
    from tac.verdict import Verdict


class DetachedRunner(Runner):
    """Runs commands that can outlive this process."""

    def __init__(self, stop_grace_seconds: float | None = None) -> None:
        self._settings = settings.current()
        self._grace_seconds = (
            self._settings.stop_grace_seconds if stop_grace_seconds is None else stop_grace_seconds
        )
        self._detached = self._settings.on_stop == "leave"
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._running: Counter[int] = Counter()  # by process: a forked one has its own
        self._process = os.getpid()
        """Which process opened what attempts share: a forked one must open its own."""

    def detaches(self) -> bool:
        """Return whether what runs outlives this process: see `Runner`."""
        return self._detached

    def detach(self) -> None:
        """Let what runs outlive this process: see `Runner`."""
        self._detached = True

    def run(
        self, request: RunRequest, *, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        """Run the command to its end: see `Runner`."""
        if stop.is_set() or self._closed.is_set():
            return verdict.stopped_before_start()
        try:
            log = open_log(request)
        except (TacError, OSError) as error:
            return not_started(error, str(request.log))
        with log, self._counted():
            return self._attempt(request, log, follow, stop)

    @abstractmethod
    def _attempt(
        self, request: RunRequest, log: Log, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        """Run the command to its end, and say what it came to."""

    def _wait_until_idle(self, seconds: float) -> None:
        """Wait so long at most until nothing runs that this process has started."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running[os.getpid()], seconds)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        process = os.getpid()
        with self._changed:
            self._running[process] += 1
        try:
            yield
        finally:
            with self._changed:
                self._running[process] -= 1
                self._changed.notify_all()


def refuse_secrets(words: Iterable[str], *, about: str, hint: str) -> None:
    """Refuse a command with a secret in it, where others can read commands.

    Raises:
        ConfigError: an address in one of the words has a password or a signature.
    """
    for word in words:
        if holds_secret(word):
            raise ConfigError(f"{word!r}: has a password or a key in it, and {about}", hint=hint)
