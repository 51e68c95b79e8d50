"""Whether an unschedulable pod fits on a node once the pods of ours that run there terminate.

The scheduler gives what becomes free to whichever pod it looks at next, and backs off from one that
it has refused: where a driver goes on creating pods, the first may be pending longest. That is a
queue, and nothing is wrong with a pod in it. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tac.kubernetes.diagnosis import server_words
from tac.kubernetes.diagnosis.pod_status import containers_of
from tac.kubernetes.objects import is_over
from tac.quantities import parse_quantities

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tac.kubernetes.objects import Object


def fits_after_termination(pod: Object, others: Iterable[Object], refusal: str) -> bool:
    """Tell whether the others on one node hold as much as the pod is unschedulable for lack of.

    `refusal` is what the scheduler said of the pod last.
    """
    wanted = _requests_of(pod)
    lacking = set(server_words.INSUFFICIENT.findall(refusal)) & wanted.keys()
    if not lacking and not server_words.HELD_BY_OTHER_PODS.search(refusal):
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
            total.update(
                parse_quantities((container.spec.get("resources") or {}).get("requests") or {})
            )
    return total
