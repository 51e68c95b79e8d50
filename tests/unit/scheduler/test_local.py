"""The scheduler in the driver: what it hands out, and in which order."""

import random
from typing import Any

import luigi
import pytest
from luigi import notifications
from luigi.scheduler import Scheduler

from tac.run import WorkerFactory
from tac.scheduler import local
from tac.scheduler.local import LocalScheduler


def scheduler_of(kind, tasks, **configuration):
    """Give the tasks, a table of name, needs and more, to a scheduler of this kind."""
    made = kind(retry_count=1, prune_on_get_work=False, **configuration)
    for name, needs, *more in tasks:
        known = more[0] if more else {}
        made.add_task(worker="w", task_id=name, deps=needs, family=name, **known)
    return made


def next_task(scheduler):
    return scheduler.get_work(worker="w", host="h", current_tasks=None)["task_id"]


def end(scheduler, task, status="DONE", **known):
    scheduler.add_task(worker="w", task_id=task, status=status, runnable=None, **known)


def order_of(scheduler):
    """Run everything, one task at a time."""
    done = []
    while (task := next_task(scheduler)) is not None:
        done.append(task)
        end(scheduler, task)
    return done


ORDERS = [
    ("in the order they came", [("a", []), ("b", []), ("c", [])], ["a", "b", "c"]),
    ("needs first", [("c", ["a", "b"]), ("b", ["a"]), ("a", [])], ["a", "b", "c"]),
    (
        "the urgent first, with what it needs",
        [("a", []), ("b", []), ("c", ["b"], {"priority": 5})],
        ["b", "c", "a"],
    ),
    ("one with an unknown requirement waits", [("a", []), ("b", ["unknown"])], ["a"]),
    ("what is not runnable here is not run", [("a", [], {"runnable": False}), ("b", [])], ["b"]),
    ("what is done is not run", [("a", [], {"status": "DONE"}), ("b", ["a"])], ["b"]),
]


@pytest.mark.parametrize(("what", "tasks", "order"), ORDERS, ids=[row[0] for row in ORDERS])
def test_tasks_are_handed_out_in_order(what, tasks, order):
    assert order_of(scheduler_of(LocalScheduler, tasks)) == order


@pytest.mark.parametrize("seed", range(20))
def test_any_graph_is_worked_off_in_the_order_of_luigis_own_scheduler(seed):
    chance = random.Random(seed)
    names = [f"t{number}" for number in range(40)]
    tasks = [
        (
            name,
            chance.sample(names[:position], chance.randint(0, min(4, position))),
            {"priority": chance.randint(0, 2)},
        )
        for position, name in enumerate(names)
    ]
    chance.shuffle(tasks)

    ours = order_of(scheduler_of(LocalScheduler, tasks))

    assert ours == order_of(scheduler_of(Scheduler, tasks))
    assert sorted(ours) == sorted(names)


def test_no_more_runs_than_the_resources_allow():
    one_desk = {"resources": {"desk": 1}}
    tasks: list[tuple[Any, ...]] = [
        ("a", [], one_desk),
        ("b", [], one_desk),
        ("c", [], one_desk),
        ("d", []),
    ]
    scheduler = scheduler_of(LocalScheduler, tasks, resources={"desk": 2})

    first = [next_task(scheduler) for _ in range(4)]
    end(scheduler, "a")

    assert first == ["a", "b", "d", None]
    assert next_task(scheduler) == "c"


def test_a_task_that_failed_for_good_blocks_its_dependents_and_nothing_else():
    scheduler = scheduler_of(LocalScheduler, [("a", []), ("b", ["a"]), ("c", [])])

    first = next_task(scheduler)
    end(scheduler, "a", "FAILED")

    assert [first, next_task(scheduler), next_task(scheduler)] == ["a", "c", None]
    assert scheduler.get_work(worker="w")["n_pending_tasks"] == 1  # c runs; b waits for nothing


def test_a_failed_task_with_retries_left_is_handed_out_again():
    policy = {"retry_policy_dict": {"retry_count": 2}}
    scheduler = scheduler_of(LocalScheduler, [("a", [], policy)], retry_delay=0)

    first = next_task(scheduler)
    end(scheduler, "a", "FAILED", **policy)

    assert (first, next_task(scheduler)) == ("a", "a")


class Clock:
    """The time of the scheduler, which a test moves on."""

    def __init__(self):
        self.now = 1e9

    def time(self):
        return self.now

    monotonic = time


def test_a_task_that_takes_hours_is_tried_as_often_as_its_retry_count_says(monkeypatch):
    clock = Clock()
    for module in (luigi.scheduler, local):
        monkeypatch.setattr(module, "time", clock)
    policy = {"retry_policy_dict": {"retry_count": 3}}
    scheduler = WorkerFactory().create_local_scheduler()
    scheduler.add_task(worker="w", task_id="a", family="a", **policy)

    tried = []
    for _ in range(5):
        tried.append(next_task(scheduler))
        clock.now += 2 * 3600
        end(scheduler, "a", "FAILED", **policy)
        clock.now += 11

    assert tried == ["a", "a", "a", None, None]
    assert scheduler.get_work(worker="w")["n_pending_tasks"] == 0  # or keep_alive waits for it


