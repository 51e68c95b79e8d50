"""Unit tests compute: the first socket or process that one of them opens fails it."""

import sys

import pytest

# pytest.fail raises a BaseException, so no retry loop of a library can swallow it.
FORBIDDEN = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
)

# scikit-learn counts the cores with it, once in a process: which test is the first is chance.
COUNTS_CORES = "lscpu"

_armed = False


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _armed and event in FORBIDDEN and arguments[:1] != (COUNTS_CORES,):
        pytest.fail(f"a unit test may not do this: {event}{arguments!r:.200}", pytrace=True)


sys.addaudithook(_audit)  # for good: Python has no way to take it off, hence the switch


@pytest.fixture(autouse=True)
def only_computes():
    global _armed  # noqa: PLW0603 # an audit hook is given no other place to look
    _armed = True
    yield
    _armed = False
