"""One session for each API server and namespace of a process, whoever of its tasks asks for it.

Sessions are counted by their users, and belong to a process: one that was forked opens its own.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tac import settings
from tac.kubernetes.attempt.session import Session
from tac.kubernetes.client.api import Client

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class SessionKey:
    """Which namespace of which API server, as a task says it; what is left out, settings say."""

    namespace: str = ""
    kubeconfig: str = ""
    auth_method: str = ""
    """`service-account`: that of the pod that this runs in, and no kubeconfig."""


_Spelling = tuple[SessionKey, str, str | None]


@dataclass
class _Acquired:
    session: Session
    process: int = field(default_factory=os.getpid)
    spellings: set[_Spelling] = field(default_factory=set)
    """What led to it; kubeconfig files are not read again for these."""
    users: int = 0


_lock = threading.Lock()
_acquired: list[_Acquired] = []


def acquire(key: SessionKey) -> Session:
    """Return the session of the API server and namespace that the key leads to; `release` it.

    However it is spelled, and whatever its context is called: the same namespace of the same API
    server with the same credentials is one session.

    Raises:
        ConfigError: no API server is configured, or not so that it can be asked.
    """
    with _lock:
        found = _find(key)
        found.users += 1
        return found.session


def release(session: Session, *, close: bool = False) -> None:
    """Give it back; with `close` the last user closes it, and else the exit of the process does.

    A process that was forked ends without what is registered for its exit: there the last closes.
    """
    with _lock:
        found = next((each for each in _acquired if each.session is session), None)
        if found is None:  # closed with all others
            return
        found.users -= 1
        last = not found.users and (close or multiprocessing.parent_process() is not None)
        if last:
            _acquired.remove(found)
    if last:
        session.close()


@contextlib.contextmanager
def acquire_session(key: SessionKey) -> Iterator[Session]:
    """Have a session inside the block: see `acquire`."""
    session = acquire(key)
    try:
        yield session
    finally:
        release(session)


def leave_on_stop() -> None:
    """Let the Jobs of every session of this process go on when their attempts are stopped."""
    for session in _of_this_process():
        session.keeps_jobs_on_stop = True


def close_all() -> None:
    """Close the sessions of this process, whoever uses them."""
    with _lock:
        sessions = _of_this_process()
        _acquired[:] = [each for each in _acquired if each.session not in sessions]
    for session in sessions:
        session.close()


# Before any runner is made: what is registered later is called earlier, so a runner that is closed
# at exit ends its attempts first.
atexit.register(close_all)


def _of_this_process() -> list[Session]:
    return [each.session for each in _acquired if each.process == os.getpid()]


def _find(key: SessionKey) -> _Acquired:
    chosen = settings.current()
    wanted = SessionKey(
        key.namespace or chosen.kubernetes_namespace or chosen.luigi_kubernetes_namespace,
        key.kubeconfig or chosen.kubeconfig_path,
        key.auth_method or chosen.kubernetes_auth_method,
    )
    spelling = (wanted, chosen.kubernetes_context, settings.variable("KUBECONFIG"))
    ours = [each for each in _acquired if each.process == os.getpid()]
    for each in ours:
        if spelling in each.spellings:
            return each
    client = Client(
        context=chosen.kubernetes_context,
        namespace=wanted.namespace,
        path=wanted.kubeconfig,
        in_pod=wanted.auth_method == "service-account",
    )
    for each in ours:
        if each.session.client.reaches_the_same_as(client):
            each.spellings.add(spelling)
            return each
    made = _Acquired(
        Session(client, chosen.store, keeps_jobs_on_stop=chosen.on_stop == "leave"),
        spellings={spelling},
    )
    _acquired.append(made)
    return made
