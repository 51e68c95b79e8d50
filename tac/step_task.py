"""StepTask: a Luigi task that is one step command, run by any runner; a KubernetesJobTask.

It decides nothing about the work, and knows only the command line and the pod that it runs in.
What the step writes to its log reaches Luigi's dashboard; what its end means says the runner.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import mmap
import threading
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import luigi
from luigi.task import flatten

from tac import memory_history, names, runners, settings, verdict
from tac.errors import ConfigError, StepFailed
from tac.kubernetes.job_task import KubernetesJobTask
from tac.kubernetes.luigis_class import LuigisKubernetesJobTask
from tac.quantities import more_memory
from tac.retry import step_budgets
from tac.signals import stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tac.kubernetes.manifests.described_container import DescribedContainer
    from tac.request import RunRequest
    from tac.target import StoreTarget

_log = logging.getLogger(__name__)

_OF_MEMORY = {verdict.Reason.OUT_OF_MEMORY, verdict.Reason.PERHAPS_OUT_OF_MEMORY}
"""What is tried again with more memory."""

_RUNNER_OF_PODS = "kubernetes"
_OF_PODS = ("kubernetes_namespace", "auth_method", "kubeconfig_path")
"""What only Kubernetes can honour, beside parts of `spec_schema`."""

_said = mmap.mmap(-1, 1 << 16)
"""A byte for each line that is logged once a run, shared with the processes that Luigi forks."""


def addresses(targets: Any) -> list[str]:
    """Return the path or URL of every target in a structure such as `self.input()` gives."""
    return [target.path for target in flatten(targets)]


class StepTask(KubernetesJobTask):
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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a parameter that would hide a property, and be taken for it."""
        super().__init_subclass__(**kwargs)
        for name in _PROPERTIES:
            if isinstance(getattr(cls, name), luigi.Parameter):
                raise ConfigError(
                    f"{cls.__name__}: its parameter `{name}` hides the property of that name, "
                    "which says how its Job runs",
                    hint=f"give the parameter another name, such as `its_{name}`",
                )

    # What Luigi's class calls so: a subclass may override each of these.

    @property
    def name(self) -> str:
        """The name of its Job, container and log, before what tells it apart is added."""
        return names.slug(self.task_family)

    @property
    def cmd(self) -> list[str]:
        """What runs: the list that `command()` returns."""
        return list(self.command())

    @property
    def spec_schema(self) -> dict[str, Any]:
        """The spec of its pod, as the settings describe it: a new dict each time.

        Raises:
            ConfigError: the settings, or their pod patch, describe none.
        """
        return self._pod_of_settings()

    @property
    def describes_its_pod(self) -> bool:
        """Whether the class overrides `spec_schema`; its pod may have volumes of its own."""
        return self._overrides("spec_schema")

    @property
    def backoff_limit(self) -> int:
        """How often tac retries exit code 1; the Job's own limit stays 0."""
        return 0

    def run(self) -> None:
        """Run the step to its end, again where not the step but the platform is to blame.

        Raises:
            StepFailed: the step gave up, or may not be tried again.
        """
        stop = self._stop
        self._memory, self._needed = self._first_memory(), ""
        request = self._step_request(memory=self._memory, described=self.describes_its_pod)
        self.uu_name = request.name
        self._log_what_is_ignored()
        with stopped_by_signals(stop):
            self._until_success(
                request,
                partial(self._run_request, stop),
                step_budgets(backoff_limit=self._retries()),
                stop,
            )
        if self._needed:
            memory_history.keep_memory(
                self.task_family, self._needed, store=settings.current().store
            )
        self.signal_complete()  # type: ignore[no-untyped-call]  # Luigi has no types

    def _step_request(self, *, memory: str, described: bool) -> RunRequest:
        """Return the request for a runner; `described`: with the pod that the class describes."""
        chosen, output = settings.current(), self.output().path
        request = self._request(
            names.log_name(self.name, self.task_id, output),
            argv=tuple(map(str, self.cmd)),
            environment=settings.child_environment(),
            output=output,
            memory=memory,
            cpu=chosen.cpu_of(self.task_family) or self.cpu,
            keep=not self.delete_on_success,
        )
        if not described:
            return request
        if chosen.runner == _RUNNER_OF_PODS:
            audience = verdict.Audience.JOB_TASK
            return dataclasses.replace(request, pod=self.spec_schema, audience=audience)
        container = self._described_container()
        return dataclasses.replace(
            request,
            argv=container.argv or request.argv,
            variables=container.variables,
            image=container.image,
            cpu=container.cpu,
        )

    def _pod_of_settings(self) -> dict[str, Any]:
        from tac.kubernetes.manifests.step_job import build_pod
        from tac.runners.kubernetes import pod_settings

        request = self._step_request(memory=self._set_memory(), described=False)
        return build_pod(request, pod_settings(settings.current()))

    def _described_container(self) -> DescribedContainer:
        """Return what runners without pods honour of the pod that the class describes."""
        from tac.kubernetes.manifests.described_container import read_container

        return read_container(self.spec_schema, self._pod_of_settings())

    def _log_what_is_ignored(self) -> None:
        """Log once a run which overrides this runner cannot honour."""
        runner = settings.current().runner
        if runner == _RUNNER_OF_PODS:
            return
        ignored = [name for name in _OF_PODS if self._overrides(name)]
        if self.describes_its_pod:
            container = self._described_container()
            parts = container.ignored if runner == "docker" else container.ignored_by_processes
            ignored += [f"spec_schema.{part}" for part in parts]
        if runner == "local" and self._overrides("labels"):
            ignored.append("labels")
        line = f"{self.task_family}: the {runner} runner ignores {', '.join(ignored)}"
        place = zlib.crc32(line.encode()) % len(_said)
        if ignored and not _said[place]:
            _said[place] = 1
            _log.warning("%s", line)

    def _retries(self) -> int:
        """Return how often exit code 1 is retried: the lower of the limits that the class sets."""
        limits = ("backoff_limit", "max_retrials")
        return min(
            (int(getattr(self, name)) for name in limits if self._overrides(name)), default=0
        )

    def _run_request(
        self, stop: threading.Event, request: RunRequest, follow: Callable[[str], None]
    ) -> verdict.Verdict:
        request = dataclasses.replace(request, memory=self._memory)
        with self._deadline(request) as passed:
            ended = runners.current().run(request, follow=follow, stop=stop)
        if passed.is_set() and ended.reason is verdict.Reason.STOPPED:
            return verdict.cut_short(
                verdict.Reason.DEADLINE,
                "took longer than it may, stopped",
                f"active_deadline_seconds is {request.active_deadline_seconds}",
                seconds=ended.seconds,
                remedy=f"raise the limit, or give it less to do at once; log: {request.log}",
            )
        if not ended.succeeded:
            return ended
        # The step has ended just now: what a listing said before it did does not count.
        there = self.output().exists(fresh=True)
        return ended if there else verdict.output_missing(ended, request.output)

    @contextlib.contextmanager
    def _deadline(self, request: RunRequest) -> Iterator[threading.Event]:
        """Stop an attempt after `active_deadline_seconds`; the event says that this happened."""
        passed = threading.Event()
        seconds = request.active_deadline_seconds
        if seconds is None or settings.current().runner == _RUNNER_OF_PODS:  # its Job has one
            yield passed
            return

        def end() -> None:
            passed.set()
            self.on_kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield passed
        finally:
            timer.cancel()

    def _failure(self, ended: verdict.Verdict, request: RunRequest) -> StepFailed:
        return ended.error(request.name)

    # How much memory it gets.

    def _prepare_retry(self, ended: verdict.Verdict, request: RunRequest) -> None:
        """Give the next attempt more memory, if this one ran out of it.

        Raises:
            StepFailed: it would run out of the same amount again.
        """
        if ended.reason not in _OF_MEMORY or not self._memory:
            return
        certain = ended.reason is verdict.Reason.OUT_OF_MEMORY
        most = settings.current().most_memory
        more = more_memory(self._memory, self._own_memory(), most)
        # What may have been killed for another reason may well succeed with as much as it had.
        if more == self._memory and certain:
            limit = f"it is given no more than TAC_MOST_MEMORY (now {most or more}): raise that"
            remedy = f"{limit}; log: {request.log}"
            raise self._failure(dataclasses.replace(ended, remedy=remedy), request)
        if more != self._memory and certain:
            self._needed = more  # a kill of another cause must not change the memory history
        self._memory = more

    def _first_memory(self) -> str:
        chosen = settings.current()
        if chosen.runner == "local":  # nothing limits a process of this machine
            return ""
        own, described = self._own_memory(), self.describes_its_pod
        # What a person set is not improved upon.
        if not own or (chosen.memory_of(self.task_family) and not described):
            return own
        return memory_history.memory_of(
            self.task_family, own, chosen.most_memory, store=chosen.store
        )

    def _own_memory(self) -> str:
        """Return how much memory the task asks for, without the memory history of its family."""
        return self._described_container().memory if self.describes_its_pod else self._set_memory()

    def _set_memory(self) -> str:
        return settings.current().memory_of(self.task_family) or self.memory


_PROPERTIES = sorted(
    name
    for kind in (LuigisKubernetesJobTask, StepTask)
    for name, value in vars(kind).items()
    if isinstance(value, property) and not name.startswith("_")
)
"""What a parameter of a subclass may not be called."""
