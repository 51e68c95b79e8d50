"""Small Luigi tasks that do what the tests of the worker need, in a directory of the test's own."""

import datetime as dt
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import luigi

from tac.errors import DataError


class Filed(luigi.Task):
    """A task whose output is a file in the directory `at`; it writes its process id."""

    at: str = luigi.Parameter(description="the directory of the outputs")

    def path(self) -> Path:
        return Path(self.at) / f"{self.name()}.txt"

    def name(self) -> str:
        values = [str(value) for key, value in self.param_kwargs.items() if key != "at"]
        return "-".join([self.task_family, *values])

    def output(self):
        return luigi.LocalTarget(str(self.path()))

    def write(self) -> None:
        self.path().write_text(str(os.getpid()))

    def run(self):
        self.write()


class InThread(Filed):
    """Does its work in a thread of the driver."""

    number: int = luigi.IntParameter(default=0, description="any number")
    runs_in_thread = True


class InProcess(Filed):
    """Does its work in a process of its own."""

    number: int = luigi.IntParameter(default=0)


class Chain(Filed):
    """Needs the one before it."""

    length: int = luigi.IntParameter()
    runs_in_thread = True

    def requires(self):
        return [Chain(at=self.at, length=self.length - 1)] if self.length > 1 else []


class Mixed(Filed):
    """Needs a task in a thread and one in a process."""

    runs_in_thread = True

    def requires(self):
        return [InThread(at=self.at), InProcess(at=self.at)]


class EachDay(Filed):
    """One day of something."""

    date: dt.date = luigi.DateParameter(description="the day")
    runs_in_thread = True


class SumOfDays(Filed):
    """Needs the day and the day before."""

    date: dt.date = luigi.DateParameter(description="the day")
    kind: str = luigi.ChoiceParameter(choices=["long", "short"], default="long")
    runs_in_thread = True

    def requires(self):
        yesterday = self.date - dt.timedelta(days=1)
        return [EachDay(at=self.at, date=yesterday), EachDay(at=self.at, date=self.date)]


class Fails(Filed):
    """Fails with an error of tac, or with `bug` with another exception."""

    bug: bool = luigi.BoolParameter()
    runs_in_thread = True

    def run(self):
        if self.bug:
            raise ValueError("not a number")
        raise DataError("flights/2023-03-01.parquet: is empty.", hint="fetch it again")


class WritesAndFails(Filed):
    """Fails although its output is there by then."""

    runs_in_thread = True

    def run(self):
        self.write()
        raise DataError("wrote, and failed.")


class FailsInProcess(Fails):
    """The same, in a process."""

    runs_in_thread = False


class FailsTwice(Filed):
    """Fails two times and then does not; it may be tried three times."""

    runs_in_thread = True
    retry_count = 3

    def run(self):
        tries = self.path().with_suffix(".tries")
        with tries.open("a") as file:
            file.write("x")
        if len(tries.read_text()) < 3:
            raise DataError("not yet.")
        self.write()


class NeedsFails(Filed):
    """Cannot run, because what it needs fails."""

    runs_in_thread = True

    def requires(self):
        return [Fails(at=self.at), InThread(at=self.at)]


class Above(Filed):
    """Needs what cannot run."""

    runs_in_thread = True

    def requires(self):
        return NeedsFails(at=self.at)


class FromElsewhere(luigi.ExternalTask):
    """Data that another program makes."""

    at: str = luigi.Parameter()

    def output(self):
        return luigi.LocalTarget(f"{self.at}/from-elsewhere.txt")


class NeedsFromElsewhere(Filed):
    """Needs data that another program makes."""

    runs_in_thread = True

    def requires(self):
        return FromElsewhere(at=self.at)


class CannotBeAsked(Filed):
    """Its requires() has a bug."""

    def requires(self):
        raise KeyError("no such day")


class Unpicklable(Filed):
    """Holds what cannot be sent to a process."""

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.lock = threading.Lock()


class ExitsZero(Filed):
    """Its process ends before it can give a result."""

    def run(self):
        os._exit(0)


class KillsItself(Filed):
    """As when the kernel has no memory left."""

    def run(self):
        os.kill(os.getpid(), signal.SIGKILL)


class WritesNothing(Filed):
    """Ends well without its output."""

    runs_in_thread = True

    def run(self):
        pass


class FindsOut(Filed):
    """Learns while it runs what else it needs."""

    runs_in_thread = True

    def run(self):
        yield [InThread(at=self.at, number=1), InProcess(at=self.at, number=2)]
        self.write()


