"""The list and then the watches of one kind of object, in a thread of its own.

A broken watch continues from the last resourceVersion; one that has expired (410) lists again.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from tac.backoff import Backoff
from tac.errors import ApiUnavailable, Expired, TacError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tac.kubernetes.client.api import Client, Watch

_log = logging.getLogger(__name__)

WATCH_SECONDS = 60
"""How long one watch lasts. A connection that broke without an error is noticed when it ends, and
the next watch costs one request."""


REFUSAL_SECONDS = 60.0
"""How long a refusal (401, 403) after a success may last before it is final."""


class Listener(Protocol):
    """Receives the objects, in the thread of the watch."""

    def replace(self, kind: str, items: Iterable[dict[str, Any]], version: str) -> None:
        """Replace all objects of a kind by those of a list."""

    def apply(self, event: Mapping[str, Any]) -> None:
        """Apply one event of a watch."""

    def wake(self) -> None:
        """Wake all waiting threads."""


class ListWatch:
    """Passes all objects of a kind to a listener, and then every change, until it is closed."""

    def __init__(self, client: Client, kind: str, listener: Listener, *, labels: str = "") -> None:
        self._client, self._kind, self._labels = client, kind, labels
        self._listener = listener
        self._closed = threading.Event()
        self._listed = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._watch: Watch | None = None
        self._version = ""
        self._unreachable_since: float | None = None
        self._refuses_since: float | None = None
        self._watched = False
        self._refused: TacError | None = None
        self._last: TacError | None = None

    def start(self) -> None:
        """Start the thread, unless it was started."""
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(
                    target=self._run, name=f"watch of {self._kind}", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Stop the watch; a thread that waits for the server ends by itself."""
        self._closed.set()
        with self._lock:
            watch, thread = self._watch, self._thread
        if watch is not None:
            watch.close()
        if thread is not None:
            thread.join(2)

    def unreachable_seconds(self) -> float:
        """Return for how long the API server has not answered; 0: it did just now."""
        since = self._unreachable_since
        return 0.0 if since is None else time.monotonic() - since

    def wait_until_listed(self, seconds: float) -> None:
        """Wait until the listener has the whole list.

        Raises:
            ApiUnavailable: the API server did not send it within so many seconds.
            ApiError: it refused to.
        """
        if not self._listed.wait(max(0.0, seconds)):
            raise self._last or ApiUnavailable(
                f"the API server did not list the {self._kind}s in time", hint="run it again"
            )
        self.raise_if_refused()

    def raise_if_refused(self) -> None:
        """Raise the error with which the API server finally refused the watch."""
        if self._refused is not None:
            raise self._refused

    def _run(self) -> None:
        backoff = Backoff()
        while not self._closed.is_set():
            began, asked = time.monotonic(), None
            try:
                self._list_and_follow()
            except Expired:
                self._version = ""
            except TacError as error:
                asked = getattr(error, "retry_after_seconds", None)
                self._note_outage(error)
                if self._is_final(error):
                    self._refuse(error)
                    return
            except Exception as error:  # noqa: BLE001 - a bug here must not let all tasks wait
                _log.exception("watch of %s: failed", self._kind)
                self._refuse(TacError(f"watch of {self._kind}: {type(error).__name__}: {error}"))
                return
            if time.monotonic() - began > backoff.longest_seconds:
                backoff.reset()
            else:  # a watch that ends at once must not become a busy loop
                self._closed.wait(backoff.next(asked))

    def _list_and_follow(self) -> None:
        if not self._version:
            self._list()
        self._follow()

    def _list(self) -> None:
        listed = self._client.list(self._kind, labels=self._labels)
        version = listed["metadata"]["resourceVersion"]
        for item in listed["items"]:
            item.setdefault("kind", self._kind)
        self._listener.replace(self._kind, listed["items"], version)
        self._version = version
        self._unreachable_since = self._refuses_since = None
        self._listed.set()

    def _follow(self) -> None:
        opened = self._client.watch(
            self._kind,
            labels=self._labels,
            resource_version=self._version,
            timeout_seconds=WATCH_SECONDS,
        )
        with opened as watch:
            with self._lock:
                self._watch = watch
            self._unreachable_since = self._refuses_since = None
            self._watched = True
            try:
                self._consume(watch)
            finally:
                with self._lock:
                    self._watch = None

    def _consume(self, watch: Watch) -> None:
        if self._closed.is_set():  # while it was opened
            return
        for event in watch:
            if self._closed.is_set():
                return
            version = event["object"]["metadata"].get("resourceVersion")
            if event["type"] != "BOOKMARK":
                event["object"].setdefault("kind", self._kind)
                self._listener.apply(event)
            if version:
                self._version = version

    def _is_final(self, error: TacError) -> bool:
        """Tell whether a retry is useless: a missing right, or a wrong kubeconfig.

        A server that has answered before may refuse for a moment: an API server that restarts has
        not loaded its roles yet, and a load balancer in front of it has no backend.
        """
        if isinstance(error, ApiUnavailable):
            self._refuses_since = None
            return False
        if self._refuses_since is None:
            self._refuses_since = time.monotonic()
        return not self._watched or time.monotonic() - self._refuses_since > REFUSAL_SECONDS

    def _note_outage(self, error: TacError) -> None:
        self._last = error
        if self._unreachable_since is None and not self._closed.is_set():
            self._unreachable_since = time.monotonic()
            if self._listed.is_set():
                _log.debug("watch of %s: cut, goes on: %s", self._kind, error.message)

    def _refuse(self, error: TacError) -> None:
        self._refused = error
        self._listed.set()
        self._listener.wake()
