"""Logs of more containers than may be followed at once: the rest is read, and nothing is lost."""

import threading
import time

from tac.kubernetes.attempt import session
from tac.verdict import Reason, Verdict
from tests.support.kubernetes_place import WAITS, at, proxy, step_image, words_of
from tests.support.processes import ignore, until

__all__ = ["at", "proxy", "step_image"]

STREAMS, PODS = 3, 6
SECONDS = 200.0
LONG_ENOUGH_SECONDS = 3.0
"""Who waits for a stream asks again each second."""


def begun(logs):
    """The logs whose containers were heard."""
    return [log for log in logs if log.exists() and "begun" in words_of(log)]


def pod_of(log):
    """The pod whose log is, or will be, listened to; nothing before it runs."""
    places = [line for line in log.read_text().splitlines() if line.startswith("# pod/")]
    return places[0].split()[1].removeprefix("pod/") if places else ""


def test_so_many_logs_are_followed_at_once_and_no_more_and_all_arrive(at, proxy, monkeypatch):
    monkeypatch.setattr(session, "STREAMS", STREAMS)
    logs = [at.path / f"{number}.log" for number in range(PODS)]
    commands = [
        at.command("sh", "-c", f"{WAITS} echo end {number}", log=log)
        for number, log in enumerate(logs)
    ]
    verdicts: list[Verdict] = []
    runner = at.runner
    threads = [
        threading.Thread(
            target=lambda command=command: verdicts.append(
                runner.run(command, follow=ignore, stop=at.stop)
            )
        )
        for command in commands
    ]
    for thread in threads:
        thread.start()

    until(lambda: all(log.exists() and pod_of(log) for log in logs), "all pods", SECONDS)
    until(lambda: len(begun(logs)) == STREAMS, "as many streams as there may be", SECONDS)
    longest = time.monotonic() + LONG_ENOUGH_SECONDS
    while time.monotonic() < longest:
        assert proxy.logs_followed == STREAMS
        time.sleep(0.02)  # it is watched that nothing happens
    heard = begun(logs)
    assert len(heard) == STREAMS

    unheard = next(log for log in logs if log not in heard)
    at.go(pod_of(unheard))  # it ends, and is read then
    until(lambda: "end" in words_of(unheard), "what was not followed", SECONDS)
    assert words_of(unheard) == f"begun\nend {unheard.stem}\n"
    assert proxy.logs_followed == STREAMS

    at.go(pod_of(heard[0]))  # its stream goes to another
    until(lambda: len(begun(logs)) == STREAMS + 2, "the next stream", SECONDS)
    until(lambda: proxy.logs_followed == STREAMS, "the end of the first stream", SECONDS)

    for log in logs:
        if log not in {heard[0], unheard}:
            at.go(pod_of(log))
    for thread in threads:
        thread.join(SECONDS)

    assert [verdict.reason for verdict in verdicts] == [Reason.DONE] * PODS
    assert [words_of(log) for log in logs] == [f"begun\nend {number}\n" for number in range(PODS)]
