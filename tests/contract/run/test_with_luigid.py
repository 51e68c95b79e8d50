"""`tac run` under a real luigid: what it shows, and what if it goes away, forgets, or lies."""

import pytest

from tests.support.luigid import luigid
from tests.support.runs import end_of, line_of, started, tac_run, wait_until


@pytest.fixture
def server(tmp_path):
    with luigid(tmp_path) as running:
        yield running


def test_a_pipeline_runs_under_luigid_and_is_seen_there(tmp_path, server):
    ended = tac_run(tmp_path, "Mixed", "--luigid", server.url)

    assert (ended.code, ended.out) == (0, f"{tmp_path}/Mixed.txt\n")
    assert {name: task["status"] for name, task in server.tasks().items()} == {
        f"Mixed(at={tmp_path})": "DONE",
        f"InThread(at={tmp_path}, number=0)": "DONE",
        f"InProcess(at={tmp_path}, number=0)": "DONE",
    }


def test_what_a_task_reports_is_seen_in_luigid_while_it_runs(tmp_path, server):
    name = f"TellsAndWaits(at={tmp_path})"

    def shown() -> tuple[object, ...]:
        task = server.tasks().get(name, {})
        return task.get("status_message"), task.get("progress_percentage"), task.get("tracking_url")

    with started(tmp_path, "TellsAndWaits", "--luigid", server.url) as process:
        wait_until(lambda: shown() == ("half way", 50, "http://log/of/it"), "luigid shows it")
        resources = server.tasks()[name]["resources"]
        (tmp_path / "TellsAndWaits.go").touch()
        end_of(process)

    assert resources == {"desks": 1}  # Luigi's own worker resets them with the tracking URL
    assert server.tasks()[name]["status"] == "DONE"


def test_luigid_shows_what_a_quick_task_said_last(tmp_path, server):
    with started(tmp_path, "Counts", "--luigid", server.url) as process:
        end_of(process)

    shown = server.tasks()[f"Counts(at={tmp_path})"]
    assert (shown["status"], shown["status_message"]) == ("DONE", "at 100")
    assert shown["progress_percentage"] == 100


def test_a_luigid_that_restarts_without_state_gets_all_tasks_again(tmp_path, server):
    with started(tmp_path, "NeedsWaits", "--luigid", server.url) as process:
        wait_until((tmp_path / "Waits.began").exists, "the first task runs")
        server.kill()
        assert line_of(process).startswith(f"{server.url}: luigid has not answered for ")
        server.start()
        wait_until(lambda: f"NeedsWaits(at={tmp_path})" in server.tasks(), "luigid has everything")
        (tmp_path / "Waits.go").touch()
        ended = end_of(process)

    assert (ended.code, ended.out) == (0, f"{tmp_path}/NeedsWaits.txt\n")
    assert "luigid was restarted and knew no task: all are scheduled again" in ended.lines


def test_a_task_may_finish_while_luigid_is_unreachable(tmp_path, server):
    with started(tmp_path, "NeedsWaits", "--luigid", server.url) as process:
        wait_until((tmp_path / "Waits.began").exists, "the first task runs")
        server.kill()
        (tmp_path / "Waits.go").touch()
        wait_until((tmp_path / "Waits.txt").exists, "the first task is done")
        assert line_of(process).startswith(f"{server.url}: luigid has not answered for ")
        server.start()
        ended = end_of(process)

    assert (ended.code, ended.out) == (0, f"{tmp_path}/NeedsWaits.txt\n")


def test_what_another_worker_runs_is_left_to_it(tmp_path, server):
    with started(tmp_path, "Waits", "--luigid", server.url) as other:
        wait_until((tmp_path / "Waits.began").exists, "the other worker runs it")
        ended = tac_run(tmp_path, "NeedsWaits", "--luigid", server.url)
        (tmp_path / "Waits.go").touch()
        end_of(other)

    assert ended.code == 10
    assert ended.lines[0].startswith(f"Error: Waits(at={tmp_path}): is run by another worker, ")
    assert ended.lines[1:3] == [
        f"Not run because of it: NeedsWaits(at={tmp_path})",
        "Hint: wait for it; luigid forgets a worker that died after "
        "[scheduler] worker_disconnect_delay, 60 s",
    ]


def test_a_killed_driver_leaves_its_task_to_the_next_one_on_its_machine(tmp_path, server):
    with started(tmp_path, "NeedsWaits", "--luigid", server.url) as process:
        wait_until((tmp_path / "Waits.began").exists, "the first task runs")
        process.kill()
        process.wait()
    (tmp_path / "Waits.go").touch()

    ended = tac_run(tmp_path, "NeedsWaits", "--luigid", server.url)

    assert (ended.code, ended.out) == (0, f"{tmp_path}/NeedsWaits.txt\n"), ended.err
    assert f"process {process.pid} was killed: its 1 task is released in luigid" in ended.lines


def test_a_stopped_driver_leaves_its_task_to_the_next_one(tmp_path, server):
    with started(tmp_path, "Waits", "--luigid", server.url) as process:
        wait_until((tmp_path / "Waits.began").exists, "it runs")
        process.terminate()
        end_of(process)
    (tmp_path / "Waits.go").touch()

    ended = tac_run(tmp_path, "Waits", "--luigid", server.url)

    assert (ended.code, ended.out) == (0, f"{tmp_path}/Waits.txt\n")


def test_a_driver_can_be_stopped_while_luigid_is_unreachable(tmp_path, server):
    with started(tmp_path, "Waits", "--luigid", server.url) as process:
        wait_until((tmp_path / "Waits.began").exists, "it runs")
        server.kill()
        line_of(process)
        process.terminate()
        ended = end_of(process)

    assert ended.code == 143
    assert (tmp_path / "Waits.stopped").exists()


def test_a_task_that_another_client_put_into_luigid_is_refused(tmp_path, server):
    evil = {"module": "os", "family": "InProcess", "params": {"at": "/elsewhere"}}
    with started(tmp_path, "NeedsWaits", "--luigid", server.url, "--workers", 2) as process:
        wait_until((tmp_path / "Waits.began").exists, "the worker is known")
        worker = server.ask("worker_list")[0]["name"]
        server.ask("add_task", worker=worker, task_id="InProcess_evil", **evil)
        said = line_of(process)
        (tmp_path / "Waits.go").touch()
        ended = end_of(process)

    assert said == "InProcess_evil: refused: this driver did not schedule it\n"
    assert (ended.code, ended.out) == (0, f"{tmp_path}/NeedsWaits.txt\n")


def test_no_luigid_at_the_address_is_said_after_a_while(tmp_path, server):
    server.kill()

    ended = tac_run(tmp_path, "InThread", "--luigid", server.url)

    assert ended.code == 2
    assert ended.lines[-2:] == [
        f"Error: {server.url}: no luigid answers: [Errno 111] Connection refused",
        "Hint: start `luigid --address 127.0.0.1`, fix --luigid, or leave it out to run without",
    ]
