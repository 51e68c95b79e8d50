"""StepTask: a Luigi task that is one step command, handed to a runner.

It decides nothing about the work, and knows only the command line.
What the step tells in its log reaches Luigi's dashboard; what its end means says the runner.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from luigi.task import flatten

from tac import memory_history, names, runners, settings, verdict
from tac.luigi_task import StoppableTask
from tac.quantities import more_memory
from tac.request import RunRequest
from tac.retry import run_attempts, step_budgets
from tac.signals import stopped_by_signals

if TYPE_CHECKING:
    from pathlib import Path

    from tac.target import StoreTarget


_OF_MEMORY = {verdict.Reason.OUT_OF_MEMORY, verdict.Reason.PERHAPS_OUT_OF_MEMORY}
"""What is tried again with more memory."""


def addresses(targets: Any) -> list[str]:
    """Return the path or URL of every target in a structure such as `self.input()` gives."""
    return [target.path for target in flatten(targets)]


class StepTask(StoppableTask):
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
    """How much memory the step may use in a container, such as `2Gi`; what is set wins.

    If an earlier run found that it needs more, it begins with that.
    """

    cpu: ClassVar[str] = ""
    """How many processors it may use there, such as `1.5`; what is set wins. (Luigi's `resources`
    are its tokens.)"""

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
        stop = self._stop
        with stopped_by_signals(stop):
            self._run_to_its_end(stop)

    def _run_to_its_end(self, stop: threading.Event) -> None:
        name = names.log_name(self.task_family, self.task_id, self.output().path)
        memory, needed = self._first_memory(), ""

        def before_retry(ended: verdict.Verdict, pause: float) -> None:
            nonlocal memory, needed
            more = self._memory_after(ended, memory, name)
            if more != memory and ended.reason is verdict.Reason.OUT_OF_MEMORY:
                needed = more  # of what may have been something else nothing is learned
            memory = more
            self.report_status(f"again in {pause:g} s: {ended.sentence(name)}")

        ended = run_attempts(
            lambda number: self._attempt(name, number, memory, stop),
            step_budgets(),
            stop=stop,
            before_retry=before_retry,
        )
        if not ended.succeeded:
            raise ended.error(name)
        if needed:
            memory_history.keep_memory(self.task_family, needed, store=settings.current().store)

    def _memory_after(self, ended: verdict.Verdict, memory: str, name: str) -> str:
        """Return how much memory the next attempt gets.

        Raises:
            StepFailed: it would run out of the same amount again.
        """
        if ended.reason not in _OF_MEMORY or not memory:
            return memory
        most = settings.current().most_memory
        more = more_memory(memory, self._own_memory(), most)
        # What may have been killed for another reason may well succeed with as much as it had.
        if more == memory and ended.reason is verdict.Reason.OUT_OF_MEMORY:
            remedy = f"it is given no more than TAC_MOST_MEMORY (now {most or memory}): raise that"
            remedy = f"{remedy}; log: {self._log(name)}"
            raise dataclasses.replace(ended, remedy=remedy).error(name)
        return more

    def _first_memory(self) -> str:
        chosen = settings.current()
        if chosen.runner == "local":  # nothing limits a process of this machine
            return ""
        own = self._own_memory()
        if not own or chosen.memory_of(self.task_family):  # what a person set is not improved upon
            return own
        return memory_history.memory_of(
            self.task_family, own, chosen.most_memory, store=chosen.store
        )

    def _own_memory(self) -> str:
        """Return how much memory the task asks for, whatever was learned of its family."""
        return settings.current().memory_of(self.task_family) or self.memory

    def _attempt(
        self, name: str, attempt: int, memory: str, stop: threading.Event
    ) -> verdict.Verdict:
        log = self._log(name)
        request = RunRequest(
            name=name,
            argv=self.command(),
            environment=settings.child_environment(),
            log=log,
            attempt=attempt,
            output=self.output().path,
            memory=memory,
            cpu=settings.current().cpu_of(self.task_family) or self.cpu,
            located=lambda location: self.report_location(location, log),
        )
        self.report_status(f"log: {log}")
        self.link(log.as_uri())

        def follow(line: str) -> None:
            self.report_progress(line, log)

        with self.limited_reports():
            ended = runners.current().run(request, follow=follow, stop=stop)
        if not ended.succeeded:
            return ended
        # The step has ended just now: what a listing said before it did does not count.
        address = self.output().path
        there = self.output().exists(fresh=True)
        return ended if there else verdict.output_missing(ended, address)

    def _log(self, name: str) -> Path:
        return (settings.current().log_directory / f"{name}.log").absolute()
