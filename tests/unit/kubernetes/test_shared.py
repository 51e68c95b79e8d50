"""What the attempts of one driver share."""

from typing import Any

from tac.kubernetes.shared import Shared

ASKED_NOTHING: Any = None
"""A client that nobody asks."""


def test_a_hundred_logs_are_followed_at_once_as_the_documents_say():
    shared = Shared(ASKED_NOTHING, "", lambda: False, 1.0, 1.0)

    given = [shared.streams.acquire(blocking=False) for _ in range(101)]

    assert given == [True] * 100 + [False]
