"""What a real Kubernetes has said of Jobs, and what autoscalers are known to say, for tests.

Which pod, which node and how many seconds differs from one recording to the next, and is replaced.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tac.kubernetes.diagnosis.diagnose import diagnose
from tac.kubernetes.diagnosis.stage import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parents[1] / "unit/kubernetes/diagnosis"
RECORDED, WRITTEN = HERE / "recorded", HERE / "written"

Object = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    """All that was there of a Job at one moment."""

    job: Object | None
    was: Object | None
    pods: list[Object]
    events: list[Object]
    now: datetime

    def said(self) -> list[str]:
        """Return every reason, message and source in it, as the server wrote them."""
        statuses = [pod["status"] for pod in self.pods]
        return list(_texts([self.job, self.was, statuses, self.events]))

    def diagnose(self, *, later_seconds: float = 0) -> Diagnosis:
        """Diagnose it, perhaps when it has been as it was for a while."""
        now = self.now + timedelta(seconds=later_seconds)
        return diagnose(self.job, self.pods, self.events, now=now, was=self.was)


def _texts(found: Any) -> Iterator[str]:
    if isinstance(found, list):
        for each in found:
            yield from _texts(each)
    elif isinstance(found, dict):
        for key, value in found.items():
            if key in {"reason", "message", "component"} and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)


def read(story: str) -> Recording:
    """Return the recording of a story; one that was written by hand adds events to a recorded."""
    if (WRITTEN / f"{story}.json").exists():
        written = json.loads((WRITTEN / f"{story}.json").read_text(encoding="utf-8"))
        based_on = read(written["based_on"])
        events = json.dumps(written["events"]).replace("POD", based_on.pods[0]["metadata"]["name"])
        now = datetime.fromisoformat(written["now"])
        return replace(based_on, events=[*based_on.events, *json.loads(events)], now=now)
    recorded = json.loads((RECORDED / f"{story}.json").read_text(encoding="utf-8"))
    return Recording(
        job=recorded["job"],
        was=recorded.get("was"),
        pods=recorded["pods"],
        events=recorded["events"],
        now=datetime.fromisoformat(recorded["now"]),
    )


def names() -> set[str]:
    """Return every story that there is."""
    return {path.stem for folder in (RECORDED, WRITTEN) for path in folder.glob("*.json")}


def always_the_same(text: str) -> str:
    """Take out of a text what differs from one recording to the next."""
    text = re.sub(r"story-1-[a-z0-9]{5}\b", "POD", text)
    text = re.sub(r"\bnode-[12]\b", "NODE", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\dT[0-9:.]+Z", "TIME", text)
    return re.sub(r"\b\d+\.\d s\b", "T s", text)
