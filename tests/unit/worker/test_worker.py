"""The worker with tasks in threads: order, time, memory, and the events of its observers."""

import sys
import time
from types import SimpleNamespace

import luigi
import pytest
from luigi import notifications
from luigi.scheduler import Scheduler

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


class Interrupted(InMemory):
    """Its run() raises what Ctrl-C does, in a thread."""

    def run(self):
        raise KeyboardInterrupt


def test_a_run_that_is_interrupted_failed():
    recorder = Recorder()

    worker = work(Interrupted(number=1), recorder)

    assert list(worker.statuses.values()) == ["FAILED"]
    assert [(told[1], told[4]) for told in recorder.events if told[0] == "failed"] == [
        ("Interrupted", False)
    ]


@pytest.mark.parametrize(("wanted", "mails"), [(True, 1), (False, 0)])
def test_a_failure_is_mailed_once_where_luigi_cfg_wants_that(tmp_path, monkeypatch, wanted, mails):
    sent: list[str] = []
    monkeypatch.setattr(notifications, "send_error_email", lambda subject, *_: sent.append(subject))
    scheduler = LocalScheduler(retry_count=1)

    with TacWorker(scheduler, send_failure_email=wanted) as worker:
        worker.add(Fails(at=str(tmp_path)))
        worker.run()

    assert len(sent) == mails


class Fetches(InMemory):
    """Its parameter and its error hold a password."""

    url = luigi.Parameter()

    def run(self):
        raise OSError(f"{self.url}: timed out")


class AsksFirst(Fetches):
    """Its complete() raises an error with a password."""

    def complete(self):
        raise OSError(f"{self.url}: timed out")


@pytest.mark.parametrize("kind", [Fetches, AsksFirst])
@pytest.mark.parametrize("form", ["plain", "html"])
def test_a_mail_holds_no_password(monkeypatch, kind, form):
    sent: list[str] = []
    monkeypatch.setattr(
        notifications, "send_error_email", lambda subject, text, *_: sent.extend((subject, text))
    )
    monkeypatch.setattr(sys, "argv", ["tac", "--url", "https://me:command-line@host/a"])
    options = SimpleNamespace(traceback_max_length=5000, format=form)
    monkeypatch.setattr(notifications, "email", lambda: options)

    with TacWorker(LocalScheduler(retry_count=1), worker_id="w") as worker:
        worker.add(kind(number=0, url="https://me:pass-word@host/a?token=to-ken"))
        worker.run()

    subject, text = sent
    task = f"{kind.__name__}(number=0, url=https://***@host/a?***"
    assert task in subject
    assert "https://***@host/a" in text
    assert [secret for secret in ("pass-", "to-", "command-") if secret in subject + text] == []


def test_a_mail_that_is_cut_holds_no_half_of_a_password(monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(notifications, "send_error_email", lambda _, text, *__: sent.append(text))
    trace = "OSError: https://me:pass-word@host/a: timed out"
    options = SimpleNamespace(traceback_max_length=trace.index("-word"), format="plain")
    monkeypatch.setattr(notifications, "email", lambda: options)

    worker = TacWorker(LocalScheduler(), worker_id="w")
    worker._email_task_failure(InMemory(number=0), trace)

    assert "OSError: https://***@" in sent[0]
    assert "pass" not in sent[0]


class Unordered(InMemory):
    """Its priority cannot be compared."""

    priority = "10"  # type: ignore[assignment]  # the mistake that is tried


class Broken(InMemory):
    """Its requires() raises."""

    def requires(self):
        raise RuntimeError("no needs")


class NoTasks(InMemory):
    """Its requires() returns what is no task."""

    def requires(self):
        return ["text"]


class Unasked(InMemory):
    """Its complete() raises."""

    def complete(self):
        raise RuntimeError("no answer")


@pytest.mark.parametrize(
    ("kind", "event", "message"),
    [
        (Broken, "BROKEN_TASK", "Broken(number=1): RuntimeError: no needs"),
        (NoTasks, "BROKEN_TASK", "NoTasks(number=1): TypeError: requires() must return tasks, "
         "not 'text'"),
        (Unasked, "DEPENDENCY_MISSING", "Unasked(number=1): RuntimeError: no answer"),
        (Unordered, "DEPENDENCY_MISSING", "Unordered(number=1): TypeError: priority must be a "
         "number, not '10'"),
    ],
)  # fmt: skip
def test_a_task_that_cannot_be_scheduled_sends_luigis_event(monkeypatch, kind, event, message):
    sent: list[str] = []
    monkeypatch.setattr(luigi.Task, "_event_callbacks", {})
    for name in ("BROKEN_TASK", "DEPENDENCY_MISSING"):
        luigi.Task.event_handler(getattr(luigi.Event, name))(
            lambda *_, name=name: sent.append(name)
        )

    worker = work(kind(number=1))

    assert sent == [event]
    (node,) = worker.nodes.values()
    assert node.failure is not None
    assert node.failure.message == message


def test_a_worker_of_no_processes_runs_nothing():
    task = InMemory(number=1)

    succeeded = luigi.build(
        [task],
        local_scheduler=True,
        workers=0,
        worker_scheduler_factory=WorkerFactory(),
        log_level="ERROR",
    )

    assert (succeeded, task.done) == (True, False)


def test_a_worker_takes_luigis_arguments():
    worker = TacWorker(LocalScheduler(), "me", 2, False, keep_alive=True)

    assert (worker._id, worker.worker_processes) == ("me", 2)
    assert TacWorker(worker_id="you")._id == "you"


class Batched(luigi.Task):
    """Done for each of the names in it."""

    runs_in_thread = True
    resources = {"r": 1}  # noqa: RUF012 - Luigi's
    names: str = luigi.Parameter(batch_method=",".join)
    done: set[str] = set()  # noqa: RUF012 - of all

    def complete(self):
        return set(self.names.split(",")) <= self.done

    def run(self):
        self.done.update(self.names.split(","))


def test_a_batch_that_holds_a_task_of_another_driver_is_run():
    scheduler = Scheduler()
    scheduler.update_resources(r=1)
    one, two = TacWorker(scheduler, "one"), TacWorker(scheduler, "two")

    with two, one:
        for worker, name in ((one, "a1"), (two, "b1"), (one, "a2")):
            worker.add(Batched(names=name))
        assert one.run()

    assert Batched.done == {"a1", "a2", "b1"}


class Context:
    """Luigi's task_process_context: around each run()."""

    told: list[str] = []  # noqa: RUF012 - of all

    def __init__(self, process):
        self.family = process.task.task_family

    def __enter__(self):
        self.told.append(f"{self.family} begins")

    def __exit__(self, *failure):
        self.told.append(f"{self.family} ends")


def test_the_context_of_luigis_configuration_is_around_each_run():
    name = f"{Context.__module__}.Context"
    worker = TacWorker(LocalScheduler(), task_process_context=name)

    with worker:
        worker.add(InMemory(number=1))
        worker.run()

    assert Context.told == ["InMemory begins", "InMemory ends"]
