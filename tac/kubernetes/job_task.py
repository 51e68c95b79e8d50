"""KubernetesJobTask: Luigi's class of that name, with tac's way of running a Job beneath it.

A drop-in: `from tac.kubernetes import KubernetesJobTask` in the place of
`from luigi.contrib.kubernetes import KubernetesJobTask`. Its public properties mean what they mean
there, but nothing is polled, a driver that comes back finds its Job again, and a failure says why.
docs/kubernetes.md lists where the two differ.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luigi.contrib.kubernetes import KubernetesJobTask as LuigisKubernetesJobTask
from luigi.task import flatten

from tac import names, settings, verdict
from tac.errors import ConfigError, Conflict, NotFound, StepFailed, TacError
from tac.kubernetes.attempt.attempt import JobAttempt
from tac.kubernetes.attempt.context import AttemptContext, Order
from tac.kubernetes.attempt.session_pool import SessionKey, acquire_session
from tac.kubernetes.attempt.timeouts import Timeouts
from tac.kubernetes.manifests.pod_spec_job import PodSpecJob, build_pod_spec_job
from tac.kubernetes.objects import finished
from tac.log_file import LogWriter, begin_log
from tac.luigi_task import StoppableTask
from tac.names import READ
from tac.plain import plain_line
from tac.retry import job_budgets, run_attempts
from tac.signals import stopped_by_signals

if TYPE_CHECKING:
    from tac.kubernetes.attempt.session import Session
    from tac.log_file import Log
    from tac.progress import Location
    from tac.verdict import Verdict

_log = logging.getLogger("luigi-interface")

_LUIGIS_PATH = "~/.kube/config"
"""Luigi's default of `kubeconfig_path`: where kubeconfig files are, unless KUBECONFIG says."""


class KubernetesJobTask(StoppableTask, LuigisKubernetesJobTask):
    """A Luigi task whose work is one Kubernetes Job, described by `name` and `spec_schema`.

        class Pi(KubernetesJobTask):
            name = "pi"
            spec_schema = {"containers": [{"name": "pi", "image": "perl", "command": […]}]}

    When its Job has succeeded `signal_complete()` is called; an `output()`, if it has one, must be
    there then. Exit codes mean what they mean to you: 0 is success, and nothing else is.
    """

    _succeeded = False

    def complete(self) -> bool:
        """Tell whether all outputs are there.

        A task without any is never complete to Luigi's own worker, which runs it again each time;
        tac's worker asks after each run, so there it is when it has succeeded.
        """
        return self._succeeded or bool(super().complete())

    def run(self) -> None:
        """Run the Job to its end, again where not the work but the platform is to blame.

        Raises:
            StepFailed: it failed, or somebody deleted it.
            ConfigError: the kubeconfig, or the task, cannot be used.
        """
        with acquire_session(self._session_key()) as session:
            order, stop = self._order(session), self._stop
            _pass_over_what_was_read(session, order.work)
            try:
                with stopped_by_signals(stop):
                    ended = self._until_success(session, order, stop)
            except StepFailed:
                _mark_as_read(session, order.work)
                raise
            self.signal_complete()
            jobs = session.reflector.jobs_of(order.work)
            session.read.update(job["metadata"]["uid"] for job in jobs)
            if self.delete_on_success:
                session.cleaner.clean(order.work)
            else:
                _mark_as_read(session, order.work)
            self._check_outputs(ended, order)
        self._succeeded = self.in_our_worker and not self._can_tell()

    def _init_kubernetes(self) -> None:
        """Set what Luigi's class sets before it reads `spec_schema`, by identity.

        The names of the Job itself, which tell also its pod, replace them when they are known.
        """
        outputs = [_address(output) for output in flatten(self.output())]
        self.job_uuid = names.digest(self.name, self.task_id, *outputs)
        self.uu_name = f"{names.slug(self.name)}-{self.job_uuid}"

    def _session_key(self) -> SessionKey:
        namespace = str(self.kubernetes_namespace or "")
        if self.auth_method == "service-account":
            return SessionKey(namespace, in_pod=True)
        if self.auth_method != "kubeconfig":
            raise ConfigError(
                f"{self.name}: auth_method {self.auth_method!r} is neither kubeconfig "
                "nor service-account"
            )
        path = str(self.kubeconfig_path)
        return SessionKey(namespace, kubeconfig="" if path == _LUIGIS_PATH else path)

    def _order(self, session: Session) -> Order:
        self._init_kubernetes()
        outputs = [_address(output) for output in flatten(self.output())]
        manifest = build_pod_spec_job(
            PodSpecJob(
                name=self.name,
                identity=(self.task_id, *outputs),
                pod=self.spec_schema,
                labels=self.labels or {},
                backoff_limit=self._most_retries(),
                active_deadline_seconds=self.active_deadline_seconds,
            )
        )
        self.uu_name = name = manifest["metadata"]["name"]
        self.job_uuid = work = manifest["metadata"]["labels"][names.WORK]
        return Order(
            name,
            work,
            manifest,
            str((settings.current().log_directory / f"{name}.log").absolute()),
            is_done=partial(self._is_done, session, work),
            own_exit_codes=True,
            keep=True,  # until signal_complete() has been called
            audience=verdict.Audience.JOB_TASK,
        )

    def _most_retries(self) -> int:
        """Return how many pods may fail before the Job does.

        `backoff_limit` is that; a `max_retrials` that is set and lower wins, as it did with Luigi,
        whose default of 0 can only mean that it is not set.
        """
        limit, own = int(self.backoff_limit), int(self.max_retrials or 0)
        return min(limit, own) if own else limit

    def _can_tell(self) -> bool:
        """Whether complete() says anything: the task has outputs, or a complete() of its own."""
        return bool(flatten(self.output())) or type(self).complete is not KubernetesJobTask.complete

    def _is_done(self, session: Session, work: str) -> bool:
        """Whether a Job has succeeded of which nobody has taken note, or the task is complete."""
        if any(_is_news(job, session) for job in session.reflector.jobs_of(work)):
            return True
        return self._can_tell() and bool(self.complete())

    def _until_success(self, session: Session, order: Order, stop: threading.Event) -> Verdict:
        def before_retry(ended: Verdict, pause: float) -> None:
            self.report_status(f"again in {pause:g} s: task/{order.name}: {ended.detail}")

        ended = run_attempts(
            lambda number: self._attempt(session, order, number, stop),
            job_budgets(),
            stop=stop,
            before_retry=before_retry,
        )
        if not ended.succeeded:
            raise _failure(ended, order)
        return ended

    def _attempt(
        self, session: Session, order: Order, number: int, stop: threading.Event
    ) -> Verdict:
        path = Path(order.log)
        log = _begin(path, f"job/{order.name}" + (f"  # attempt {number}" if number > 1 else ""))
        _log.info("job/%s: its log is %s", order.name, path)
        self.report_status(f"log: {path}")
        self.link(path.as_uri())

        def follow(line: str) -> None:
            self.report_progress(line, path)

        def located(location: Location) -> None:
            self.report_location(location, path)

        with log:
            with LogWriter(log, follow, located) as writer, self.limited_reports():
                chosen = settings.current()
                timeouts = Timeouts().with_settings(
                    grace_seconds=chosen.stop_grace_seconds,
                    scheduling_seconds=chosen.scheduling_seconds,
                )
                context = AttemptContext(session, order, writer, stop, timeouts)
                ended = JobAttempt(context).run()
            if self.print_pod_logs_on_exit:
                _print(log)
        return ended

    def _check_outputs(self, ended: Verdict, order: Order) -> None:
        missing = [output for output in flatten(self.output()) if not output.exists()]
        if missing:
            raise _failure(
                replace(
                    verdict.output_missing(ended, _address(missing[0])),
                    remedy="its containers, or signal_complete(), have to make what output() "
                    f"names; log: {order.log}",
                ),
                order,
            )


