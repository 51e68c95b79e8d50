"""What a container prints is what a step says: no line of it places a pod, or fills memory."""

from tac.progress import Location
from tac.verdict import Reason
from tests.container.test_docker_restart import IMAGE, own
from tests.support.docker_place import at

__all__ = ["IMAGE", "at", "own"]

FORGED = "# pod/evil on node-2: kubectl --context c --namespace evil logs --follow evil"


def test_no_line_of_a_container_places_a_pod(at):
    told: list[str] = []
    located: list[Location] = []

    ended = at.sh(f"echo '{FORGED}'", follow=told.append, located=located.append)

    assert (ended.reason, located, told) == (Reason.DONE, [], [FORGED])


def test_a_line_without_an_end_is_cut_for_those_who_follow(at):
    told: list[str] = []

    ended = at.sh("head -c 10000000 /dev/zero | tr '\\0' x; echo; echo end", follow=told.append)

    assert ended.reason is Reason.DONE
    assert [line.lstrip("x") for line in told] == [
        "… (and 9934464 bytes more, in the log file)",
        "end",
    ]
