import signal

import pytest

from tac import exits, verdict
from tac.exits import Ending, Stop, judge
from tac.verdict import Phase, Reason

LOG = "/logs/x.log"
FEWER = "run fewer steps at once (`--workers 1`), or on a machine with more memory"
PERHAPS = f"perhaps for lack of memory (`dmesg | grep -i oom` tells): {FEWER}"
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "step.py", line 1, in main',
    "    1 / 0",
    "ZeroDivisionError: division by zero",
]


def exited(code, *tail, **more):
    return judge(Ending(exit_code=code, seconds=3.04, **more), tail, log=LOG)


def signalled(number, *tail, **more):
    return judge(Ending(signal=number, seconds=3.04, **more), tail, log=LOG)


ROWS = [
    (
        exited(0, "all is well", peak_memory_mib=182),
        (Phase.FINISHED, Reason.DONE),
        "step/x: done after 3.0 s, peak memory 182 MiB",
    ),
    (
        exited(1, "reading", *TRACEBACK, peak_memory_mib=182),
        (Phase.FINISHED, Reason.BUG),
        "step/x: failed with exit code 1 after 3.0 s, peak memory 182 MiB: "
        "ZeroDivisionError: division by zero\n"
        "Hint: a bug of the step; log: /logs/x.log",
    ),
    (
        exited(1),
        (Phase.FINISHED, Reason.BUG),
        "step/x: failed with exit code 1 after 3.0 s: no output\n"
        "Hint: a bug of the step; log: /logs/x.log",
    ),
    (
        exited(2, "Error: in.parquet: not there", "Hint: make it first"),
        (Phase.FINISHED, Reason.USAGE),
        "step/x: cannot be done as asked, exit code 2: in.parquet: not there\nHint: make it first",
    ),
    (
        exited(2, "Usage: tac.fetch OUT", "", "Error: No such option: --dat"),
        (Phase.FINISHED, Reason.USAGE),
        "step/x: cannot be done as asked, exit code 2: No such option: --dat\n"
        "Hint: fix the setting, the command or the input it names; log: /logs/x.log",
    ),
    (
        exited(65, "Error: day.csv: no column 'hour'"),
        (Phase.FINISHED, Reason.BAD_DATA),
        "step/x: cannot use its input data, exit code 65: day.csv: no column 'hour'\n"
        "Hint: fix the data it names, the same data fail again; log: /logs/x.log",
    ),
    (
        exited(75, "Error: s3: slow down"),
        (Phase.FINISHED, Reason.TRY_AGAIN),
        "step/x: failed temporarily, exit code 75 after 3.0 s: s3: slow down\n"
        "Hint: run the same command again a little later; log: /logs/x.log",
    ),
    (
        exited(143, "stopped by SIGTERM; nothing was written"),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: stopped by exit code 143 (SIGTERM), which did not come from tac, after 3.0 s: "
        "stopped by SIGTERM; nothing was written\n"
        "Hint: run the same command again: what is finished is kept",
    ),
    (
        signalled(signal.SIGTERM),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: stopped by SIGTERM, which did not come from tac, after 3.0 s: no output\n"
        "Hint: run the same command again: what is finished is kept",
    ),
    (
        exited(143, "Error: stopped", "Hint: of the step", stop=Stop.REQUESTED),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: stopped on request after 3.0 s\n"
        "Hint: run the same command again: what is finished is kept",
    ),
    (
        exited(0, stop=Stop.REQUESTED),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: stopped on request after 3.0 s\n"
        "Hint: run the same command again: what is finished is kept",
    ),
    (
        signalled(signal.SIGKILL, stop=Stop.FORCED),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: stopped on request after 3.0 s, by SIGKILL because SIGTERM did not end it\n"
        "Hint: run the same command again: what is finished is kept",
    ),
    (
        signalled(signal.SIGKILL, "[ 40 %] fitting", peak_memory_mib=7812),
        (Phase.RUNNING, Reason.KILLED),
        "step/x: killed by SIGKILL after 3.0 s, peak memory 7812 MiB, sender unknown: "
        f"[ 40 %] fitting\nHint: {PERHAPS}; log: /logs/x.log",
    ),
    (
        exited(137, "Killed"),
        (Phase.RUNNING, Reason.KILLED),
        "step/x: killed by exit code 137 (SIGKILL) after 3.0 s, sender unknown: Killed\n"
        f"Hint: {PERHAPS}; log: /logs/x.log",
    ),
    (
        exited(137, "[ 40 %] fitting", memory_limit="1Gi", image="tac"),
        (Phase.RUNNING, Reason.PERHAPS_OUT_OF_MEMORY),
        "step/x: killed by exit code 137 (SIGKILL) after 3.0 s, under a memory limit of 1Gi and "
        "for no reason that is given, perhaps out of memory: [ 40 %] fitting\n"
        "Hint: if it ran out, give it more memory, in its task or by TAC_MEMORY (now 1Gi); "
        "log: /logs/x.log",
    ),
    (
        signalled(signal.SIGKILL, memory_limit="1Gi", image="tac", place="job/x-1"),
        (Phase.RUNNING, Reason.PERHAPS_OUT_OF_MEMORY),
        "step/x: killed by SIGKILL in job/x-1 after 3.0 s, under a memory limit of 1Gi and "
        "for no reason that is given, perhaps out of memory: no output\n"
        "Hint: if it ran out, give it more memory, in its task or by TAC_MEMORY (now 1Gi); "
        "log: /logs/x.log",
    ),
    (
        exited(137, memory_limit="1Gi", image="tac", stop=Stop.FORCED),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: stopped on request after 3.0 s, by SIGKILL because SIGTERM did not end it\n"
        "Hint: run the same command again: what is finished is kept",
    ),
    (
        signalled(signal.SIGKILL, "[ 40 %] fitting", peak_memory_mib=7812, oom_killed=True),
        (Phase.RUNNING, Reason.OUT_OF_MEMORY),
        "step/x: ran out of memory, SIGKILL after 3.0 s, peak memory 7812 MiB: [ 40 %] fitting\n"
        f"Hint: {FEWER}; log: /logs/x.log",
    ),
    (
        exited(1, *TRACEBACK[:3], "numpy._core._exceptions._ArrayMemoryError: Unable to allocate"),
        (Phase.FINISHED, Reason.OUT_OF_MEMORY),
        "step/x: ran out of memory, exit code 1 after 3.0 s: "
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate\n"
        f"Hint: {FEWER}; log: /logs/x.log",
    ),
    (
        signalled(signal.SIGSEGV, "Fatal Python error: Segmentation fault", "", "  File 1"),
        (Phase.RUNNING, Reason.CRASHED),
        "step/x: crashed in native code, SIGSEGV after 3.0 s: "
        "Fatal Python error: Segmentation fault\n"
        "Hint: run the command at the top of /logs/x.log with PYTHONFAULTHANDLER=1 to see where",
    ),
    (
        exited(139),
        (Phase.RUNNING, Reason.CRASHED),
        "step/x: crashed in native code, exit code 139 (SIGSEGV) after 3.0 s: no output\n"
        "Hint: run the command at the top of /logs/x.log with PYTHONFAULTHANDLER=1 to see where",
    ),
    (
        signalled(signal.SIGUSR1, "waiting"),
        (Phase.RUNNING, Reason.SIGNALLED),
        "step/x: ended by SIGUSR1 after 3.0 s: waiting\n"
        "Hint: a signal from outside; log: /logs/x.log",
    ),
    (
        exited(7, "what now"),
        (Phase.FINISHED, Reason.UNKNOWN_EXIT),
        "step/x: ended with exit code 7, which has no meaning here, after 3.0 s: what now\n"
        "Hint: steps end with 0, 1, 2, 65, 75 or 143; log: /logs/x.log",
    ),
    (
        exited(255),
        (Phase.FINISHED, Reason.UNKNOWN_EXIT),
        "step/x: ended with exit code 255, which has no meaning here, after 3.0 s: "
        "no output\nHint: steps end with 0, 1, 2, 65, 75 or 143; log: /logs/x.log",
    ),
    (
        exited(127, "tac-fetch: No such file or directory"),
        (Phase.PENDING, Reason.CANNOT_START),
        "step/x: could not be started, exit code 127: tac-fetch: No such file or directory\n"
        "Hint: install the program or module, name its folder in PATH or PYTHONPATH, "
        "or fix the command at the top of /logs/x.log",
    ),
    (
        exited(1, "/usr/bin/python3.11: No module named my_pipeline.sum"),
        (Phase.PENDING, Reason.CANNOT_START),
        "step/x: could not be started, exit code 1: "
        "/usr/bin/python3.11: No module named my_pipeline.sum\n"
        "Hint: install the program or module, name its folder in PATH or PYTHONPATH, "
        "or fix the command at the top of /logs/x.log",
    ),
    (
        verdict.cannot_start("[Errno 13] Permission denied: '/logs'", log=LOG),
        (Phase.PENDING, Reason.CANNOT_START),
        "step/x: could not be started: [Errno 13] Permission denied: '/logs'\n"
        "Hint: fix what it names and run the same command again; log: /logs/x.log",
    ),
    (
        verdict.refused("[Errno 11] Resource temporarily unavailable", log=LOG),
        (Phase.PENDING, Reason.TRY_AGAIN),
        "step/x: could not be started just now: [Errno 11] Resource temporarily unavailable\n"
        "Hint: run fewer steps at once (`--workers 1`), or raise the limit it met (`ulimit -a`); "
        "log: /logs/x.log",
    ),
    (
        exited(137, "[ 40 %] fitting", oom_killed=True, memory_limit="1Gi", image="tac"),
        (Phase.RUNNING, Reason.OUT_OF_MEMORY),
        "step/x: ran out of memory, exit code 137 (SIGKILL) after 3.0 s: [ 40 %] fitting\n"
        "Hint: give it more memory, in its task or by TAC_MEMORY (now 1Gi); log: /logs/x.log",
    ),
    (
        exited(127, 'exec: "no-python": executable file not found in $PATH', image="tac:1"),
        (Phase.PENDING, Reason.CANNOT_START),
        "step/x: could not be started, exit code 127: "
        'exec: "no-python": executable file not found in $PATH\n'
        "Hint: build the program or module into the image 'tac:1', name another (`--image`), "
        "or fix the command at the top of /logs/x.log",
    ),
    (
        verdict.cannot_start("no such network", log=LOG, remedy="make it"),
        (Phase.PENDING, Reason.CANNOT_START),
        "step/x: could not be started: no such network\nHint: make it",
    ),
    (
        verdict.no_engine("docker engine at x: does not answer", "start it"),
        (Phase.PENDING, Reason.NO_ENGINE),
        "step/x: could not be started: docker engine at x: does not answer\nHint: start it",
    ),
    (
        verdict.no_image("tac:1", "pull access denied for tac"),
        (Phase.PENDING, Reason.NO_IMAGE),
        "step/x: could not be started: there is no image 'tac:1' here, "
        "and pulling it failed: pull access denied for tac\n"
        "Hint: `docker build --tag tac:1 .` makes it from a checkout; `--image` names another",
    ),
    (
        verdict.left_running("container/x-1", "docker stop x-1", seconds=3.04),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: left running after 3.0 s, in container/x-1\n"
        "Hint: run the same command again: it goes on from there (`docker stop x-1` ends it)",
    ),
    (
        verdict.left_running("job/x-1", "kubectl delete job x-1", seconds=3.04),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: left running after 3.0 s, in job/x-1\n"
        "Hint: run the same command again: it goes on from there (`kubectl delete job x-1` ends "
        "it)",
    ),
    (
        exited(1, "Killed", image="tac", oom_killed=True, memory_limit="1Gi", place="job/x-1"),
        (Phase.FINISHED, Reason.OUT_OF_MEMORY),
        "step/x: ran out of memory, exit code 1 in job/x-1 after 3.0 s: Killed\n"
        "Hint: give it more memory, in its task or by TAC_MEMORY (now 1Gi); log: /logs/x.log",
    ),
    (
        exited(1, *TRACEBACK, oom_killed=True),  # of the whole machine: perhaps another step's
        (Phase.FINISHED, Reason.BUG),
        "step/x: failed with exit code 1 after 3.0 s: ZeroDivisionError: division by zero\n"
        "Hint: a bug of the step; log: /logs/x.log",
    ),
    (
        exited(7, "what now", foreign_exit_codes=True, place="job/x-1"),
        (Phase.FINISHED, Reason.FAILED),
        "step/x: failed with exit code 7 in job/x-1 after 3.0 s: what now\nHint: log: /logs/x.log",
    ),
    (
        exited(0, foreign_exit_codes=True),
        (Phase.FINISHED, Reason.DONE),
        "step/x: done after 3.0 s",
    ),
    (
        exited(2, foreign_exit_codes=True, stop=Stop.REQUESTED),
        (Phase.RUNNING, Reason.STOPPED),
        "step/x: stopped on request after 3.0 s\n"
        "Hint: run the same command again: what is finished is kept",
    ),
    (
        exited(3, "Killed", foreign_exit_codes=True, oom_killed=True, memory_limit="1Gi"),
        (Phase.FINISHED, Reason.OUT_OF_MEMORY),
        "step/x: ran out of memory, exit code 3 after 3.0 s: Killed\n"
        "Hint: give it more memory, in its task or by TAC_MEMORY (now 1Gi); log: /logs/x.log",
    ),
    (
        verdict.no_cluster("API server at x: does not answer", "start it"),
        (Phase.PENDING, Reason.NO_CLUSTER),
        "step/x: could not be started: API server at x: does not answer\nHint: start it",
    ),
    (
        verdict.never_began(
            Reason.NO_POD, "no pod can be created for job/x-1: quota", remedy="ask"
        ),
        (Phase.PENDING, Reason.NO_POD),
        "step/x: no pod can be created for job/x-1: quota\nHint: ask",
    ),
    (
        verdict.never_began(Reason.UNSCHEDULABLE, "no node for job/x-1", remedy="add one"),
        (Phase.PENDING, Reason.UNSCHEDULABLE),
        "step/x: no node for job/x-1\nHint: add one",
    ),
    *(
        (
            verdict.cut_short(reason, "ended", "node/a: said so", seconds=3.04, remedy="wait"),
            (Phase.RUNNING, reason),
            "step/x: ended after 3.0 s: node/a: said so\nHint: wait",
        )
        for reason in (
            Reason.EVICTED,
            Reason.PREEMPTED,
            Reason.NODE_LOST,
            Reason.OUT_OF_DISK,
            Reason.DEADLINE,
            Reason.CANCELLED,
        )
    ),
    (
        verdict.lost("container/x-1 was removed", seconds=3.04, log=LOG, remedy="look"),
        (Phase.RUNNING, Reason.LOST),
        "step/x: lost after 3.0 s: container/x-1 was removed\nHint: look; log: /logs/x.log",
    ),
    (
        verdict.stopped_before_start(),
        (Phase.PENDING, Reason.STOPPED),
        "step/x: stopped on request before it began\n"
        "Hint: run the same command again: what is finished is kept",
    ),
    (
        verdict.lost("the step server was killed by SIGKILL", seconds=3.04, log=LOG),
        (Phase.RUNNING, Reason.LOST),
        "step/x: lost after 3.0 s: the step server was killed by SIGKILL\n"
        f"Hint: {PERHAPS}; log: /logs/x.log",
    ),
    (
        verdict.output_missing(exited(0), "store/flights/2023-03-01.parquet"),
        (Phase.FINISHED, Reason.NO_OUTPUT),
        "step/x: ended with exit code 0 after 3.0 s, but there is no output at "
        "store/flights/2023-03-01.parquet\n"
        "Hint: a step writes its output to the address that is its first argument",
    ),
]