def test_dynamic_requirements_of_a_running_task_come_before_it():
    scheduler = scheduler_of(LocalScheduler, [("a", [])])

    first = next_task(scheduler)
    scheduler.add_task(worker="w", task_id="b", deps=[], family="b")
    end(scheduler, "a", "PENDING", new_deps=["b"])

    assert [first, *order_of(scheduler)] == ["a", "b", "a"]


def test_a_chain_of_thousands_is_no_recursion():
    tasks: list[tuple[Any, ...]]
    tasks = [(f"t{n}", [f"t{n - 1}"] if n else []) for n in range(1500)]
    tasks.append(("urgent", ["t1499"], {"priority": 1}))

    order = order_of(scheduler_of(LocalScheduler, tasks))

    assert order == [*(f"t{n}" for n in range(1500)), "urgent"]


@pytest.mark.parametrize("kind", [Scheduler, LocalScheduler])
def test_what_an_urgent_task_waits_for_is_kept_for_it(kind):
    tasks: list[tuple[Any, ...]] = [("small1", [], {"resources": {"r": 1}})]
    scheduler = scheduler_of(kind, tasks, resources={"r": 2})
    scheduler.add_worker("w", {"workers": 3})

    first = next_task(scheduler)
    scheduler.add_task(worker="w", task_id="big", resources={"r": 2}, priority=50)
    scheduler.add_task(worker="w", task_id="small2", resources={"r": 1})
    scheduler.add_task(worker="w", task_id="other")
    meanwhile = [next_task(scheduler), next_task(scheduler)]
    end(scheduler, "small1")

    assert [first, *meanwhile, next_task(scheduler)] == ["small1", "other", None, "big"]


def test_what_can_never_run_keeps_nothing():
    tasks: list[tuple[Any, ...]] = [
        ("too big", [], {"resources": {"r": 3}, "priority": 1}),
        ("small", [], {"resources": {"r": 1}}),
    ]
    scheduler = scheduler_of(LocalScheduler, tasks, resources={"r": 2})

    assert order_of(scheduler) == ["small"]


def test_a_family_that_may_be_batched_leaves_the_retries_of_others_on():
    policy = {"retry_policy_dict": {"retry_count": 2}}
    scheduler = scheduler_of(LocalScheduler, [("a", [], policy)], retry_delay=0)
    scheduler.add_task_batcher(worker="w", task_family="b", batched_args=["x"])

    first = next_task(scheduler)
    end(scheduler, "a", "FAILED", **policy)

    assert (first, next_task(scheduler)) == ("a", "a")


def test_several_workers_are_served_as_by_luigis_own():
    scheduler = scheduler_of(LocalScheduler, [("a", []), ("b", [])])
    scheduler.add_task(worker="v", task_id="a", family="a")

    theirs = scheduler.get_work(worker="v")
    ours = scheduler.get_work(worker="w")

    assert (theirs["task_id"], ours["task_id"]) == ("a", "b")
    assert [task["worker"] for task in ours["running_tasks"]] == ["v"]


def test_a_scheduler_that_is_paused_and_a_worker_that_is_disabled_get_nothing():
    scheduler = scheduler_of(LocalScheduler, [("a", [])])

    scheduler.pause()
    paused = next_task(scheduler)
    scheduler.unpause()
    scheduler.disable_worker(worker="w")

    assert (paused, next_task(scheduler)) == (None, None)


def test_a_task_that_was_handed_out_and_did_not_arrive_is_handed_out_again():
    scheduler = scheduler_of(LocalScheduler, [("a", []), ("b", [])])

    first = next_task(scheduler)
    again = scheduler.get_work(worker="w", current_tasks=[])["task_id"]

    assert (first, again) == ("a", "a")
    assert scheduler.get_work(worker="w", current_tasks=["a"])["task_id"] == "b"


def test_a_priority_that_is_no_number_counts_as_none():
    tasks: list[tuple[Any, ...]] = [("a", [], {"priority": "10"}), ("b", [], {"priority": 1})]

    assert order_of(scheduler_of(LocalScheduler, tasks)) == ["b", "a"]


def test_the_beginning_of_a_task_is_counted_and_remembered(monkeypatch):
    scheduler = scheduler_of(LocalScheduler, [("a", [])])
    told: list[tuple[str, str]] = []
    for name in ("update_metrics_task_started", "_update_task_history"):
        monkeypatch.setattr(
            scheduler, name, lambda task, *_, name=name, **__: told.append((name, task.id))
        )

    next_task(scheduler)

    assert told == [("update_metrics_task_started", "a"), ("_update_task_history", "a")]


def test_a_state_that_was_saved_is_worked_off(tmp_path):
    state = {"state_path": str(tmp_path / "state")}
    scheduler_of(LocalScheduler, [("b", ["a"]), ("a", [])], **state).dump()
    again = scheduler_of(LocalScheduler, [], **state)

    again.load()

    assert order_of(again) == ["a", "b"]


def test_the_scheduler_mails_nothing_of_a_failure(monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr(notifications, "send_error_email", lambda subject, *_: sent.append(subject))
    scheduler = scheduler_of(LocalScheduler, [("a", [])])

    next_task(scheduler)
    end(scheduler, "a", "FAILED")

    assert (sent, list(scheduler.task_list("DISABLED", ""))) == ([], ["a"])
