"""KubernetesJobTask: Luigi's class of that name, with tac's way of running a Job beneath it.

A drop-in: `from tac.kubernetes import KubernetesJobTask` in the place of
`from luigi.contrib.kubernetes import KubernetesJobTask`. Its public properties mean what they mean
there, but nothing is polled, a restarted driver adopts its Job, and a failure says why.
docs/kubernetes.md lists where the two differ.
"""

# mypy: disable-error-code="no-untyped-call"
# (Luigi gives its methods no types.)

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from luigi.task import flatten

from tac import names, settings, verdict
from tac.configuration import LUIGIS_KUBECONFIG
from tac.errors import ConfigError, Conflict, NotFound, StepFailed, TacError
from tac.kubernetes.luigis_class import LuigisKubernetesJobTask
from tac.kubernetes.objects import finished
from tac.log_file import LogWriter, begin_log
from tac.luigi_task import StoppableTask
from tac.names import READ
from tac.plain import plain_line
from tac.request import RunRequest
from tac.retry import job_budgets, run_attempts
from tac.signals import stopped_by_signals

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tac.kubernetes.attempt.session import Session
    from tac.log_file import Log
    from tac.verdict import Verdict

_log = logging.getLogger("luigi-interface")

_NOT_A_PIPELINES = {"luigi.contrib.kubernetes", "tac.kubernetes.job_task", "tac.step_task"}
"""The modules that define the defaults; any other class that defines a property overrides it."""


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
            StepFailed: it failed, or was deleted.
            ConfigError: the kubeconfig, or the task, cannot be used.
        """
        # Here, and not at the head: who only says what a task is loads no client.
        from tac.kubernetes.attempt.session_pool import SessionKey, acquire_session

        (request, manifest), stop = self._request_and_manifest(), self._stop
        work = self.job_uuid
        key = SessionKey(request.namespace, request.kubeconfig, request.auth_method)
        with acquire_session(key) as session:
            request = replace(request, is_done=partial(self._is_done, session, work))
            attempt = partial(self._attempt, session, manifest, stop)
            _pass_over_what_was_read(session, work)
            try:
                with stopped_by_signals(stop):
                    ended = self._until_success(request, attempt, job_budgets(), stop)
            except StepFailed:
                _annotate_as_reported(session, work)
                raise
            self.signal_complete()
            jobs = session.reflector.jobs_of(work)
            session.reported.update(job["metadata"]["uid"] for job in jobs)
            if self.delete_on_success:
                session.cleaner.delete_jobs_of(work)
            else:
                _annotate_as_reported(session, work)
            self._check_outputs(ended, request)
        self._succeeded = self.in_our_worker and not self._can_tell()

    def _init_kubernetes(self) -> None:
        """Set what Luigi's class sets before it reads `spec_schema`, by identity.

        The names of the Job itself, which depend on its pod too, replace them afterwards.
        """
        self.job_uuid = names.digest(self.name, self.task_id, *self._outputs())
        self.uu_name = f"{names.slug(self.name)}-{self.job_uuid}"

    def _outputs(self) -> list[str]:
        return [_address(output) for output in flatten(self.output())]

    def _overrides(self, name: str) -> bool:
        """Tell whether a class of the pipeline defines a property: neither Luigi's nor ours."""
        says = next(each for each in type(self).__mro__ if name in vars(each))
        return says.__module__ not in _NOT_A_PIPELINES

    def _api_server(self) -> dict[str, str]:
        """Return where its Job is: from the class, else tac's settings, else `[kubernetes]`.

        What is empty comes from the kubeconfig.
        """
        chosen = settings.current()
        method, path = str(self.auth_method), str(self.kubeconfig_path)
        if method not in settings.AUTH_METHODS:
            raise ConfigError(
                f"{self.name}: auth_method {method!r} is neither kubeconfig nor service-account"
            )
        if chosen.kubernetes_context and not self._overrides("auth_method"):
            method = "kubeconfig"
        if path == LUIGIS_KUBECONFIG and not self._overrides("kubeconfig_path"):
            path = ""
        namespace = str(self.kubernetes_namespace or "")
        if not self._overrides("kubernetes_namespace"):
            namespace = chosen.kubernetes_namespace or namespace
        return {"namespace": namespace, "kubeconfig": path, "auth_method": method}

    def _request(self, name: str, **more: Any) -> RunRequest:
        """Return what is asked for, whichever runner is asked; its log has that name."""
        log = _log_path(name)
        deadline = self.active_deadline_seconds
        values = {
            "name": name,
            "argv": (),
            "environment": {},
            "log": log,
            "labels": self.labels or {},
            "active_deadline_seconds": None if deadline is None else int(deadline),
            "located": partial(self.report_location, log=log),
            **self._api_server(),
        }
        return RunRequest(**{**values, **more})

    def _request_and_manifest(self) -> tuple[RunRequest, dict[str, Any]]:
        """Return what is asked for, and the Job that is it."""
        from tac.kubernetes.manifests.pod_spec_job import build_pod_spec_job

        self._init_kubernetes()
        request = self._request(
            self.name,
            pod=self.spec_schema,
            identity=(self.task_id, *self._outputs()),
            backoff_limit=self._most_retries(),
            foreign_exit_codes=True,
            keep=True,  # until signal_complete() has been called
            audience=verdict.Audience.JOB_TASK,
        )
        manifest = build_pod_spec_job(request)
        self.uu_name = name = manifest["metadata"]["name"]
        self.job_uuid = manifest["metadata"]["labels"][names.WORK]
        log = _log_path(name)
        located = partial(self.report_location, log=log)
        return replace(request, name=name, log=log, located=located), manifest

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
        """Whether a Job has succeeded whose end was not reported yet, or the task is complete."""
        if any(_is_unreported_success(job, session) for job in session.reflector.jobs_of(work)):
            return True
        return self._can_tell() and bool(self.complete())

    def _until_success(
        self,
        request: RunRequest,
        attempt: Callable[[RunRequest, Callable[[str], None]], Verdict],
        budgets: Mapping[verdict.Reason, tuple[float, ...]],
        stop: threading.Event,
    ) -> Verdict:
        """Make attempts until one succeeds; `attempt` gets the listener for the lines of the log.

        Raises:
            StepFailed: none did.
        """

        def make(number: int) -> Verdict:
            self.report_status(f"log: {request.log}")
            self.link(request.log.as_uri())
            with self.limited_reports():
                return attempt(
                    replace(request, attempt=number),
                    lambda line: self.report_progress(line, request.log),
                )

        def before_retry(ended: Verdict, pause: float) -> None:
            self._prepare_retry(ended, request)
            self.report_status(f"again in {pause:g} s: {self._failure(ended, request).message}")

        ended = run_attempts(make, budgets, stop=stop, before_retry=before_retry)
        if not ended.succeeded:
            raise self._failure(ended, request)
        return ended

    def _prepare_retry(self, ended: Verdict, request: RunRequest) -> None:
        """Prepare another attempt; raises where there must be none."""

    def _failure(self, ended: Verdict, request: RunRequest) -> StepFailed:
        return StepFailed(f"task/{request.name}: {ended.detail}", hint=ended.remedy)

    def _attempt(
        self,
        session: Session,
        manifest: dict[str, Any],
        stop: threading.Event,
        request: RunRequest,
        follow: Callable[[str], None],
    ) -> Verdict:
        from tac.kubernetes.attempt.attempt import JobAttempt
        from tac.kubernetes.attempt.context import AttemptContext
        from tac.kubernetes.attempt.timeouts import Timeouts

        again = f"  # attempt {request.attempt}" if request.attempt > 1 else ""
        log = _begin(request.log, f"job/{request.name}{again}")
        _log.info("job/%s: its log is %s", request.name, request.log)
        chosen = settings.current()
        timeouts = Timeouts().with_settings(
            grace_seconds=chosen.stop_grace_seconds, scheduling_seconds=chosen.scheduling_seconds
        )
        with log:
            with LogWriter(log, follow, request.located) as writer:
                context = AttemptContext(session, request, manifest, writer, stop, timeouts)
                ended = JobAttempt(context).run()
            if self.print_pod_logs_on_exit:
                _print(log)
        return ended

    def _check_outputs(self, ended: Verdict, request: RunRequest) -> None:
        missing = [output for output in flatten(self.output()) if not output.exists()]
        if missing:
            remedy = (
                "its containers, or signal_complete(), have to make what output() names; "
                f"log: {request.log}"
            )
            ended = verdict.output_missing(ended, _address(missing[0]))
            raise self._failure(replace(ended, remedy=remedy), request)


