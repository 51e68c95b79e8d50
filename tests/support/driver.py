"""A driver for tests to kill: `python -m tests.support.driver MODE DIRECTORY COUNT STEP`.

It runs COUNT steps at once, each of which writes its process ids to DIRECTORY. MODE is `cold` or
`warm`, or `forked`: then a process is forked for each step, as the stock `luigi` command does, from
one that has run a step itself.
"""

import os
import sys
import threading
from pathlib import Path

from tac.request import RunRequest
from tac.runners.local import LocalRunner
from tests.support.processes import A_STEP, GRACE_SECONDS, PRELOAD, ignore


def run(runner: LocalRunner, directory: Path, name: str, *words: str) -> None:
    environment = dict(os.environ)  # noqa: TID251 # a test's own children
    command = RunRequest(name, (*A_STEP, *words), environment, directory / f"{name}.log")
    verdict = runner.run(command, follow=ignore, stop=threading.Event())
    (directory / f"{name}.verdict").write_text(f"{verdict.message(name)}\n")


def main(mode: str, place: str, count: str, step: str) -> None:
    directory = Path(place)
    runner = LocalRunner(
        preload=PRELOAD if mode == "warm" else (),
        environment=dict(os.environ),  # noqa: TID251 # the same
        stop_grace_seconds=GRACE_SECONDS,
    )
    if mode == "forked":
        run(runner, directory, "first", "exit", "0")
        for number in range(int(count)):
            if os.fork() == 0:
                (directory / f"{number}.task").write_text(f"{os.getpid()}\n")
                run(runner, directory, str(number), step, str(directory / f"{number}.pids"))
                os._exit(0)
        for _ in range(int(count)):
            os.wait()
        return
    threads = []
    for number in range(int(count)):
        words = (step, str(directory / f"{number}.pids"))
        threads.append(threading.Thread(target=run, args=(runner, directory, str(number), *words)))
        threads[-1].start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