class AsksForADefault(Filed):
    """Makes another task in its own process, and writes the number that this has by default."""

    def run(self):
        self.path().write_text(str(InThread(at=self.at).number))


class Waits(Filed):
    """Runs in a thread until it is stopped or its file `go` is there."""

    runs_in_thread = True

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.stop = threading.Event()

    def run(self) -> None:
        self.path().with_suffix(".began").touch()
        go = self.path().with_suffix(".go")
        while not go.exists():
            if self.stop.wait(0.05):
                self.path().with_suffix(".stopped").touch()
                raise DataError("stopped.")
        self.write()

    def on_kill(self):
        self.stop.set()


class WaitsInProcess(Filed):
    """Runs in a process until its file `go` is there; writes its process id to `began`."""

    number: int = luigi.IntParameter(default=0)

    def run(self):
        self.path().with_suffix(".part").write_text(str(os.getpid()))
        self.path().with_suffix(".part").rename(self.path().with_suffix(".began"))
        go = self.path().with_suffix(".go")
        while not go.exists():
            time.sleep(0.05)
        self.write()


class TimesOut(Waits):
    """May run for a second."""

    worker_timeout = 1


def count(task: Any) -> None:
    """Say a hundred times how far a task is."""
    for percent in range(101):
        task.set_status_message(f"at {percent}")
        task.set_progress_percentage(percent)


def tell(task: Any) -> None:
    """Say three things about a task that runs."""
    task.set_status_message("half way")
    task.set_progress_percentage(50)
    task.set_tracking_url("http://log/of/it")


class Tells(Filed):
    """Says what it does, from its process."""

    def run(self):
        tell(self)
        self.write()


class Counts(Filed):
    """Reports progress faster than it is passed on, and ends."""

    def run(self):
        count(self)
        self.write()


class AllWait(luigi.WrapperTask):
    """A thread and two processes that wait."""

    at: str = luigi.Parameter()

    def requires(self):
        return [Waits(at=self.at), *(WaitsInProcess(at=self.at, number=n) for n in range(2))]


class InMemory(luigi.Task):
    """Does nothing, at once, and without a file."""

    number: int = luigi.IntParameter()
    runs_in_thread = True
    done = False

    def complete(self):
        return self.done

    def run(self):
        self.done = True


class ManyInMemory(InMemory):
    """Needs as many tasks as its number; each of those shares ten needs with its neighbours."""

    def requires(self):
        return [MidInMemory(number=number) for number in range(self.number)]


class MidInMemory(InMemory):
    """Needs ten tasks, as a day's features need ten days."""

    def requires(self):
        return [InMemory(number=self.number + back) for back in range(10)]


class Stubborn(Filed):
    """Does not listen to SIGTERM, and neither does a program that it started."""

    def run(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        program = subprocess.Popen(["sleep", "300"])
        self.path().with_suffix(".part").write_text(f"{os.getpid()} {program.pid}")
        self.path().with_suffix(".part").rename(self.path().with_suffix(".began"))
        time.sleep(300)


class NeedsWaits(Filed):
    """Needs a task that waits."""

    runs_in_thread = True

    def requires(self):
        return Waits(at=self.at)


class TellsAndWaits(Waits):
    """Says what it does, and waits."""

    resources = {"desks": 1}  # noqa: RUF012 # as Luigi declares it

    def run(self) -> None:
        tell(self)
        super().run()


class TellsTwice(Filed):
    """Says how far it is, and waits each time until it has been seen."""

    runs_in_thread = True

    def run(self):
        task: Any = self  # Luigi declares both as None
        for percent in (25, 75):
            task.set_status_message(f"at {percent}")
            task.set_progress_percentage(percent)
            while not self.path().with_suffix(f".{percent}").exists():
                time.sleep(0.02)
        self.write()


class Undeletable(luigi.Task):
    """Its output is of a kind that knows no deleting."""

    at: str = luigi.Parameter()

    def output(self):
        return Kept(f"{self.at}/kept.txt")


class Kept(luigi.Target):
    """Something that exists for good."""

    def __init__(self, path: str) -> None:
        self.path = path

    def exists(self):
        return Path(self.path).exists()


class NeedsTells(Filed):
    """Needs a task that says what it does."""

    runs_in_thread = True

    def requires(self):
        return TellsAndWaits(at=self.at)