def _is_marked(job: dict[str, Any]) -> bool:
    return READ in (job["metadata"].get("annotations") or {})


def _is_news(job: dict[str, Any], session: Session) -> bool:
    read = job["metadata"]["uid"] in session.read or _is_marked(job)
    return finished(job) == "Complete" and not read


def _pass_over_what_was_read(session: Session, work: str) -> None:
    """Let no Job be found whose end an earlier run has told already."""
    with contextlib.suppress(TacError):  # the attempt says it better
        session.reflector.wait_until_listed(Timeouts().first_answer_timeout_seconds)
    marked = filter(_is_marked, session.reflector.jobs_of(work))
    session.read.update(job["metadata"]["uid"] for job in marked)


def _mark_as_read(session: Session, work: str) -> None:
    """Mark the Jobs that stay although their end was told here; those that do not, need no mark."""
    for job in session.reflector.jobs_of(work):
        metadata = job["metadata"]
        if metadata["uid"] in session.read and not _is_marked(job):
            # The uid makes it fail where another driver has put another Job in its place.
            mark = {"uid": metadata["uid"], "annotations": {READ: session.host}}
            try:
                session.client.patch("Job", metadata["name"], {"metadata": mark})
            except (NotFound, Conflict):  # deleted: what never ran is, and whoever likes may do it
                pass
            except TacError as error:  # the next run believes it once more
                _log.warning("%s", error.message)


def _address(output: Any) -> str:
    """Return what tells an output apart, where it says so; a repr may hold its place in memory."""
    return str(getattr(output, "path", type(output).__qualname__))


def _begin(path: Path, headline: str) -> Log:
    try:
        return begin_log(path, headline)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written: {error.strerror}",
            hint="TAC_LOGS names another directory for logs",
        ) from error


def _print(log: Log) -> None:
    with log.again() as whole:
        whole.finish(lambda line: _log.info("%s", plain_line(line, limit=None)))


def _failure(ended: Verdict, order: Order) -> StepFailed:
    return StepFailed(f"task/{order.name}: {ended.detail}", hint=ended.remedy)
