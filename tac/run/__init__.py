"""Plan a run, execute it, and return its outcome, whether a command line asks for it or not.

Nothing is printed here: a caller that shows a run passes observers.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

import contextlib
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import luigi
from luigi.configuration import get_config
from luigi.rpc import RPCError
from luigi.task_status import DONE, PENDING

from tac import runners, settings
from tac.observer import Observer, Observers, Planned, TaskFailure
from tac.run.messages import place_of
from tac.run.not_run import SchedulerState, why_not_run
from tac.run.outcome import FailedTask, Outcome, outcome_of
from tac.run.warned import warnings_once
from tac.runners.runner import Runner
from tac.scheduler.local import LocalScheduler
from tac.scheduler.remote import RetryingRemoteScheduler
from tac.signals import Terminated, interrupted_again, raised_signals
from tac.step_task import StepTask
from tac.worker import Plan, TacWorker, plan_of
from tac.worker.luigi_logging import silence_luigi

__all__ = [
    "Options",
    "Outcome",
    "WorkerFactory",
    "build",
    "plan_of",
    "raised_signals",
    "results_of",
    "warnings_once",
]

_EVERY_STEP = ("tac.step",)
_STEPS_ON_S3 = ("tac.store.s3",)

_AGAIN_SECONDS = 5.0
"""How long to wait for a second Ctrl-C."""

_ASK_SECONDS = 10.0
"""How long, at the end of a run, to try to learn from luigid why it did not schedule a task."""

_RETRIES = {
    "retry_delay": 10.0,
    "disable_window": sys.maxsize,  # Luigi's hour forgets each failure of a task that takes longer
}
"""How many seconds after a failure a task with a `retry_count` is tried again, and for how many
the failure counts; luigid has a configuration of its own."""


@dataclass(frozen=True)
class Options:
    """How a plan is run."""

    workers: int = 1
    luigid: str = field(default="", repr=False)
    """The URL of Luigi's central scheduler; without one, Luigi's scheduler runs in this process."""
    verbose: bool = False
    observers: tuple[Observer, ...] = ()


@dataclass
class WorkerFactory:
    """Our worker and schedulers, as `luigi.build(worker_scheduler_factory=…)` wants them too."""

    observers: tuple[Observer, ...] = ()
    verbose: bool = False

    def create_local_scheduler(self) -> LocalScheduler:
        """Make a scheduler in this process; what fails is tried again only if the task says so."""
        ours = {
            name: value
            for name, value in _RETRIES.items()
            if not get_config().has_option("scheduler", name)
        }
        return LocalScheduler(record_task_history=False, retry_count=1, **ours)

    def create_remote_scheduler(self, url: str) -> RetryingRemoteScheduler:
        """Make the client of the luigid at `url`."""
        return RetryingRemoteScheduler(url, Observers(self.observers).notice)

    def create_worker(
        self,
        scheduler: Any,
        worker_processes: int,
        assistant: bool = False,  # noqa: ARG002, FBT001, FBT002 - Luigi's signature; ours is no assistant
    ) -> TacWorker:
        """Make a worker that runs so many tasks at once."""
        return TacWorker(
            scheduler,
            worker_processes=worker_processes,
            observers=self.observers,
            stop_grace_seconds=settings.current().stop_grace_seconds,
            verbose=self.verbose,
        )


@dataclass
class _Record(Observer):
    """Keeps what observers hear of failed tasks, for the outcome."""

    names: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    failures: dict[str, FailedTask] = field(default_factory=dict)

    def planned(self, tasks: Iterable[Planned]) -> None:
        self.names.update((task.key, task.name) for task in tasks)

    def linked(self, key: str, url: str) -> None:
        self.links[key] = url

    def failed(self, key: str, failure: TaskFailure, *, again: bool) -> None:  # noqa: ARG002 - an observer's
        self.failures[key] = FailedTask(self.names.get(key, key), failure, self.links.get(key))


def build(plan: Plan, options: Options) -> Outcome:
    """Run what is missing of the plan, and return the outcome.

    SIGTERM and Ctrl-C stop the running tasks, or detach from them, as the runner does.

    Raises:
        ConfigError: no luigid answers at the URL.
    """
    silence_luigi(verbose=options.verbose)
    record = _Record()
    factory = WorkerFactory((record, *options.observers), options.verbose)
    began = time.monotonic()
    steps = {
        node.task: node.failure
        for node in plan.missing()
        if isinstance(node.task, StepTask) and not node.external
    }
    runnable = [step for step, failure in steps.items() if failure is None]
    with raised_signals(), _runner(runnable) as runner:
        checked = [step for step in runnable if not step.describes_its_pod]
        if steps and (where := runner.preflight(step.output().path for step in checked)):
            Observers(options.observers).notice(where)
        scheduler = _scheduler(factory, options.luigid)
        worker = factory.create_worker(scheduler, options.workers)
        stopped, running = _work_through(worker, plan, runner, Observers(options.observers))
        detached = runner.detaches()
    _ask_again(worker, plan)
    refusals = {} if stopped else _refusals(worker, scheduler)
    outcome = outcome_of(
        worker.nodes, worker.statuses, worker.run_elsewhere, record.failures, refusals
    )
    outcome.stopped_by = stopped
    outcome.detached = detached
    outcome.running = [str(worker.nodes[key].task) for key in running if key in worker.nodes]
    outcome.seconds = time.monotonic() - began
    return outcome


def _refusals(
    worker: TacWorker, scheduler: LocalScheduler | RetryingRemoteScheduler
) -> dict[str, TaskFailure]:
    def ask() -> SchedulerState:
        if isinstance(scheduler, RetryingRemoteScheduler):
            scheduler.timeout_seconds = _ASK_SECONDS
        with contextlib.suppress(RPCError):  # the run is over: do not wait for luigid
            return SchedulerState.of(scheduler, driver_disabled=worker.requests_no_more_work)
        return SchedulerState(getattr(scheduler, "url", ""))

    return why_not_run(worker.nodes, worker.statuses, ask)


def _scheduler(factory: WorkerFactory, luigid: str) -> LocalScheduler | RetryingRemoteScheduler:
    if not luigid:
        return factory.create_local_scheduler()
    scheduler = factory.create_remote_scheduler(luigid)
    scheduler.check_connection()
    return scheduler


def _work_through(
    worker: TacWorker, plan: Plan, runner: Runner, observers: Observer
) -> tuple[signal.Signals | None, list[str]]:
    with worker:
        try:
            worker.schedule(plan)
            worker.run()
        except KeyboardInterrupt as interrupt:
            sent = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
            running = worker.running()
            what = "Ctrl-C" if sent == signal.SIGINT else "SIGTERM"
            if sent == signal.SIGINT and running and runner.detaches_on_interrupt:
                _detach_or_stop(runner, len(running), observers)
            elif runner.detaches():
                observers.notice(f"{what}: leaving what runs ({len(running)})")
            else:
                observers.notice(f"{what}: stopping what runs ({len(running)})")
            return sent, running
    return None, []


def _detach_or_stop(runner: Runner, running: int, observers: Observer) -> None:
    """Detach from what runs, for the next driver to adopt, unless Ctrl-C is pressed once more."""
    tasks, them = ("1 task keeps", "it") if running == 1 else (f"{running} tasks keep", "them")
    observers.notice(
        f"Ctrl-C: {tasks} running; the same command adopts {them}. "
        f"Ctrl-C again within {_AGAIN_SECONDS:.0f} s stops {them}"
    )
    if interrupted_again(_AGAIN_SECONDS):
        observers.notice(f"Ctrl-C: stopping what runs ({running})")
    else:
        runner.detach()


def _ask_again(worker: TacWorker, plan: Plan) -> None:
    """Count a root that is complete as done: another driver may have run it."""
    for root in plan.roots:
        if worker.statuses.get(root.task_id) == PENDING and plan_of([root]).complete:
            worker.statuses[root.task_id] = DONE


def _runner(steps: Sequence[StepTask]) -> contextlib.AbstractContextManager[Runner]:
    """Use one runner during this run; the local one keeps the steps' libraries loaded."""
    name = settings.current().runner
    if name != "local":
        return runners.using(runners.runner_named(name))
    from tac.runners.local import LocalRunner

    here = LocalRunner(preload=_preload(steps)) if steps else LocalRunner()
    return runners.using(here.start() if steps else here)


def _preload(steps: Iterable[StepTask]) -> list[str]:
    """Return the modules to load, each once, those of the first step first: it waits for them."""
    on_s3 = settings.current().store.startswith("s3://")
    first = (*_EVERY_STEP, *(_STEPS_ON_S3 if on_s3 else ()))
    return list(dict.fromkeys([*first, *(name for step in steps for name in step.preload)]))


def results_of(roots: Iterable[luigi.Task]) -> list[str]:
    """Return where the outputs of the tasks are; a WrapperTask stands for what it requires."""
    places: dict[str, None] = {}
    for root in roots:
        outputs = luigi.task.flatten(root.output())
        if not outputs and isinstance(root, luigi.WrapperTask):
            outputs = luigi.task.flatten([need.output() for need in root.deps()])
        places.update((place_of(output), None) for output in outputs)
    return list(places)
