"""What deletes a Job, and when; with a Job go its pods.

Its work is done, and its task says `delete_on_success`: at once, in a thread of the cleaner, of a
KubernetesJobTask after `signal_complete()` (`delete_jobs_of`).
Of both kinds, stopped where `on_stop` is `stop`, given up while pending, or the listener of its log
raised: at once, in the attempt's thread (`delete`).
A step failed, and its black box is written: when the session closes, for until then its number must
stay taken, and unless another attempt at the same work still runs (`delete_at_close`).
A finished Job of a step that this driver has not concluded with, such as a killed driver's, and
whose output exists: at the end of the run, but not in processes that Luigi forks (`sweep`).
A KubernetesJobTask failed, or says `delete_on_success = False`: kept.
All others: Kubernetes deletes them, seven days after they finished: `manifests/defaults.py`.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from tac import names
from tac.backoff import retry_on
from tac.errors import ApiUnavailable, Conflict, NotFound, TacError
from tac.kubernetes.attempt import black_box
from tac.kubernetes.objects import annotation, finished, label
from tac.store import store_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from tac.kubernetes.client.api import Client
    from tac.kubernetes.objects import Object
    from tac.kubernetes.watch.reflector import Reflector

_log = logging.getLogger(__name__)

_THREADS = 4
_CLOSE_SECONDS = 60.0
"""How long the end of a driver waits for an API server that is unavailable, for all Jobs."""

_SWEEP_SECONDS = 30.0
"""How long the end of a run may take for what other drivers left; the next driver goes on."""


class Cleaner:
    """Deletes the Jobs of one session."""

    def __init__(
        self, client: Client, reflector: Reflector, store: str, reported: Container[str]
    ) -> None:
        self._client, self._reflector = client, reflector
        self._store, self._reported = store, reported
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._running: set[Future[TacError | None]] = set()
        self._at_close: set[str] = set()

    def delete(self, job: Object, timeout_seconds: Callable[[], float]) -> TacError | None:
        """Delete a Job, if it still exists, in this thread; return why it could not be deleted."""
        metadata = job["metadata"]
        name, uid = metadata["name"], metadata["uid"]
        try:
            retry_on(
                ApiUnavailable, lambda: self._client.delete("Job", name, uid=uid), timeout_seconds
            )
            _log.info("job/%s: deleted", name)
        except (NotFound, Conflict):
            pass  # another driver has deleted it
        except TacError as error:  # the next driver tries again
            _log.warning("%s", error.message)
            return error
        return None

    def delete_jobs_of(self, work: str) -> None:
        """Delete all Jobs of work that is done; returns at once."""
        for job in self._reflector.jobs_of(work):
            with self._lock:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="cleaner")
                deletion = self._pool.submit(self.delete, job, lambda: _CLOSE_SECONDS)
                self._running.add(deletion)
            deletion.add_done_callback(self._forget)

    def delete_at_close(self, uid: str) -> None:
        """Delete one Job when the driver ends, for until then its number must stay taken."""
        self._at_close.add(uid)

    def sweep(self) -> None:
        """Delete finished Jobs of killed drivers whose outputs exist; of failures keep a black box.

        A driver that is about to read one finds the output in its place.
        """
        until = time.monotonic() + _SWEEP_SECONDS
        for view in self._reflector.jobs():
            if time.monotonic() > until:
                return
            job = view.job
            if job is None or job["metadata"]["uid"] in self._reported or finished(job) is None:
                continue
            output = annotation(job, names.OUTPUT)
            try:
                if output and store_of(output).exists(output, fresh=True):
                    if finished(job) == "Failed":
                        black_box.keep_black_box(self._client, view, None, self._store)
                    self._delete_until(job, until)
            except TacError as error:  # the next driver tries again
                _log.debug("job/%s: left: %s", job["metadata"]["name"], error.message)

    def close(self) -> None:
        """Delete the Jobs that were kept until now, and wait for all deletions."""
        jobs = [view.job for view in self._reflector.jobs() if view.job is not None]
        # Another driver must find the attempt that still runs, whose number is higher.
        busy = {
            label(job, names.WORK) for job in jobs if job["metadata"]["uid"] not in self._reported
        }
        until = time.monotonic() + _CLOSE_SECONDS
        for job in jobs:
            if job["metadata"]["uid"] in self._at_close and label(job, names.WORK) not in busy:
                self._delete_until(job, until)
        with self._lock:
            running, pool = set(self._running), self._pool
        wait(running, _CLOSE_SECONDS)
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _delete_until(self, job: Object, until: float) -> None:
        # In this thread: a process that exits starts no other.
        if (seconds := until - time.monotonic()) > 0:
            self.delete(job, lambda: seconds)

    def _forget(self, deletion: Future[TacError | None]) -> None:
        with self._lock:
            self._running.discard(deletion)
