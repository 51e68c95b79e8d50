"""A driver for tests to kill: `python -m tests.support.kubernetes_driver DIRECTORY MODE COMMANDS`.

COMMANDS is a JSON list of [NAME, OUTPUT, WORD...], which run at once. MODE is `threads`, or
`forked`: then each has a process of its own, made by a fork as the stock `luigi` command does.
Each leaves its log and its verdict in DIRECTORY.
"""

import json
import multiprocessing
import sys
import threading
from pathlib import Path

from tac import runners, settings
from tac.request import RunRequest
from tests.support.processes import ignore


def run(directory: Path, name: str, output: str, *words: str) -> None:
    command = RunRequest(
        f"{name}-0123456789ab",
        words,
        settings.child_environment(),
        directory / f"{name}.log",
        output=output,
    )
    verdict = runners.current().run(command, follow=ignore, stop=threading.Event())
    (directory / f"{name}.verdict").write_text(f"{verdict.message(name)}\n")


def main(place: str, mode: str, given: str) -> None:
    directory = Path(place)
    commands = [(directory, *words) for words in json.loads(given)]
    if mode == "forked":
        runners.current().preflight()  # it has spoken to the API server before it forks
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=run, args=words) for words in commands]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        return
    threads = [threading.Thread(target=run, args=words) for words in commands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
