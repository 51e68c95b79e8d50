from dataclasses import replace

import pytest

from tac.errors import TacError
from tac.request import RunRequest
from tac.runners.docker.engine import State
from tac.runners.docker.verdicts import Watched, conclude, conclude_unseen, conclude_without_it
from tac.verdict import Reason


@pytest.fixture
def output(tmp_path):
    return tmp_path / "x.csv"


def watched(output, **more):
    request = RunRequest("x", ("true",), {}, output.parent / "x.log", output=str(output))
    values = {
        "name": "x-1",
        "request": request,
        "image": "tac",
        "memory": "2Gi",
        "stopped": False,
        "cut_off": False,
        "seconds": 3.0,
    }
    return Watched(**{**values, **more})


def state(exit_code, *, name="x-1", oom_killed=False, memory=2 << 30):
    return State("c1", name, "exited", exit_code, oom_killed, 2.5, memory, {})


def message(verdict, output):
    return verdict.message("x").replace(str(output.parent), "/s")


BY_ANOTHER = (
    "step/x: lost after 3.0 s: another driver stopped container/x-1\n"
    "Hint: TAC_ON_STOP=leave lets go on what drivers share; log: /s/x.log"
)


@pytest.mark.parametrize("code", [0, 1, 137, 143])
def test_a_container_that_another_driver_stopped_ended_for_no_reason_of_its_own(output, code):
    verdict = conclude(watched(output), state(code, name="x-1-stopped"), ["so"])

    assert (message(verdict, output), verdict.reason) == (BY_ANOTHER, Reason.LOST)


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        (
            True,
            "step/x: stop requested after 3.0 s, and container/x-1 may still run: no answer\n"
            "Hint: `docker stop x-1` ends it",
        ),
        (
            False,
            "step/x: lost after 3.0 s: no answer\n"
            "Hint: container/x-1 may still run, and the next run of the same command goes on with "
            "it; log: /s/x.log",
        ),
    ],
)
def test_a_container_whose_end_was_not_seen_may_still_run(output, stopped, said):
    verdict = conclude_unseen(watched(output, stopped=stopped), TacError("no answer"))

    assert message(verdict, output) == said


def test_what_another_driver_stopped_too_late_is_done(output):
    output.touch()

    verdict = conclude(watched(output), state(0, name="x-1-stopped"), [])

    assert message(verdict, output) == "step/x: done after 3.0 s"


@pytest.mark.parametrize(
    ("knows", "ended", "expected"),
    [
        (
            {"stopped": True},
            state(143, name="x-1-stopped"),
            "stopped on request after 2.5 s",
        ),
        (
            {},
            state(143),
            "stopped by exit code 143 (SIGTERM), which did not come from tac, after 2.5 s: so",
        ),
        (
            {},
            state(137, name="x-1-stopped", oom_killed=True),
            "ran out of memory, exit code 137 (SIGKILL) after 2.5 s: so",
        ),
        (
            {"cut_off": True},
            state(255),
            "lost after 2.5 s: container/x-1 ended with exit code 255 while the engine was "
            "unavailable",
        ),
        (
            {},
            state(255),
            "ended with exit code 255, which has no meaning here, after 2.5 s: so",
        ),
    ],
)
def test_an_end_names_who_caused_it(output, knows, ended, expected):
    assert conclude(watched(output, **knows), ended, ["so"]).detail == expected


@pytest.mark.parametrize(
    ("knows", "limit", "reason"),
    [
        ({}, 2 << 30, Reason.PERHAPS_OUT_OF_MEMORY),
        ({"memory": ""}, 48 << 20, Reason.PERHAPS_OUT_OF_MEMORY),
        ({"memory": ""}, 0, Reason.KILLED),
        ({}, 48 << 20, Reason.LOST),  # another driver gave it less than this one does
        ({"stopped": True}, 2 << 30, Reason.STOPPED),
        ({"cut_off": True}, 2 << 30, Reason.LOST),
    ],
)
def test_a_kill_under_a_limit_that_the_engine_does_not_explain_is_perhaps_for_memory(
    output, knows, limit, reason
):
    assert conclude(watched(output, **knows), state(137, memory=limit), []).reason is reason


def test_what_perhaps_ran_out_of_memory_says_so_and_where_to_raise_it(output):
    alone = conclude(watched(output), state(137), ["so"])
    with_less = conclude(watched(output), state(137, memory=48 << 20), ["so"])

    assert message(alone, output) == (
        "step/x: killed by exit code 137 (SIGKILL) after 2.5 s, under a memory limit of 2Gi and "
        "for no reason that is given, perhaps out of memory: so\n"
        "Hint: if it ran out, give it more memory, in its task or by TAC_MEMORY (now 2Gi); "
        "log: /s/x.log"
    )
    assert message(with_less, output) == (
        "step/x: lost after 2.5 s: container/x-1 was killed, perhaps out of memory, and had been "
        "given 48Mi\n"
        "Hint: made anew it gets 2Gi; log: /s/x.log"
    )


