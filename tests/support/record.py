"""Record what a real Kubernetes says of Jobs that fare badly, for the tests of diagnoses.

Needs a Kubernetes of hack/kubernetes/up.sh with two nodes, its environment, root and Go.
Usage: python -m tests.support.record [STORY...]      by default every story of stories.py
The files of tests/unit/kubernetes/diagnosis/recorded/ are replaced; look at what has changed.
It cuts node-2 off for a minute, for the stories of a lost node.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from tests.support.stories import STORIES
from tests.support.story import ACTOR, Moment, Object, Snapshot, Story

REPOSITORY = Path(__file__).parents[2]
RECORDED = REPOSITORY / "tests/unit/kubernetes/diagnosis/recorded"
DEADLINE_SECONDS = 120
AT_ONCE = 4


def kubectl(*words: str, given: Any = None) -> str:
    """Run kubectl and return what it prints."""
    return run("kubectl", *words, given="" if given is None else json.dumps(given))


def run(*command: str | Path, given: str = "", **environment: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
        env={**os.environ, **environment},  # noqa: TID251 # not a setting of tac's
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


class Watch:
    """All that is there of a story, as it changes."""

    def __init__(self, namespace: str) -> None:
        self._changed = threading.Condition()
        self._snapshots = [Snapshot()]
        self._seen = 0
        self._watches = [self._start(namespace, kind) for kind in ("jobs", "pods", "events")]

    def _start(self, namespace: str, kind: str) -> subprocess.Popen[str]:
        changes = ("--watch", "--output-watch-events", "--output=json")
        watch = subprocess.Popen(
            ["kubectl", "--namespace", namespace, "get", kind, *changes],
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, args=(watch,), daemon=True).start()
        return watch

    def _read(self, watch: subprocess.Popen[str]) -> None:
        for line in watch.stdout or ():
            change = json.loads(line)
            change["object"]["metadata"].pop("managedFields", None)
            with self._changed:
                last = self._snapshots[-1]
                self._snapshots.append(
                    changed(last, change["object"], gone=change["type"] == "DELETED")
                )
                self._changed.notify_all()

    def wait(self, moment: Moment) -> Snapshot:
        """Wait until a moment has come, or find it among what is already past."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._changed:
            while time.monotonic() < deadline:
                for snapshot in self._snapshots[self._seen :]:
                    if snapshot.was is not None and moment(snapshot):
                        return snapshot
                    self._seen += 1
                self._changed.wait(timeout=1)
            raise SystemExit(f"the moment did not come; last: {text_of(self._snapshots[-1])}")

    def close(self) -> None:
        """Watch no longer."""
        for watch in self._watches:
            watch.terminate()
            watch.wait()


def changed(snapshot: Snapshot, thing: Object, *, gone: bool) -> Snapshot:
    """Return what there is after a thing has changed."""
    name = thing["metadata"]["name"]
    if thing["kind"] == "Job":
        return replace(snapshot, job=None if gone else thing, was=thing)
    if "other" in {name, thing.get("involvedObject", {}).get("name")}:
        return snapshot
    things = dict(snapshot.pods if thing["kind"] == "Pod" else snapshot.events)
    things[name] = thing
    if gone:
        del things[name]
    if thing["kind"] == "Pod":
        return replace(snapshot, pods=things)
    return replace(snapshot, events=things)


