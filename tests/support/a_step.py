"""A program for tests of runners: `python -m tests.support.a_step WHAT…` ends as WHAT names."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

GRANDCHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def write_pids(path: str, *more: int) -> None:
    Path(path).write_text(f"{os.getpid()} {' '.join(map(str, more))}\n")


def exit_(code: str, *words: str) -> None:
    """Print the arguments, a line each, and exit."""
    for word in words:
        sys.stderr.write(word + "\n")
    raise SystemExit(int(code))


def die(name: str) -> None:
    """Die of a signal."""
    print("last words", flush=True)
    os.kill(os.getpid(), signal.Signals[name])
    time.sleep(600)


def stubborn(path: str) -> None:
    """Ignore SIGTERM, and have a child that does too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-S", "-c", GRANDCHILD])
    write_pids(path, child.pid)
    time.sleep(600)


def polite(path: str) -> None:
    """Exit on SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    write_pids(path)
    time.sleep(600)


def careless(path: str) -> None:
    """Take SIGTERM for success."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    write_pids(path)
    time.sleep(600)


def littering(path: str) -> None:
    """End well, and leave a child behind."""
    child = subprocess.Popen([sys.executable, "-S", "-c", GRANDCHILD])
    write_pids(path, child.pid)


def daemonise(path: str) -> None:
    """Start a process that has left our session and group, and write down which."""
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            child = subprocess.Popen([sys.executable, "-S", "-c", GRANDCHILD])
            os.write(tell, f"{os.getpid()} {child.pid}".encode())
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
    os.wait()
    write_pids(path, *map(int, os.read(told, 100).split()))


def elsewhere(path: str) -> None:
    """Wait in the process group of our parent instead of our own."""
    os.setpgid(0, os.getpgid(os.getppid()))
    write_pids(path)
    time.sleep(600)


def daemon(path: str) -> None:
    """Leave a daemon, and continue."""
    daemonise(path)
    time.sleep(600)


def daemon_until(path: str, gate: str, code: str) -> None:
    """Leave a daemon behind, and end as soon as there is such a file."""
    daemonise(path)
    while not Path(gate).exists():
        time.sleep(0.01)
    raise SystemExit(int(code))


def greedy() -> None:
    """Ask for more memory than there may be."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    bytearray(1 << 31)


def eat(mib: str) -> None:
    """Use so much memory."""
    print(len(bytearray(b"x" * (int(mib) << 20))))


def tell() -> None:
    """Tell what a program can know of how it was started."""
    told = {
        "argv": sys.argv[1:],
        "name": __name__,
        "directory": str(Path.cwd()),
        "path": sys.path[0],
        "variable": os.environ.get("TAC_TEST_VARIABLE"),  # noqa: TID251 # what is tested
        "child sees": subprocess.check_output(["sh", "-c", "echo $TAC_TEST_VARIABLE"], text=True),
        "leads its group": os.getpgid(0) == os.getpid(),
        "terminal": [sys.stdin.isatty(), sys.stdout.isatty()],
        "input": sys.stdin.read(),
        "descriptors": [
            number for number in range(100) if Path(f"/proc/self/fd/{number}").exists()
        ],
        "mask": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "handlers": {
            name: str(signal.getsignal(signal.Signals[name]))
            for name in ("SIGTERM", "SIGCHLD", "SIGHUP", "SIGPIPE", "SIGXFSZ")
        },
    }
    print(json.dumps(told, indent=1, sort_keys=True))


if __name__ == "__main__":
    {**globals(), "exit": exit_}[sys.argv[1]](*sys.argv[2:])
