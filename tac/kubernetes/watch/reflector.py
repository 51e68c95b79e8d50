"""A cache of tac's Jobs in one namespace and of their pods, kept current by two watches.

However many tasks wait, there is one list and one watch for Jobs, one for pods, and one for events
once a pod has been pending for a while. Nothing is polled.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tac import names
from tac.errors import ApiUnavailable
from tac.kubernetes.objects import attempt_of, has_ended, job_of, label, version_of
from tac.kubernetes.watch.list_watch import ListWatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tac.kubernetes.client.api import Client

from tac.kubernetes.objects import Object

_REMEMBERED_DELETIONS = 10_000
_OURS = ",".join(f"{name}={value}" for name, value in names.MANAGED.items())


@dataclass
class _Entry:
    """One Job in the cache, with its pods and events."""

    changed: threading.Condition
    job: Object | None = None
    was: Object | None = None
    pods: dict[str, Object] = field(default_factory=dict)
    revision: int = 0
    followers: int = 0

    def touch(self) -> None:
        self.revision += 1
        self.changed.notify_all()

    def objects(self, kind: str) -> list[Object]:
        if kind == "Job":
            return [self.job] if self.job is not None else []
        return list(self.pods.values()) if kind == "Pod" else []

    @property
    def is_over(self) -> bool:
        """Whether it can be dropped: its Job was deleted, and no pod of it runs.

        A Job that was never seen is kept: events of its pods may arrive first.
        """
        if self.job is not None or self.followers:
            return False
        return not self.pods or (self.was is not None and all(map(has_ended, self.pods.values())))

    def view(self) -> View:
        return View(self.job, tuple(self.pods.values()), self.revision, self.was)


@dataclass(frozen=True)
class View:
    """A snapshot of one Job and its pods, deleted ones that had ended among them."""

    job: Object | None
    """None once it was deleted."""
    pods: tuple[Object, ...]
    revision: int
    was: Object | None = None
    """Its last state before it was deleted."""

    @property
    def uids(self) -> list[str]:
        """The uids of the Job and its pods, by which events name them."""
        jobs = [job for job in (self.job or self.was,) if job is not None]
        return [thing["metadata"]["uid"] for thing in (*jobs, *self.pods)]


class Reflector:
    """A cache of tac's Jobs and pods that follows the API server. Safe for many threads."""

    def __init__(self, client: Client) -> None:
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self._events: dict[str, dict[str, Object]] = {}
        self._closed = threading.Event()
        self._jobs = ListWatch(client, "Job", self, labels=_OURS)
        self._pods = ListWatch(client, "Pod", self, labels=_OURS)
        self._events_watch = ListWatch(client, "Event", self)

    def close(self) -> None:
        """Stop the watches."""
        self._closed.set()
        for list_watch in (self._jobs, self._pods, self._events_watch):
            list_watch.close()
        self.wake()

    def wait_until_listed(self, seconds: float) -> None:
        """Wait for the first list; the first call starts the watches.

        Not sooner: a process without threads may fork, as the stock `luigi` does for each task.

        Raises:
            ApiUnavailable: the API server did not send it within so many seconds.
            ApiError: it refused to.
        """
        deadline = time.monotonic() + seconds
        self._jobs.start()
        self._pods.start()
        for list_watch in (self._jobs, self._pods):
            list_watch.wait_until_listed(deadline - time.monotonic())

    def unreachable_seconds(self) -> float:
        """Return for how long the API server has not answered; 0: it did just now."""
        return max(self._jobs.unreachable_seconds(), self._pods.unreachable_seconds())

    def add(self, thing: Object) -> None:
        """Add a Job, or a pod of one, from the API server's answer to another request."""
        with self._lock:
            self._store(thing)

    @contextlib.contextmanager
    def following(self, job: Object) -> Iterator[str]:
        """Keep a Job in the cache during the block, whose value is its uid.

        It and its pods stay in the cache until the block ends, also if they are deleted.
        """
        uid: str = job["metadata"]["uid"]
        with self._lock:
            self._store(job)
            entry = self._entries.get(uid)
            if entry is None:
                entry = self._entries[uid] = self._new_entry()
            if entry.job is None and entry.was is None:  # deleted already
                entry.was = job
            entry.followers += 1
        try:
            yield uid
        finally:
            with self._lock:
                entry.followers -= 1
                self._drop_if_over(uid, entry)

    def jobs_of(self, work: str) -> list[Object]:
        """Return the Jobs that do this work, in the order of their attempts."""
        with self._lock:
            jobs = [entry.job for entry in self._entries.values() if entry.job is not None]
        return sorted((job for job in jobs if label(job, names.WORK) == work), key=attempt_of)

    def pods_of(self, uid: str) -> tuple[Object, ...]:
        """Return the pods of a Job."""
        with self._lock:
            entry = self._entries.get(uid)
            return tuple(entry.pods.values()) if entry is not None else ()

    def jobs(self) -> list[View]:
        """Return every Job of tac in the namespace."""
        with self._lock:
            return [entry.view() for entry in self._entries.values() if entry.job is not None]

    def see(self, uid: str) -> View:
        """Return a snapshot of a Job that is followed."""
        with self._lock:
            return self._entries[uid].view()

    def wait(self, uid: str, since: View, seconds: float) -> View:
        """Return a snapshot of a Job that is followed, at once if it is newer than `since`.

        Else after its next change, or after so many seconds.

        Raises:
            ApiError: the API server refused the watch.
            ApiUnavailable: the watches were closed.
        """
        with self._lock:
            entry = self._entries[uid]
            entry.changed.wait_for(
                lambda: entry.revision != since.revision or self._closed.is_set(), seconds
            )
            view = entry.view()
        for list_watch in (self._jobs, self._pods):
            list_watch.raise_if_refused()
        if self._closed.is_set():
            raise ApiUnavailable("the driver has ended its watches")
        return view

    def wake(self) -> None:
        """Wake all waiting threads."""
        with self._lock:
            for entry in self._entries.values():
                entry.changed.notify_all()

    def events(self, uids: Iterable[str]) -> list[Object]:
        """Return the events of these objects; the first call starts the watch of events."""
        self._events_watch.start()
        with self._lock:
            return [event for uid in uids for event in self._events.get(uid, {}).values()]

    # The listener of the watches.

    def replace(self, kind: str, items: Iterable[Object], version: str) -> None:
        """Replace all objects of a kind by those of a list; others were deleted."""
        newest = version_of({"metadata": {"resourceVersion": version}})
        with self._lock:
            if kind == "Event":
                self._events.clear()
            listed = {item["metadata"]["uid"]: item for item in items}
            for item in listed.values():
                self._store(item)
            for uid, entry in list(self._entries.items()):
                for known in entry.objects(kind):
                    # An object that was created after the list is not in it.
                    if known["metadata"]["uid"] not in listed and version_of(known) <= newest:
                        self._remove(kind, known)
                self._drop_if_over(uid, entry)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Apply one event of a watch."""
        thing = event["object"]
        with self._lock:
            if event["type"] == "DELETED":
                self._remove(thing["kind"], thing)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                self._store(thing)

    def _new_entry(self) -> _Entry:
        return _Entry(threading.Condition(self._lock))

    def _store(self, thing: Object) -> None:
        thing["metadata"].pop("managedFields", None)  # a third of the bytes, and never read
        if "involvedObject" in thing:
            self._store_event(thing)
            return
        is_pod = "containers" in thing["spec"]
        uid = job_of(thing) if is_pod else thing["metadata"]["uid"]
        if uid is None or (uid in self._deleted and not is_pod):
            return
        entry = self._entries.get(uid)
        if entry is None:
            entry = self._entries[uid] = self._new_entry()
        known = entry.pods.get(thing["metadata"]["uid"]) if is_pod else entry.job
        if known is not None and version_of(known) >= version_of(thing):
            return
        if is_pod:
            entry.pods[thing["metadata"]["uid"]] = thing
        else:
            entry.job = thing
        entry.touch()

    def _store_event(self, event: Object) -> None:
        uid = event["involvedObject"].get("uid")
        if not uid or uid in self._deleted:
            return
        # Both are optional in the API; they are read in many places.
        event.setdefault("reason", "")
        event.setdefault("message", "")
        self._events.setdefault(uid, {})[event["metadata"]["uid"]] = event
        for entry_uid, entry in self._entries.items():
            if entry.followers and (uid == entry_uid or uid in entry.pods):
                entry.touch()

    def _remove(self, kind: str, thing: Object) -> None:
        uid = thing["metadata"]["uid"]
        if kind == "Event":
            self._remove_event(thing["involvedObject"].get("uid", ""), uid)
            return
        if kind == "Job":
            self._remember_deletion(uid)
        self._events.pop(uid, None)
        owner = uid if kind == "Job" else job_of(thing)
        entry = self._entries.get(owner or "")
        if entry is None or owner is None:
            return
        if kind == "Job":
            entry.job, entry.was = None, thing
        elif has_ended(thing) and (entry.job is not None or entry.followers):
            entry.pods[uid] = thing  # its last state: no later request can read it
        else:
            entry.pods.pop(uid, None)
        entry.touch()
        self._drop_if_over(owner, entry)

    def _remove_event(self, about: str, uid: str) -> None:
        said = self._events.get(about, {})
        said.pop(uid, None)
        if not said:
            self._events.pop(about, None)

    def _remember_deletion(self, uid: str) -> None:
        self._deleted[uid] = None
        while len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)

    def _drop_if_over(self, uid: str, entry: _Entry) -> None:
        if entry.is_over:
            self._entries.pop(uid, None)