def _log_path(name: str) -> Path:
    return (settings.current().log_directory / f"{name}.log").absolute()


def _is_marked(job: dict[str, Any]) -> bool:
    return READ in (job["metadata"].get("annotations") or {})


def _is_unreported_success(job: dict[str, Any], session: Session) -> bool:
    reported = job["metadata"]["uid"] in session.reported or _is_marked(job)
    return finished(job) == "Complete" and not reported


def _pass_over_what_was_read(session: Session, work: str) -> None:
    """Adopt no Job whose end an earlier run has reported."""
    from tac.kubernetes.attempt.timeouts import Timeouts

    with contextlib.suppress(TacError):  # the attempt says it better
        session.reflector.wait_until_listed(Timeouts().first_answer_timeout_seconds)
    marked = filter(_is_marked, session.reflector.jobs_of(work))
    session.reported.update(job["metadata"]["uid"] for job in marked)


def _annotate_as_reported(session: Session, work: str) -> None:
    """Mark the Jobs that are kept although their end was reported here."""
    for job in session.reflector.jobs_of(work):
        metadata = job["metadata"]
        if metadata["uid"] in session.reported and not _is_marked(job):
            # The uid makes it fail where another driver has put another Job in its place.
            mark = {"uid": metadata["uid"], "annotations": {READ: session.host}}
            try:
                session.client.patch("Job", metadata["name"], {"metadata": mark})
            except (NotFound, Conflict):  # deleted meanwhile, by this or another driver
                pass
            except TacError as error:  # the next run reports its end once more
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
