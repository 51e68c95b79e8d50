"""Context of one attempt: request, session, log, stop signal, timeouts."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tac import names
from tac.backoff import retry_on
from tac.errors import ApiUnavailable, TacError
from tac.kubernetes.attempt import black_box
from tac.kubernetes.attempt.timeouts import Timeouts
from tac.kubernetes.objects import label
from tac.store import store_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tac.kubernetes.attempt.session import Session
    from tac.kubernetes.objects import Object
    from tac.kubernetes.watch.reflector import View
    from tac.log_file import LogWriter
    from tac.request import RunRequest
    from tac.verdict import Verdict

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class AttemptContext:
    """One attempt at what a task asks for, by one driver; `stop`, when set, ends it."""

    session: Session
    request: RunRequest
    manifest: Object
    """The Job without its attempt's number."""

    log: LogWriter
    stop: threading.Event
    timeouts: Timeouts = field(default_factory=Timeouts)
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when the runner ends all of its attempts."""
    began: float = field(default_factory=time.monotonic)

    @property
    def work(self) -> str:
        """The label of all attempts at this work."""
        return label(self.manifest, names.WORK)

    @property
    def kubectl(self) -> str:
        """The beginning of a kubectl command that a person can paste."""
        return self.session.client.place.kubectl_here

    def is_done(self) -> bool | None:
        """Tell whether what it makes is there, asked now; None: no output says.

        Raises:
            TacError: the store could not be asked.
        """
        if self.request.is_done is not None:
            return self.request.is_done()
        output = self.request.output
        return store_of(output).exists(output, fresh=True) if output else None

    def stop_requested(self) -> bool:
        """Whether this attempt, or the whole driver, is to end."""
        return self.stop.is_set() or self.closed.is_set()

    def seconds(self) -> float:
        """Return how long ago it began."""
        return time.monotonic() - self.began

    def unavailable_timeout_seconds(self) -> float:
        """Return how long an API server that does not answer is waited for."""
        if self.stop_requested():
            return self.timeouts.grace_seconds
        return self.timeouts.api_unreachable_timeout_seconds

    def retry_unavailable(self, ask: Callable[[], T]) -> T:
        """Ask the API server until it answers: it has before, so it will come back.

        Raises:
            ApiUnavailable: it did not in time.
        """
        return retry_on(ApiUnavailable, ask, self.unavailable_timeout_seconds)

    def delete(self, job: Object) -> TacError | None:
        """Delete a Job, if it still exists; return why it could not be deleted."""
        return self.session.cleaner.delete(job, self.unavailable_timeout_seconds)

    def relist_pods(self) -> None:
        """List the pods of all attempts for the reflector, whose watch may be behind.

        Raises:
            ApiUnavailable, ApiError: the API server did not list them.
        """
        labels = f"{names.WORK}={self.work}"
        found = self.retry_unavailable(lambda: self.session.client.list("Pod", labels=labels))
        for pod in found["items"]:
            self.session.reflector.add(pod)

    def conclude_job(self, job: Object, *, delete: bool = True) -> None:
        """Adopt a Job no more, for its result was read; the cleaner deletes it, unless kept."""
        uid = job["metadata"]["uid"]
        self.session.reported.add(uid)
        if delete and not self.request.keep:
            self.session.cleaner.delete_at_close(uid)

    def keep_black_box(self, view: View, ended: Verdict | None, *, logs: bool = True) -> bool:
        """Keep the black box; a store that does not take it must not hide the verdict.

        False: it is not kept, and the Job is all there is. Without `logs` no node is asked.
        """
        try:
            address = black_box.keep_black_box(
                self.session.client, view, ended, self.session.store, logs=logs
            )
        except TacError as error:
            _log.warning("%s", error.message)
            return False
        self.log.note(f"all that is known of it: {address}")
        return True
