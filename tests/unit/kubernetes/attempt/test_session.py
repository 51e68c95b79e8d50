"""What the attempts of one driver share."""

from typing import Any

from tac.kubernetes.attempt.session import Session

ASKED_NOTHING: Any = None
"""A client that nobody asks."""


def test_a_hundred_logs_are_followed_at_once_as_the_documents_say():
    session = Session(ASKED_NOTHING, "")

    given = [session.streams.acquire(blocking=False) for _ in range(101)]

    assert given == [True] * 100 + [False]