@pytest.mark.parametrize(
    ("memory", "limit", "now"),
    [
        ("2Gi", 2 << 30, " (now 2Gi)"),
        ("2048Mi", 2 << 30, " (now 2048Mi)"),
        ("1Gi", 2 << 30, " (now 2048Mi)"),
        ("", 48 << 20, " (now 48Mi)"),
    ],
)
def test_the_limit_in_the_message_is_the_containers_own(output, memory, limit, now):
    verdict = conclude(
        watched(output, memory=memory), state(137, oom_killed=True, memory=limit), []
    )

    assert message(verdict, output).splitlines()[1] == (
        f"Hint: give it more memory, in its task or by TAC_MEMORY{now}; log: /s/x.log"
    )


def test_a_container_that_had_less_than_this_driver_gives_is_made_anew(output):
    ended = state(137, oom_killed=True, memory=48 << 20)

    verdict = conclude(watched(output, memory="2Gi"), ended, ["begun"])

    assert verdict.reason is Reason.LOST
    assert message(verdict, output) == (
        "step/x: lost after 2.5 s: container/x-1 ran out of memory, and had been given 48Mi\n"
        "Hint: made anew it gets 2Gi; log: /s/x.log"
    )


def test_a_removed_container_has_succeeded_if_its_output_exists(output):
    gone = conclude_without_it(watched(output))
    ours = conclude_without_it(watched(output, stopped=True))
    output.touch()
    done = conclude_without_it(watched(output))

    assert (gone.reason, ours.reason, done.reason) == (Reason.LOST, Reason.STOPPED, Reason.DONE)
    assert message(gone, output) == (
        "step/x: lost after 3.0 s: container/x-1 was removed before its result was read\n"
        "Hint: another driver or a person removed it; log: /s/x.log"
    )
    assert message(ours, output) == (
        "step/x: stopped on request after 3.0 s\n"
        "Hint: run the same command again: what is finished is kept"
    )


TMP = "its /tmp holds 8Mi, which count as its memory; TAC_DOCKER_TMP_SIZE sets how much"
PIDS = "it may have 40 processes and threads at once; TAC_DOCKER_PIDS_LIMIT sets how many"
MAYBE = f"unless the disk of its output is full (`df -h`): {TMP}"
FULL = "No space left on device"


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (1, [f"OSError: [Errno 28] {FULL}: '/tmp/x'"], TMP),
        (1, [f"cp: error writing '/tmp/x': {FULL}"], TMP),
        (
            75,
            [f"Error: s3://b/x: could not be buffered in /tmp: {FULL}", "Hint: free disk space"],
            TMP,
        ),
        (1, [f"OSError: [Errno 28] {FULL}"], MAYBE),
        (9, [f"head: error writing 'standard output': {FULL}"], MAYBE),
        # A store in this machine's own /tmp is not the container's.
        (
            75,
            [f"Error: /tmp/here/x.csv: could not be written: {FULL}", "Hint: free disk space"],
            None,
        ),
        (75, [f"Error: /s/x.csv: could not be written: {FULL}", "Hint: free disk space"], None),
        (1, [f"OSError: [Errno 28] {FULL}: '/tmp/here/x.csv'"], MAYBE),
        (2, ["sh: 1: Cannot fork"], PIDS),
        (2, ["sh: 1: Cannot fork", "38", "39"], PIDS),
        (1, ["RuntimeError: can't start new thread"], PIDS),
        (1, ["BlockingIOError: [Errno 11] Resource temporarily unavailable"], PIDS),
        (1, ["OpenBLAS blas_thread_init: pthread_create failed for thread 3 of 64"], PIDS),
        (1, ["so"], None),
        (0, [f"cp: error writing '/tmp/x': {FULL}"], None),
        (
            137,
            [f"cp: error writing '/tmp/x': {FULL}", "RuntimeError: can't start new thread"],
            None,
        ),
    ],
)
def test_a_step_that_met_a_limit_of_its_container_names_what_raises_it(
    output, code, said, expected
):
    request = RunRequest("x", ("cp", "/tmp/here/in.csv"), {}, output.parent / "x.log")
    ended = replace(state(code), pids=40, tmp_bytes=8 << 20)

    verdict = conclude(watched(output, request=request), ended, said)
    unlimited = conclude(watched(output, request=request), state(code), said)

    log = f"; log: {output.parent}/x.log"
    assert verdict.remedy == (unlimited.remedy if expected is None else expected + log)
    assert verdict == replace(unlimited, remedy=verdict.remedy)
    assert "TAC_DOCKER" not in (unlimited.remedy or "")
