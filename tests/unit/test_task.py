"""What the reference pipeline runs, on what, to where; each step understands its command line."""

import datetime
import importlib
import pickle

import click
import luigi
import pytest

from tac import settings
from tac.errors import ConfigError
from tac.quantities import parse_cpu, parse_memory
from tac.step import ClickError
from tac.step_task import StepTask
from tac.task import (
    Evaluate,
    FetchData,
    FetchSchedule,
    MakePredictions,
    Predict,
    Report,
    TransformData,
    days_before,
)

DAY = datetime.date(2023, 3, 1)
TASKS = [
    FetchData(date=DAY),
    FetchSchedule(date=DAY),
    TransformData(date=DAY),
    Predict(date=DAY, model="logistic"),
    Predict(date=DAY, model="carrier_hour_rate"),
    MakePredictions(date=DAY),
    Report(date=DAY),
    Evaluate(first=DAY, last=datetime.date(2023, 3, 31), every=10),
]


@pytest.fixture(autouse=True)
def a_store(monkeypatch):
    monkeypatch.setenv("TAC_STORE", "s3://flights/v1")
    monkeypatch.setenv("TAC_SOURCE", "bundled")
    settings.override()
    yield
    monkeypatch.undo()
    settings.current.cache_clear()


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_the_step_of_a_task_understands_its_command_line(task):
    python, flag, module, *arguments = task.command()
    main = importlib.import_module(module).main

    context = main.make_context(module, list(arguments))

    assert (python, flag) == ("python", "-m")
    assert isinstance(context, click.Context)
    assert context.params["out"].address == task.output().path


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_the_step_of_a_task_refuses_the_driver_of_another_build(task, monkeypatch):
    monkeypatch.setenv("TAC_DRIVER_VERSION", "7.8.9")
    main = importlib.import_module(task.step).main

    with pytest.raises(ClickError) as caught:
        main.make_context(task.step, list(task.command()[3:]))

    assert caught.value.exit_code == 2


def test_every_task_is_in_the_table_of_this_test():
    families = {
        family
        for family, task in luigi.task_register.Register._get_reg().items()
        if getattr(task, "__module__", "") == "tac.task" and issubclass(task, StepTask)
    }

    assert families == {task.task_family for task in TASKS}


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_every_task_says_how_much_memory_and_processor_its_step_needs(task):
    assert 128 << 20 <= parse_memory(task.memory) <= 1 << 30
    assert 250_000_000 <= parse_cpu(task.cpu) <= 1_000_000_000


def test_the_outputs_of_one_day_have_the_places_that_the_documents_name():
    places = [task.output().path.removeprefix("s3://flights/v1/") for task in TASKS]

    assert places == [
        "flights/2023-03-01.parquet",
        "schedule/2023-03-01.parquet",
        "features/2023-03-01.parquet",
        "predictions/2023-03-01/logistic.parquet",
        "predictions/2023-03-01/carrier_hour_rate.parquet",
        "predictions/2023-03-01.parquet",
        "report/2023-03-01.html",
        "evaluation/2023-03-01_2023-03-31_10.json",
    ]


def test_a_day_is_predicted_from_the_ten_days_before_it_and_its_own_schedule():
    required = TransformData(date=DAY).requires()

    assert required == {
        "days": [FetchData(date=datetime.date(2023, 2, day)) for day in range(19, 29)],
        "schedule": FetchSchedule(date=DAY),
    }


def test_a_prediction_is_the_average_of_both_models():
    assert MakePredictions(date=DAY).requires() == [
        Predict(date=DAY, model="logistic"),
        Predict(date=DAY, model="gradient_boosting"),
    ]


def closure(task: luigi.Task) -> set[str]:
    found: dict[str, luigi.Task] = {}
    waiting = [task]
    while waiting:
        one = waiting.pop()
        if one.task_id not in found:
            found[one.task_id] = one
            waiting += luigi.task.flatten(one.requires())
    return {str(one) for one in found.values()}


def test_no_prediction_needs_anything_that_happened_on_its_own_day():
    needed = closure(MakePredictions(date=DAY))

    assert "FetchData(date=2023-03-01)" not in needed
    assert len(needed) == 15


def test_a_year_is_2139_tasks():
    days = [datetime.date(2023, 1, 11) + datetime.timedelta(days=ahead) for ahead in range(355)]

    assert len(set().union(*(closure(MakePredictions(date=day)) for day in days))) == 2139


def test_a_report_looks_back_on_days_that_could_be_predicted():
    assert Report(date=datetime.date(2023, 1, 13)).past_days() == [
        datetime.date(2023, 1, 11),
        datetime.date(2023, 1, 12),
    ]
    assert Report(date=DAY, history=2).past_days() == days_before(DAY, 2)


def test_a_source_of_ones_own_may_reach_back_further(monkeypatch):
    settings.override(source="s3://raw/{date}.parquet")

    assert len(Report(date=datetime.date(2023, 1, 13)).past_days()) == 7


@pytest.mark.parametrize(
    ("first", "last", "every", "days"),
    [(1, 3, 1, [1, 2, 3]), (1, 8, 3, [1, 4, 7]), (5, 5, 9, [5])],
)
def test_an_evaluation_takes_every_so_many_days(first, last, every, days):
    march = [datetime.date(2023, 3, day) for day in range(1, 32)]
    task = Evaluate(first=march[first - 1], last=march[last - 1], every=every)

    assert task.days() == [march[day - 1] for day in days]


@pytest.mark.parametrize(
    ("first", "last", "every", "message"),
    [
        (2, 1, 1, "2023-03-02 to 2023-03-01: the first day is after the last"),
        (1, 2, 0, "every 0 days: is not 1 or more"),
    ],
)
def test_an_evaluation_of_no_day_is_refused(first, last, every, message):
    task = Evaluate(
        first=datetime.date(2023, 3, first), last=datetime.date(2023, 3, last), every=every
    )

    with pytest.raises(ConfigError) as caught:
        task.requires()

    assert caught.value.message == message


def test_a_task_survives_the_way_to_another_process():
    task = pickle.loads(pickle.dumps(Predict(date=DAY, model="logistic")))

    task.on_kill()

    assert task == Predict(date=DAY, model="logistic")


def test_a_step_task_without_an_output_says_what_to_return():
    class Nothing(StepTask):
        step = "nothing"

    with pytest.raises(TypeError, match=r"^Nothing has no output\(\); return in_store"):
        Nothing().output()
