"""What another driver has completed counts as done, and only what exists does."""

import luigi
import pytest

from tac import run, settings
from tac.run import Options, build
from tac.worker import plan_of
from tests.support.luigid import luigid
from tests.support.runs import end_of, started, tac_run, wait_until
from tests.support.tasks import Waits


@pytest.fixture(autouse=True)
def _anew(tmp_path, monkeypatch):
    """Let the driver that this process is have its own settings and tasks."""
    monkeypatch.setenv("TAC_STORE", str(tmp_path / "store"))
    settings.current.cache_clear()
    luigi.task_register.Register.clear_instance_cache()
    yield
    settings.current.cache_clear()


@pytest.mark.parametrize(("finishes", "code"), [(True, 0), (False, 10)])
def test_a_task_that_another_worker_finishes_while_ours_ends_is_done(
    tmp_path, monkeypatch, finishes, code
):
    work_through = run._work_through

    def while_the_other_finishes(*arguments):
        ended = work_through(*arguments)
        if finishes:
            (tmp_path / "Waits.go").touch()
            end_of(other)
        return ended

    monkeypatch.setattr(run, "_work_through", while_the_other_finishes)
    with luigid(tmp_path) as server, started(tmp_path, "Waits", "--luigid", server.url) as other:
        wait_until((tmp_path / "Waits.began").exists, "the other worker runs it")
        outcome = build(plan_of([Waits(at=str(tmp_path))]), Options(luigid=server.url))

    name = f"Waits(at={tmp_path})"
    assert outcome.exit_code == code
    assert (outcome.ran, list(outcome.elsewhere)) == (([name], []) if finishes else ([], [name]))


def test_a_task_that_failed_has_failed_although_its_output_is_there(tmp_path):
    ended = tac_run(tmp_path, "WritesAndFails")

    assert ended.code == 30
    assert f"Error: WritesAndFails(at={tmp_path}): wrote, and failed." in ended.lines
