"""Each way in which a real process can end, under either kind of step server."""

import json

import pytest

from tac.request import RunRequest
from tac.runners.local import LocalRunner
from tac.verdict import Phase, Reason
from tests.support.processes import A_STEP, REPOSITORY, ended, ignore, pids_in, place, until


@pytest.mark.parametrize(
    ("words", "reason", "code", "signal", "detail"),
    [
        (["exit", 0], Reason.DONE, 0, None, "done after"),
        (["exit", 1, "so"], Reason.BUG, 1, None, ": so"),
        (["nonsense"], Reason.BUG, 1, None, ": KeyError: 'nonsense'"),
        (["exit", 2, "Error: no", "Hint: yes"], Reason.USAGE, 2, None, ", exit code 2: no"),
        (["exit", 65, "Error: bad"], Reason.BAD_DATA, 65, None, ", exit code 65: bad"),
        (["exit", 75, "Error: away"], Reason.TRY_AGAIN, 75, None, ": away"),
        (["exit", 143], Reason.STOPPED, 143, 15, "exit code 143 (SIGTERM), which did not come"),
        (["exit", 7], Reason.UNKNOWN_EXIT, 7, None, "exit code 7, which has no meaning"),
        (["exit", 137], Reason.KILLED, 137, 9, "killed by exit code 137 (SIGKILL)"),
        (["die", "SIGTERM"], Reason.STOPPED, None, 15, "stopped by SIGTERM, which did not come"),
        (["die", "SIGKILL"], Reason.KILLED, None, 9, ", sender unknown: last words"),
        (["die", "SIGSEGV"], Reason.CRASHED, None, 11, "crashed in native code, SIGSEGV after"),
        (["die", "SIGABRT"], Reason.CRASHED, None, 6, ": last words"),
        (["die", "SIGUSR1"], Reason.SIGNALLED, None, 10, "ended by SIGUSR1 after"),
        (["greedy"], Reason.OUT_OF_MEMORY, 1, None, ": MemoryError"),
    ],
)
def test_a_step_is_judged_by_how_it_ended(at, words, reason, code, signal, detail):
    verdict = at.a_step(*words)

    assert (verdict.reason, verdict.exit_code, verdict.signal) == (reason, code, signal)
    assert detail in verdict.detail


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("python", "-m", "no_such.step"), "'no_such.step' (ModuleNotFoundError: "),
        (("python", "-m", "tests.support.no_such"), ": No module named tests.support.no_such"),
        (("no-such-program",), "exit code 127: no-such-program: No such file or directory"),
        (("/etc/passwd",), "exit code 126: /etc/passwd: Permission denied"),
    ],
)
def test_what_cannot_start_says_so(at, argv, said):
    verdict = at.run(*argv)

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, Reason.CANNOT_START)
    assert said in verdict.detail


def test_a_log_that_cannot_be_made_is_why_a_step_did_not_start(at):
    (at.path / "file").write_text("in the way")
    command = RunRequest("x", ("true",), at.variables, at.path / "file" / "x.log")

    verdict = at.runner.run(command, follow=ignore, stop=at.stop)

    assert verdict.message("x") == (
        f"step/x: could not be started: {at.path}/file: is a file, not a directory\n"
        f"Hint: `ls -ld {at.path}/file`, then remove it or move it"
    )


def test_a_command_that_is_no_module_is_a_program_like_any_other(at):
    verdict = at.run("sh", "-c", "echo $0 $TAC_TEST_VARIABLE; exit 65", "me", TAC_TEST_VARIABLE="v")

    assert (verdict.exit_code, at.words) == (65, "me v\n")


def test_a_step_knows_what_it_was_given_and_nothing_of_the_server(at):
    at.a_step("tell", TAC_TEST_VARIABLE="seen")

    assert json.loads(at.words) == {
        "argv": ["tell"],
        "name": "__main__",
        "directory": str(REPOSITORY),
        "path": str(REPOSITORY),
        "variable": "seen",
        "child sees": "seen\n",
        "leads its group": True,
        "terminal": [False, False],
        "input": "",
        "descriptors": [0, 1, 2],
        "mask": [],
        "handlers": {
            "SIGTERM": "0",
            "SIGCHLD": "0",
            "SIGHUP": "0",
            "SIGPIPE": "1",
            "SIGXFSZ": "1",
        },
    }


def test_a_step_starts_where_the_driver_is_now(at, monkeypatch):
    assert at.a_step("exit", 0).reason is Reason.DONE
    (at.path / "here.py").write_text("import os; print(os.getcwd())")
    monkeypatch.chdir(at.path)

    at.log.unlink()
    verdict = at.run("python", "-m", "here")

    assert (verdict.reason, at.words) == (Reason.DONE, f"{at.path}\n")


def test_the_memory_of_a_step_is_its_own(at):
    large = at.a_step("eat", 200)
    small = at.a_step("exit", 0)

    assert (large.peak_memory_mib or 0) >= 200
    assert (small.peak_memory_mib or 0) < 100


def test_what_a_step_leaves_behind_ends_with_it(at):
    verdict = at.a_step("littering", at.path / "pids")

    assert verdict.reason is Reason.DONE
    pids = pids_in(at.path / "pids")
    assert len(pids) == 2
    until(lambda: all(ended(pid) for pid in pids), "the end of what the step left behind")


def test_another_interpreter_environment_is_honoured(at):
    code = "import sys; print(sys.flags.optimize)"
    (at.path / "flags.py").write_text(code)
    path = f"{REPOSITORY}:{at.path}"

    at.run("python", "-m", "flags", PYTHONOPTIMIZE="1", PYTHONPATH=path)

    assert at.words == "1\n"


def test_a_preload_that_fails_or_starts_threads_harms_no_step(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    (tmp_path / "broken.py").write_text("raise SystemExit('never')")
    with place(tmp_path, "cold") as at:
        at.runner = LocalRunner(preload=("broken", "threaded"), environment=at.variables).start()
        warm = at.runner._servers[True]
        assert until(lambda: warm.ready, "the warm server") == {
            "ready": 2,
            "failed": {"broken": "SystemExit: never"},
        }

        assert at.a_step("exit", 65).exit_code == 65

        assert caplog.messages == [
            "step server: has 2 threads after importing broken, threaded, "
            "so steps are started without it"
        ]
        assert sorted(at.runner._servers) == [False, True]
        at.runner.close()


def test_a_closed_runner_starts_nothing(at):
    at.runner.close()
    at.runner.close()

    assert at.run(*A_STEP, "exit", "0").detail == "stopped on request before it began"
