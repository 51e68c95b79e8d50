"""The reference pipeline: which flights of a morning will arrive more than 15 minutes late.

Each class says what runs, on what, to where; the work is done by the step it names.
A day's prediction needs the ten days before it and the day's schedule:

    FetchData x 10 ─┐
    FetchSchedule ──┴─ TransformData ─┬─ Predict(logistic) ──────────┬─ MakePredictions ── Report
                                      └─ Predict(gradient_boosting) ─┘

Report and Evaluate also hold past predictions against what happened since.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import luigi

from tac import settings
from tac.flights import BASELINE, BUNDLED, FIRST_DAY, MODELS, WINDOW_DAYS, ZONE
from tac.flights.calendar import days_between
from tac.step_task import StepTask, addresses
from tac.target import in_store

if TYPE_CHECKING:
    from tac.target import StoreTarget


# What the steps load, so that tac run can do it once: no more than they would themselves.
_TABLES = ("pyarrow.parquet", "pyarrow.compute", "tac.flights.table")
_DAYS = (*_TABLES, "tac.flights.day", "tac.flights.bundled")
_FEATURES = (*_TABLES, "tac.flights.window", "tac.flights.features")
_MODELS = (
    "tac.flights.models",
    "tac.flights.predictions",
    "sklearn.linear_model",
    "sklearn.ensemble",
)

# What a step may use in a container: twice the least memory with which it passes, rounded up.
# Measured on the bundled year (x86-64, Python 3.11; MiB with files, with S3): FetchData 97, 121;
# FetchSchedule 97, 124; TransformData with ten days 93, 117; Predict 149, 172 (logistic), 147, 164
# (gradient_boosting); MakePredictions 64, 94; Report with seven past days 83, 102; Evaluate 46, 69
# with eight days, 80 with all 355 (files).
# Processors: each step is one thread, and computes for most of its life: with half a processor
# FetchData takes 0.6 s instead of 0.5, TransformData 0.9 instead of 0.6, Predict twice as long.
_LIGHT, _HEAVY = "256Mi", "384Mi"


def days_before(date: datetime.date, count: int) -> list[datetime.date]:
    """Return the `count` days before `date`, oldest first."""
    return [date - datetime.timedelta(days=back) for back in range(count, 0, -1)]


def source() -> str:
    """Return where the flights come from: the bundled year, unless the settings name a template."""
    return settings.current().source or BUNDLED


class FetchData(StepTask):
    """One day of flights as they happened, checked."""

    step = "tac.fetch"
    timezone = ZONE
    preload = _DAYS
    memory = _LIGHT
    cpu = "500m"
    date: datetime.date = luigi.DateParameter(description="the day of the flights")

    def output(self) -> StoreTarget:
        return in_store(f"flights/{self.date}.parquet")

    def arguments(self) -> list[str]:
        return ["--date", str(self.date), "--source", source()]


class FetchSchedule(FetchData):
    """One day's schedule: what is known on its morning, without any outcome."""

    def output(self) -> StoreTarget:
        return in_store(f"schedule/{self.date}.parquet")

    def arguments(self) -> list[str]:
        return ["--schedule", *super().arguments()]


class TransformData(StepTask):
    """The features of one day's flights, and of the ten days before it to learn from."""

    step = "tac.transform"
    timezone = ZONE
    preload = _FEATURES
    memory = _LIGHT
    cpu = "1"
    date: datetime.date = luigi.DateParameter(description="the day to predict")

    def requires(self) -> dict[str, list[FetchData] | FetchSchedule]:
        days = [FetchData(date=day) for day in days_before(self.date, WINDOW_DAYS)]
        return {"days": days, "schedule": FetchSchedule(date=self.date)}

    def output(self) -> StoreTarget:
        return in_store(f"features/{self.date}.parquet")

    def arguments(self) -> list[str]:
        inputs = self.input()
        return [*addresses(inputs["days"]), "--schedule", *addresses(inputs["schedule"])]


