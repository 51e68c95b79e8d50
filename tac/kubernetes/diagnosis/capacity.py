"""Whether what runs now makes room for a pod that no node has room for.

The scheduler gives room that becomes free to whichever pod it looks at next, and looks less and
less often at one that it has refused: where a driver goes on making pods, the first may wait
longest. That is a queue, and nothing is wrong with a pod in it. Pure.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tac.kubernetes.diagnosis.pod_status import containers_of, is_over
from tac.quantities import amounts_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tac.kubernetes.objects import Object

_SHORT_OF = re.compile(r"Insufficient ([\w./-]+)")

# The scheduler's words for what another pod's end changes, where it is not a resource that is
# counted: pkg/scheduler/framework/plugins (noderesources, nodeports, interpodaffinity,
# podtopologyspread, nodevolumelimits, volumerestrictions) of Kubernetes 1.36.
_TAKEN = re.compile(
    r"Too many pods|didn't have free ports|anti-affinity|topology spread|max volume count"
    r"|no available disk"
)


def fits_after_termination(pod: Object, others: Iterable[Object], refusal: str) -> bool:
    """Tell whether the others that one node runs have what the pod is refused for lack of.

    `refusal` is what the scheduler said of the pod last.
    """
    wanted = _requests_of(pod)
    lacking = set(_SHORT_OF.findall(refusal)) & wanted.keys()
    if not lacking and not _TAKEN.search(refusal):
        return False
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for other in others:
        node = other["spec"].get("nodeName")
        if node and not is_over(other):
            held[node].update(_requests_of(other))
    return any(all(have[name] >= wanted[name] for name in lacking) for have in held.values())


def _requests_of(pod: Object) -> Counter[str]:
    total: Counter[str] = Counter()
    for container in containers_of(pod):
        if not container.initial:
            total.update(amounts_of((container.spec.get("resources") or {}).get("requests") or {}))
    return total
