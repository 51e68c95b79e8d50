"""The Jobs of tac in one namespace and their pods, as the API server tells them: two watches.

However many tasks wait, the server is asked once: one list and one watch for Jobs, one for pods,
and one for events when somebody wants to know why a pod does not start. Nobody polls.
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
    """What is known of one Job."""

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
        """Whether nobody needs it: its Job is gone, and no pod of it goes on.

        One that was never seen is about to be: its pods may be told first.
        """
        if self.job is not None or self.followers:
            return False
        return not self.pods or (self.was is not None and all(map(has_ended, self.pods.values())))

    def view(self) -> View:
        return View(self.job, tuple(self.pods.values()), self.revision, self.was)


@dataclass(frozen=True)
class View:
    """One Job at one moment, and the pods that are there or had ended before they went."""

    job: Object | None
    """None when it does not exist any more."""
    pods: tuple[Object, ...]
    revision: int
    was: Object | None = None
    """What it was when it was deleted."""

    @property
    def uids(self) -> list[str]:
        """The Job and its pods, as events name them."""
        jobs = [job for job in (self.job or self.was,) if job is not None]
        return [thing["metadata"]["uid"] for thing in (*jobs, *self.pods)]


class Reflector:
    """A copy of our Jobs and pods that follows the API server's. Threads may ask it at any time."""

    def __init__(self, client: Client) -> None:
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self._events: dict[str, dict[str, Object]] = {}
        self._closed = threading.Event()
        self._jobs = ListWatch(client, "Job", self, labels=_OURS)
        self._pods = ListWatch(client, "Pod", self, labels=_OURS)
        self._happened = ListWatch(client, "Event", self)

    def close(self) -> None:
        """Stop to listen."""
        self._closed.set()
        for list_watch in (self._jobs, self._pods, self._happened):
            list_watch.close()
        self.wake()

    def wait_until_listed(self, seconds: float) -> None:
        """Wait until everything that is there was told once; the first who does begins to listen.

        Not sooner: a process without threads may fork, as the stock `luigi` does for each task.

        Raises:
            ApiUnavailable: the API server did not tell it within so many seconds.
            ApiError: it refuses to.
        """
        deadline = time.monotonic() + seconds
        self._jobs.start()
        self._pods.start()
        for list_watch in (self._jobs, self._pods):
            list_watch.wait_until_listed(deadline - time.monotonic())

    def unreachable_seconds(self) -> float:
        """Return for how long the API server has not answered; 0: it did just now."""
        return max(self._jobs.unreachable_seconds(), self._pods.unreachable_seconds())

    def expect(self, thing: Object) -> None:
        """Take in a Job, or a pod of one, that the API server has just told us of."""
        with self._lock:
            self._take(thing)

    @contextlib.contextmanager
    def following(self, job: Object) -> Iterator[str]:
        """Keep all that is told of a Job inside the block, whose value is its uid.

        Nothing of it is forgotten before the block has ended, also when it is deleted.
        """
        uid: str = job["metadata"]["uid"]
        with self._lock:
            self._take(job)
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
        """Return every Job of ours in the namespace."""
        with self._lock:
            return [entry.view() for entry in self._entries.values() if entry.job is not None]

    def see(self, uid: str) -> View:
        """Return what is known of a Job that is followed."""
        with self._lock:
            return self._entries[uid].view()

    def wait(self, uid: str, since: View, seconds: float) -> View:
        """Return what is known of a Job that is followed: at once when that is newer than `since`.

        Else when something happens to it, or after so many seconds.

        Raises:
            ApiError: the API server refuses to tell.
            ApiUnavailable: nobody listens any more.
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
        """Let everybody who waits look again."""
        with self._lock:
            for entry in self._entries.values():
                entry.changed.notify_all()

    def events(self, uids: Iterable[str]) -> list[Object]:
        """Return what was said of these objects; the first who asks begins to listen for all."""
        self._happened.start()
        with self._lock:
            return [event for uid in uids for event in self._events.get(uid, {}).values()]

    # What the feeds tell.

    def replace(self, kind: str, items: Iterable[Object], version: str) -> None:
        """Take in a whole list, which tells also what is not there any more."""
        newest = version_of({"metadata": {"resourceVersion": version}})
        with self._lock:
            if kind == "Event":
                self._events.clear()
            told = {item["metadata"]["uid"]: item for item in items}
            for item in told.values():
                self._take(item)
            for uid, entry in list(self._entries.items()):
                for known in entry.objects(kind):
                    # What was made after this list was taken is not in it.
                    if known["metadata"]["uid"] not in told and version_of(known) <= newest:
                        self._forget(kind, known)
                self._drop_if_over(uid, entry)

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take in one event of a watch."""
        thing = event["object"]
        with self._lock:
            if event["type"] == "DELETED":
                self._forget(thing["kind"], thing)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                self._take(thing)

    def _new_entry(self) -> _Entry:
        return _Entry(threading.Condition(self._lock))

    def _take(self, thing: Object) -> None:
        thing["metadata"].pop("managedFields", None)  # a third of the bytes, and nobody reads them
        if "involvedObject" in thing:
            self._take_event(thing)
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

    def _take_event(self, event: Object) -> None:
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

    def _forget(self, kind: str, thing: Object) -> None:
        uid = thing["metadata"]["uid"]
        if kind == "Event":
            self._forget_event(thing["involvedObject"].get("uid", ""), uid)
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
            entry.pods[uid] = thing  # how it ended is still told, and nobody else will
        else:
            entry.pods.pop(uid, None)
        entry.touch()
        self._drop_if_over(owner, entry)

    def _forget_event(self, about: str, uid: str) -> None:
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