class Predict(StepTask):
    """What one model says about one day's flights."""

    step = "tac.predict"
    timezone = ZONE
    preload = (*_FEATURES, *_MODELS)
    memory = _HEAVY
    cpu = "1"
    date: datetime.date = luigi.DateParameter(description="the day to predict")
    model: str = luigi.ChoiceParameter(choices=(*MODELS, BASELINE), description="the model")

    def requires(self) -> TransformData:
        return TransformData(date=self.date)

    def output(self) -> StoreTarget:
        return in_store(f"predictions/{self.date}/{self.model}.parquet")

    def arguments(self) -> list[str]:
        return [*addresses(self.input()), "--model", self.model]


class MakePredictions(StepTask):
    """The average of what the models say about one day's flights."""

    step = "tac.average"
    timezone = ZONE
    preload = (*_TABLES, "tac.flights.predictions")
    memory = _LIGHT
    cpu = "500m"
    date: datetime.date = luigi.DateParameter(description="the day to predict")

    def requires(self) -> list[Predict]:
        return [Predict(date=self.date, model=model) for model in MODELS]

    def output(self) -> StoreTarget:
        return in_store(f"predictions/{self.date}.parquet")

    def arguments(self) -> list[str]:
        return addresses(self.input())


class Report(StepTask):
    """The page about one day: who will be late, why, and how right the last days' pages were."""

    step = "tac.report"
    timezone = ZONE
    preload = (*_TABLES, "tac.flights.page")
    memory = _LIGHT
    cpu = "1"
    date: datetime.date = luigi.DateParameter(description="the day to predict")
    history: int = luigi.IntParameter(
        default=7, description="days before it whose predictions are held against what happened"
    )

    def requires(self) -> dict[str, MakePredictions | list[MakePredictions | Predict | FetchData]]:
        days = self.past_days()
        return {
            "today": MakePredictions(date=self.date),
            "past": [MakePredictions(date=day) for day in days],
            "baseline": [Predict(date=day, model=BASELINE) for day in days],
            "happened": [FetchData(date=day) for day in days],
        }

    def past_days(self) -> list[datetime.date]:
        """Return the days to look back on; the bundled year cannot be predicted before its 11th."""
        days = days_before(self.date, self.history)
        if source() == BUNDLED:
            first = FIRST_DAY + datetime.timedelta(days=WINDOW_DAYS)
            return [day for day in days if day >= first]
        return days

    def output(self) -> StoreTarget:
        return in_store(f"report/{self.date}.html")

    def arguments(self) -> list[str]:
        inputs = self.input()
        options = [
            part
            for option in ("past", "baseline", "happened")
            for address in addresses(inputs[option])
            for part in (f"--{option}", address)
        ]
        return [*addresses(inputs["today"]), *options]


class Evaluate(StepTask):
    """Predictions of many days against what happened, and against the carrier-by-hour rates."""

    step = "tac.evaluate"
    timezone = ZONE
    preload = (*_TABLES, "tac.flights.scores")
    memory = _LIGHT
    cpu = "1"
    first: datetime.date = luigi.DateParameter(description="the first day")
    last: datetime.date = luigi.DateParameter(description="the last day")
    every: int = luigi.IntParameter(
        default=1, description="days from one evaluated day to the next"
    )

    def days(self) -> list[datetime.date]:
        """Return the evaluated days."""
        return days_between(self.first, self.last, self.every)

    def requires(self) -> list[MakePredictions | Predict | FetchData]:
        return [
            task
            for day in self.days()
            for task in (
                MakePredictions(date=day),
                Predict(date=day, model=BASELINE),
                FetchData(date=day),
            )
        ]

    def output(self) -> StoreTarget:
        return in_store(f"evaluation/{self.first}_{self.last}_{self.every}.json")

    def arguments(self) -> list[str]:
        return [
            *("--from", str(self.first), "--to", str(self.last), "--every", str(self.every)),
            *("--predictions", in_store("predictions/{date}.parquet").path),
            *("--baseline", in_store(f"predictions/{{date}}/{BASELINE}.parquet").path),
            *("--happened", in_store("flights/{date}.parquet").path),
        ]
