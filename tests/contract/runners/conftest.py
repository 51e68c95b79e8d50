"""What the tests of the local runner share: a place to run, under either kind of step server."""

import pytest

from tests.support.processes import REPOSITORY, place


@pytest.fixture(params=["cold", "warm"])
def at(request, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    with place(tmp_path, request.param) as found:
        yield found
