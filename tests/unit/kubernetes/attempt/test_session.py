"""What the attempts of one driver share at one API server."""

from typing import Any

from tac.kubernetes.attempt.session import Session

UNUSED: Any = None
"""A client that gets no request."""


def test_a_hundred_logs_are_followed_at_once_as_the_documents_say():
    session = Session(UNUSED, "")

    given = [session.streams.acquire(blocking=False) for _ in range(101)]

    assert given == [True] * 100 + [False]