class Telling:
    """A story that happens, in a namespace of its own."""

    def __init__(self, name: str, story: Story) -> None:
        self._name, self._story = name, story
        self._namespace = f"tac-story-{name}"

    def __enter__(self) -> Self:
        kubectl("create", "namespace", self._namespace)
        self._prepare()
        self._watch = Watch(self._namespace)
        self._create(self._story.job)
        return self

    def __exit__(self, *exception: object) -> None:
        self._watch.close()
        kubectl("delete", "namespace", self._namespace, "--wait=false")
        for thing in self._story.objects:
            if thing["kind"] == "PriorityClass":  # belongs to no namespace
                kubectl("delete", "priorityclass", thing["metadata"]["name"])

    def _create(self, thing: Object) -> None:
        kubectl("--namespace", self._namespace, "create", "-f-", given=thing)

    def _prepare(self) -> None:
        if self._story.security:
            level = f"pod-security.kubernetes.io/enforce={self._story.security}"
            kubectl("label", "namespace", self._namespace, level)
        # Other controllers do both, a moment later.
        self._await("serviceaccount/default", "{.metadata.uid}")
        for thing in self._story.objects:
            self._create(thing)
            if thing["kind"] == "ResourceQuota":
                self._await("resourcequota/memory", "{.status.used}")

    def _await(self, thing: str, path: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        words = ("get", thing, "--ignore-not-found", f"--output=jsonpath={path}")
        while not kubectl("--namespace", self._namespace, *words):
            if time.monotonic() > deadline:
                raise SystemExit(f"{self._namespace}: has no {thing}")
            time.sleep(0.05)

    def begin(self) -> None:
        """Let happen what comes before the moment."""
        story = self._story
        if story.when is None:
            return
        pod = self._watch.wait(story.when).pod["metadata"]["name"]
        for thing in story.late:
            self._create(thing)
        for words in story.act:
            named = (pod if word == "POD" else word for word in words)
            kubectl("--namespace", self._namespace, *named)
        if story.evicted:
            path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/eviction"
            meant = {"name": pod, "namespace": self._namespace}
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meant}
            kubectl("create", "--raw", path, "-f-", given=eviction)

    def record(self) -> None:
        """Write the moment down."""
        snapshot = self._watch.wait(self._story.until)
        RECORDED.mkdir(parents=True, exist_ok=True)
        (RECORDED / f"{self._name}.json").write_text(text_of(snapshot), encoding="utf-8")
        print(f"{self._name}: recorded", flush=True)


def text_of(snapshot: Snapshot) -> str:
    """Write a moment as the tests read it."""
    content: Object = {
        "now": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "job": snapshot.job,
        **({} if snapshot.job else {"was": snapshot.was}),
        "pods": list(snapshot.pods.values()),
        "events": list(snapshot.events.values()),
    }
    return json.dumps(content, indent=1) + "\n"


def record(name: str) -> None:
    """Let a story happen and write down the moment it is about."""
    with Telling(name, STORIES[name]) as telling:
        telling.begin()
        telling.record()


def record_unplugged(names: list[str]) -> None:
    """Let stories happen whose node is cut off."""
    if not names:
        return
    with contextlib.ExitStack() as stack:
        tellings = [stack.enter_context(Telling(name, STORIES[name])) for name in names]
        for telling in tellings:
            telling.begin()
        run("ip", "link", "set", "tacn2", "down")
        try:
            for telling in tellings:
                telling.record()
        finally:
            run("ip", "link", "set", "tacn2", "up")
            kubectl("wait", "--for=condition=Ready", "node/node-2", "--timeout=60s")


@contextlib.contextmanager
def refusing_registry() -> Iterator[None]:
    """Have a registry on node-2 that refuses every image."""
    program = REPOSITORY / "tests/support/refusing_registry.py"
    network = "--net=/run/netns/tac-node-2"
    registry = subprocess.Popen(["nsenter", network, sys.executable, program])
    try:
        yield
    finally:
        registry.terminate()
        registry.wait()


def load_actor() -> None:
    """Bring the image of actor.go to every node."""
    hack = REPOSITORY / "hack/kubernetes"
    with tempfile.TemporaryDirectory() as folder:
        program, archive = Path(folder) / "actor", Path(folder) / "actor.tar"
        source = REPOSITORY / "tests/support/actor.go"
        run("go", "build", "-trimpath", "-ldflags=-s", "-o", program, source, CGO_ENABLED="0")
        run(sys.executable, hack / "image.py", ACTOR, archive, program)
        run(hack / "load-image.sh", archive)


def main(*names: str) -> None:
    """Record these stories; the ones of a lost node last, and together."""
    chosen = names or tuple(STORIES)
    load_actor()
    with refusing_registry(), ThreadPoolExecutor(AT_ONCE) as threads:
        plugged = [name for name in chosen if not STORIES[name].unplugged]
        for done in [threads.submit(record, name) for name in plugged]:
            done.result()
    record_unplugged([name for name in chosen if STORIES[name].unplugged])


if __name__ == "__main__":
    main(*sys.argv[1:])
