"""What the tasks of one process that speak to one namespace have in common, lent while they run."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tac import settings
from tac.kubernetes.attempt.session import Session
from tac.kubernetes.client.api import Client

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class SessionKey:
    """Which namespace of which Kubernetes cluster, as a task says it; nothing: as settings do."""

    namespace: str = ""
    kubeconfig: str = ""
    in_pod: bool = False


@dataclass
class _Acquired:
    session: Session
    users: int = 0


_lock = threading.Lock()
_of_process: dict[tuple[int, SessionKey], _Acquired] = {}


@contextlib.contextmanager
def acquire_session(door: SessionKey) -> Iterator[Session]:
    """Lend what attempts share; the last borrower of a process that was forked gives it back.

    Raises:
        ConfigError: no API server is configured, or not so that it can be asked.
    """
    key = (os.getpid(), door)  # no forked process may use what its parent opened
    with _lock:
        if key not in _of_process:
            _of_process[key] = _Acquired(_open(door))
            atexit.register(_close, key)
        found = _of_process[key]
        found.users += 1
    try:
        yield found.session
    finally:
        with _lock:
            found.users -= 1
            # A process that was forked ends without what is registered for its exit.
            last = not found.users and multiprocessing.parent_process() is not None
            if last:
                del _of_process[key]
        if last:
            found.session.close()


def _open(door: SessionKey) -> Session:
    chosen = settings.current()
    client = Client(
        context=chosen.kubernetes_context,
        namespace=door.namespace or chosen.kubernetes_namespace,
        path=door.kubeconfig,
        in_pod=door.in_pod,
    )
    return Session(
        client,
        chosen.store,
        lambda: chosen.on_stop == "leave",
        chosen.stop_grace_seconds,
        chosen.scheduling_seconds,
    )


def _close(key: tuple[int, SessionKey]) -> None:
    with _lock:
        found = _of_process.pop(key, None) if key[0] == os.getpid() else None
    if found is not None:
        found.session.close()
