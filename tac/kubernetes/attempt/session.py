"""What the attempts of one driver have in common: a client, a reflector, and what is cleaned up."""

from __future__ import annotations

import logging
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tac import names
from tac.backoff import retry_on
from tac.errors import ApiUnavailable, Conflict, NotFound, TacError
from tac.kubernetes.objects import label
from tac.kubernetes.watch.log_follower import STREAMS
from tac.kubernetes.watch.reflector import Reflector

if TYPE_CHECKING:
    from tac.kubernetes.client.api import Client

_log = logging.getLogger(__name__)

_CLEANERS = 4
_CLEANING_SECONDS = 60.0


@dataclass
class Session:
    """One namespace of one Kubernetes cluster, as one driver uses it."""

    client: Client
    store: str
    """Where black boxes go."""

    leaves: bool = False
    """Whether Jobs go on when their attempts are told to stop."""

    read: set[str] = field(default_factory=set)
    """The uids of Jobs whose result was read here: they mean nothing any more."""

    streams: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(STREAMS))
    host: str = field(default_factory=socket.gethostname)

    def __post_init__(self) -> None:
        self.reflector = Reflector(self.client)
        self.cleaner = Cleaner(self)

    def close(self) -> None:
        """Delete what was read, and let go of the API server."""
        self.cleaner.close()
        self.reflector.close()
        self.client.close()


class Cleaner:
    """Deletes Jobs that mean nothing any more, without anybody waiting for it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._doing: set[Future[None]] = set()
        self._in_the_end: set[str] = set()

    def clean(self, work: str) -> None:
        """Delete all attempts at a piece of work that is done."""
        for job in self._session.reflector.jobs_of(work):
            self.delete(job["metadata"]["name"], job["metadata"]["uid"])

    def delete(self, name: str, uid: str) -> None:
        """Delete one Job and its pods; returns at once."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_CLEANERS, thread_name_prefix="clean")
            doing = self._pool.submit(self._delete, name, uid, _CLEANING_SECONDS)
            self._doing.add(doing)
        doing.add_done_callback(self._done)

    def delete_now(self, name: str, uid: str, until: float) -> None:
        """Delete one Job and its pods in this thread: a process that exits starts no other.

        `until` is when an API server that is away is waited for no longer, by `time.monotonic()`.
        """
        if (seconds := until - time.monotonic()) > 0:
            self._delete(name, uid, seconds)

    def delete_in_the_end(self, uid: str) -> None:
        """Delete one Job when the driver ends, for until then its number must stay taken."""
        self._in_the_end.add(uid)

    def close(self) -> None:
        """Delete what goes in the end, and wait until all that is deleted."""
        jobs = [view.job for view in self._session.reflector.jobs() if view.job is not None]
        # A driver that comes by now must find the attempt that runs, whose number is higher.
        busy = {
            label(job, names.WORK)
            for job in jobs
            if job["metadata"]["uid"] not in self._session.read
        }
        until = time.monotonic() + _CLEANING_SECONDS  # for all of them
        for job in jobs:
            metadata = job["metadata"]
            if metadata["uid"] in self._in_the_end and label(job, names.WORK) not in busy:
                self.delete_now(metadata["name"], metadata["uid"], until)
        with self._lock:
            doing, pool = set(self._doing), self._pool
        wait(doing, _CLEANING_SECONDS)
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, doing: Future[None]) -> None:
        with self._lock:
            self._doing.discard(doing)

    def _delete(self, name: str, uid: str, seconds: float) -> None:
        try:
            retry_on(
                ApiUnavailable,
                lambda: self._session.client.delete("Job", name, uid=uid),
                lambda: seconds,
            )
            _log.info("job/%s: deleted", name)
        except (NotFound, Conflict):
            pass  # somebody else was quicker
        except TacError as error:  # the next driver comes by, and Kubernetes after seven days
            _log.warning("%s", error.message)
