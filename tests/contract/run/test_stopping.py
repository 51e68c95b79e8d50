"""SIGTERM, Ctrl-C and SIGKILL while tasks run: nothing is left running, and what was is named."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.runs import end_of, is_running, line_of, started, tac_run, wait_until


def all_began(at: Path) -> bool:
    names = ("Waits", "WaitsInProcess-0", "WaitsInProcess-1")
    return all((at / f"{name}.began").exists() for name in names)


def processes(at: Path) -> list[int]:
    return [int((at / f"WaitsInProcess-{number}.began").read_text()) for number in range(2)]


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")],
)
def test_a_signal_stops_what_runs_and_names_it(tmp_path, number, code, said):
    with started(tmp_path, "AllWait", "--workers", 3) as process:
        wait_until(lambda: all_began(tmp_path), "all tasks run")
        process.send_signal(number)
        ended = end_of(process)

    assert (ended.code, ended.out) == (code, "")
    assert ended.lines == [
        f"{said}: stopping what runs (3)",
        f"{signal.Signals(number).name}: stopped Waits(at={tmp_path}), "
        f"WaitsInProcess(at={tmp_path}, number=0), WaitsInProcess(at={tmp_path}, number=1)",
        "What is done stays done. To continue: "
        f"tac run --module tests.support.tasks AllWait --at {tmp_path} --workers 3",
        "0 ran, 3 stopped, 1 was not run, 0 were complete, T s",
    ]
    assert (tmp_path / "Waits.stopped").exists()
    assert [pid for pid in processes(tmp_path) if is_running(pid)] == []


def test_a_killed_driver_takes_its_processes_with_it(tmp_path):
    with started(tmp_path, "AllWait", "--workers", 3) as process:
        wait_until(lambda: all_began(tmp_path), "all tasks run")
        process.kill()
        end_of(process)

    wait_until(
        lambda: not any(is_running(pid) for pid in processes(tmp_path)), "they end", seconds=5
    )


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(tmp_path):
    with started(tmp_path, "Stubborn", TAC_STOP_GRACE_SECONDS="0.5") as process:
        wait_until((tmp_path / "Stubborn.began").exists, "the task runs")
        process.terminate()
        ended = end_of(process)

    assert ended.code == 143
    pids = [int(pid) for pid in (tmp_path / "Stubborn.began").read_text().split()]
    assert len(pids) == 2  # the task, and a program that it had started
    assert [pid for pid in pids if is_running(pid)] == []


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    with started(tmp_path, "Stubborn", TAC_STOP_GRACE_SECONDS="30") as process:
        wait_until((tmp_path / "Stubborn.began").exists, "the task runs")
        process.send_signal(signal.SIGINT)
        assert line_of(process) == "Ctrl-C: stopping what runs (1)\n"
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=5)
        for pid in (tmp_path / "Stubborn.began").read_text().split():
            os.kill(int(pid), signal.SIGKILL)  # its grace is 30 s

    assert code == -signal.SIGINT


def test_the_same_command_continues_after_a_stop(tmp_path):
    with started(tmp_path, "AllWait", "--workers", 3) as process:
        wait_until(lambda: all_began(tmp_path), "all tasks run")
        (tmp_path / "WaitsInProcess-0.go").touch()
        wait_until((tmp_path / "WaitsInProcess-0.txt").exists, "one task is done")
        assert "WaitsInProcess" in line_of(process)
        process.terminate()
        end_of(process)
    for name in ("Waits", "WaitsInProcess-1"):
        (tmp_path / f"{name}.go").touch()

    ended = tac_run(tmp_path, "AllWait", "--workers", 3)

    assert ended.code == 0
    assert ended.lines[-1] == "3 ran, 1 was complete, T s"
