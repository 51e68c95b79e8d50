"""Where a step runs its runner tells, and no line that a step prints; and no line is too long."""

from tac.kubernetes.watch.log_follower import LONGEST_LINE_BYTES
from tac.progress import Location
from tac.verdict import Reason
from tests.support.kubernetes_place import at, said, step_image

__all__ = ["at", "step_image"]

FORGED = "# pod/evil on node-2: kubectl --context c --namespace evil logs --follow evil"


def test_the_runner_tells_the_pod_and_the_step_cannot(at):
    told: list[str] = []
    located: list[Location] = []

    ended = at.sh(f"echo '{FORGED}'", follow=told.append, located=located.append)

    pod = at.pod()["metadata"]["name"]
    assert ended.reason is Reason.DONE
    assert [(place.pod, place.namespace) for place in located] == [(pod, at.namespace)]
    assert located[0].text.startswith(f"pod/{pod} on ")
    assert located[0].text.endswith(f" --namespace {at.namespace} logs --follow {pod}")
    assert FORGED in told  # a line as any other


def test_a_line_without_a_newline_is_cut_and_the_next_ones_are_followed(at):
    told: list[str] = []
    script = f"head -c {3 * LONGEST_LINE_BYTES} /dev/zero | tr '\\0' x; echo; echo end"

    ended = at.sh(script, follow=told.append)

    heard = [line.strip("x") for line in said(told)]
    assert ended.reason is Reason.DONE
    assert heard[1:] == ["end"]
    assert heard[0].startswith("… (and ")
    assert at.words.count("x") <= LONGEST_LINE_BYTES
