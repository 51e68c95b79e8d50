"""The worker with tasks in threads: order, time, memory, and the events of its observers."""

import time

import luigi
import pytest

from tac.observer import Observer
from tac.run import WorkerFactory
from tac.scheduler.local import LocalScheduler
from tac.worker import TacWorker, plan_of
from tests.support.tasks import (
    Chain,
    Fails,
    FromElsewhere,
    InMemory,
    InThread,
    ManyInMemory,
    NeedsFails,
)


class Recorder(Observer):
    """Records events."""

    def __init__(self):
        self.events = []

    def planned(self, tasks):
        self.events.append(("planned", [(task.name, task.complete) for task in tasks]))

    def started(self, key):
        self.events.append(("started", key.split("_")[0]))

    def finished(self, key):
        self.events.append(("finished", key.split("_")[0]))

    def failed(self, key, failure, *, again):
        self.events.append(("failed", key.split("_")[0], failure.message, failure.hint, again))


@pytest.fixture(autouse=True)
def new_tasks():
    luigi.task_register.Register.clear_instance_cache()


def work(root, *observers, workers=1):
    scheduler = LocalScheduler(retry_count=1)
    worker = TacWorker(scheduler, worker_processes=workers, observers=observers)
    with worker:
        worker.schedule(plan_of([root]))
        worker.run()
    return worker


def test_a_plan_checks_no_further_than_complete_tasks(tmp_path):
    InThread(at=str(tmp_path)).write()

    plan = plan_of([NeedsFails(at=str(tmp_path))])

    assert [(str(node.task), node.complete) for node in plan.in_order()] == [
        (f"Fails(at={tmp_path}, bug=False)", False),
        (f"InThread(at={tmp_path}, number=0)", True),
        (f"NeedsFails(at={tmp_path})", False),
    ]


def test_observers_get_the_events_in_order(tmp_path):
    ear = Recorder()

    work(NeedsFails(at=str(tmp_path)), ear)

    at = tmp_path
    assert ear.events == [
        (
            "planned",
            [
                (f"Fails(at={at}, bug=False)", False),
                (f"InThread(at={at}, number=0)", False),
                (f"NeedsFails(at={at})", False),
            ],
        ),
        ("started", "Fails"),
        ("failed", "Fails", "flights/2023-03-01.parquet: is empty.", "fetch it again", False),
        ("started", "InThread"),
        ("finished", "InThread"),
    ]


def test_an_observer_that_fails_harms_nothing(tmp_path, caplog):
    class Clumsy(Observer):
        def started(self, key):
            raise RuntimeError(key)

    worker = work(InThread(at=str(tmp_path)), Clumsy())

    assert list(worker.statuses.values()) == ["DONE"]
    assert "started of " in caplog.text


def test_a_chain_of_tasks_takes_no_time_between_them(tmp_path):
    took = []
    for attempt in range(5):  # other programs share this machine: the best of them counts
        at = tmp_path / str(attempt)
        at.mkdir()
        began = time.perf_counter()
        work(Chain(at=str(at), length=3))
        took.append(time.perf_counter() - began)

    assert min(took) < 0.1


def test_a_thousand_tasks_are_run_and_nothing_is_kept_of_each_request():
    root = ManyInMemory(number=500)

    worker = work(root, workers=2)

    assert (root.done, len(worker.nodes)) == (True, 1010)
    assert len(worker._get_work_response_history) == 1


def test_a_chain_of_thousands_is_no_recursion(tmp_path):
    worker = work(Chain(at=str(tmp_path), length=1100))

    assert set(worker.statuses.values()) == {"DONE"}


def test_a_missing_external_task_does_not_keep_a_worker_waiting(tmp_path):
    worker = work(FromElsewhere(at=str(tmp_path)))

    assert list(worker.statuses.values()) == ["PENDING"]


def test_luigi_build_takes_our_worker_too():
    task = InMemory(number=1)

    succeeded = luigi.build(
        [task], local_scheduler=True, worker_scheduler_factory=WorkerFactory(), log_level="ERROR"
    )

    assert (succeeded, task.done) == (True, True)


def test_a_failing_task_fails_the_worker(tmp_path):
    worker = work(Fails(at=str(tmp_path)))

    assert worker.run_succeeded is False