@pytest.mark.parametrize(("given", "kind", "message"), ROWS)
def test_each_way_to_end_has_a_verdict_with_its_remedy(given, kind, message):
    assert (given.phase, given.reason) == kind
    assert given.message("x") == message


def test_every_reason_is_a_row():
    assert {given.reason for given, _, _ in ROWS} == set(Reason)


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ((), exits.LastError("")),
        (("", "  "), exits.LastError("")),
        (("Hint: alone",), exits.LastError("Hint: alone")),
        (("Error: old", "then this"), exits.LastError("then this")),
        (("Error: a", "Error: b", "Hint: c", ""), exits.LastError("b", "c")),
        ((*TRACEBACK, "sys:1: ResourceWarning"), exits.LastError(TRACEBACK[-1])),
        (
            (*TRACEBACK, "", *TRACEBACK[:3], "OSError: the second"),
            exits.LastError("OSError: the second"),
        ),
        (("Traceback (most recent call last):", "  cut"), exits.LastError("  cut".strip())),
        (("x" * 600,), exits.LastError("x" * 499 + "…")),
    ],
)
def test_the_last_error_is_that_of_a_step_else_an_exception_else_the_last_line(tail, words):
    assert exits.last_error(tail) == words


def test_a_verdict_is_raised_with_its_hint():
    error = exited(75, "Error: s3: away").error("x")

    assert (error.message, error.hint) == (
        "step/x: failed temporarily, exit code 75 after 3.0 s: s3: away",
        "run the same command again a little later; log: /logs/x.log",
    )


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (40, "signal 40")])
def test_a_signal_is_called_by_its_name_if_it_has_one(number, name):
    assert exits.signal_name(number) == name
