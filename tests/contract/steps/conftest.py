"""What the tests of steps share: a server of files."""

import pytest

from tests.support.flights import running_server


@pytest.fixture
def server():
    with running_server() as server:
        yield server
