"""StepTask: a Luigi task that is one step command, handed to a runner.

It decides nothing about the work, and knows only the command line.
What the step tells in its log reaches Luigi's dashboard; what its end means says the runner.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import luigi
from luigi.task import flatten

from tac import names, runners, settings, verdict
from tac.progress import parse_progress

if TYPE_CHECKING:
    from tac.target import StoreTarget


def addresses(targets: Any) -> list[str]:
    """Return the path or URL of every target in a structure such as `self.input()` gives."""
    return [target.path for target in flatten(targets)]


class StepTask(luigi.Task):
    """A Luigi task whose work is `python -m STEP OUT ARGUMENTS…`.

    A subclass names its `step`, its `output()` and the step's `arguments()`:

        class Sum(StepTask):
            step = "my_pipeline.sum"
            date = luigi.DateParameter()

            def requires(self):
                return Fetch(date=self.date)

            def output(self):
                return in_store(f"sum/{self.date}.parquet")

            def arguments(self):
                return addresses(self.input())
    """

    step: ClassVar[str]
    """The module that the task runs."""

    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that the step would spend its start with; `tac run` loads them once for all steps.

    Not the step's own module: that is what runs.
    """

    memory: ClassVar[str] = ""
    """How much memory the step may use in a container, such as `2Gi`; else the settings say."""

    cpu: ClassVar[str] = ""
    """How many processors it may use there, such as `1.5`. (Luigi's `resources` are its tokens.)"""

    runs_in_thread = True
    """tac's worker waits for the step in a thread of its own process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # Luigi has no types
        self._stop = threading.Event()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the event out: Luigi pickles tasks to hand them to other processes."""
        return {name: value for name, value in self.__dict__.items() if name != "_stop"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._stop = threading.Event()

    def output(self) -> StoreTarget:
        """Return the one thing that the step publishes."""
        raise TypeError(f"{self.task_family} has no output(); return in_store('…') from it")

    def input(self) -> Any:
        """Return the targets of what the task requires, in the same structure."""
        return super().input()  # type: ignore[no-untyped-call]  # Luigi has no types

    def arguments(self) -> list[str]:
        """Return what stands behind OUT on the command line."""
        return []

    def command(self) -> tuple[str, ...]:
        """Return the whole command line; it names everything that the step reads and writes."""
        return ("python", "-m", self.step, self.output().path, *self.arguments())

    def run(self) -> None:
        """Run the step to its end, again where not the step but the platform is to blame.

        Raises:
            StepFailed: the step gave up, or may not be tried again.
        """
        name = names.log_name(self.task_family, self.task_id, self.output().path)
        stop = self._stop
        for attempt in itertools.count(1):
            ended = self._attempt(name, attempt, stop)
            if ended.next is verdict.Next.ACCEPT:
                return
            pause = verdict.backoff_seconds(ended, attempt)
            if pause is None:
                raise ended.error(name)
            self._tell(f"again in {pause:g} s: {ended.sentence(name)}")
            if stop.wait(pause):
                raise verdict.stopped_before_start().error(name)

    def on_kill(self) -> None:
        """Stop the step; returns at once."""
        # The next run of the task may begin before this one has ended: it gets an event of its own.
        stop, self._stop = self._stop, threading.Event()
        stop.set()

    def _attempt(self, name: str, attempt: int, stop: threading.Event) -> verdict.Verdict:
        log = (settings.current().log_directory / f"{name}.log").absolute()
        command = runners.Command(
            name=name,
            argv=self.command(),
            environment=settings.child_environment(),
            log=log,
            attempt=attempt,
            output=self.output().path,
            memory=self.memory,
            cpu=self.cpu,
        )
        self._tell(f"log: {log}")
        if self.set_tracking_url is not None and _is_ours(self.set_tracking_url):
            self.set_tracking_url(log.as_uri())

        def follow(line: str) -> None:
            if (told := parse_progress(line)) is not None:
                self._tell(f"{told.text}\nlog: {log}", percent=told.percent)

        ended = runners.shared().run(command, follow=follow, stop=stop)
        if ended.next is not verdict.Next.ACCEPT:
            return ended
        # The step has ended just now: what a listing said before it did does not count.
        address = self.output().path
        there = self.output().exists(fresh=True)
        return ended if there else verdict.output_missing(ended, address)

    def _tell(self, text: str, *, percent: int | None = None) -> None:
        """Show a line in the dashboard; outside a worker there is none."""
        if self.set_status_message is not None:
            self.set_status_message(text)
        if percent is not None and self.set_progress_percentage is not None:
            self.set_progress_percentage(percent)


def _is_ours(set_tracking_url: Any) -> bool:
    """Tell whether a worker of ours listens.

    Luigi's own forgets the task's resources and retry policy when it is told a tracking URL
    (luigi 3.8.1, TaskStatusReporter.update_tracking_url).
    """
    reporter = getattr(set_tracking_url, "__self__", None)
    return getattr(reporter, "keeps_policy", False)
