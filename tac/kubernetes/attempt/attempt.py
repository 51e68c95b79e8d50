"""One attempt at a piece of work as a Job: created or adopted, followed, concluded.

An API server that is unavailable meanwhile is waited for: the pod runs on without it.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tac import names, verdict
from tac.errors import ApiError, ApiUnavailable, TacError
from tac.kubernetes.attempt.adopt import ensure_job
from tac.kubernetes.attempt.finish import conclude_attempt, conclude_given_up, read_log_end
from tac.kubernetes.attempt.timeouts import StageTimeouts
from tac.kubernetes.diagnosis.capacity import fits_after_termination
from tac.kubernetes.diagnosis.diagnose import diagnose
from tac.kubernetes.diagnosis.stage import STAGE_TIMEOUT_SECONDS, Diagnosis, Stage
from tac.kubernetes.watch.log_follower import LogFollower, discard
from tac.progress import Location, Progress, format_progress

if TYPE_CHECKING:
    from tac.kubernetes.attempt.context import AttemptContext
    from tac.kubernetes.objects import Object
    from tac.kubernetes.watch.reflector import View
    from tac.verdict import Verdict

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
"""How often an attempt looks whether it is to stop; that costs no request."""

_DIAGNOSIS_SECONDS = 1.0
"""How often a Job is diagnosed although no event came: a node is lost by time alone."""

_MORE_TO_STOP_SECONDS = 15.0
"""A deletion goes through the garbage collector, which takes a second or two, before the grace."""

_EVENTS_SECONDS = 5.0
"""Within it most pods start, and their events are not listed."""

_SILENT_START_SECONDS = 2.0
"""What a pod is pending for so briefly is not shown in the log and the dashboard."""

_STATES = {
    Stage.NO_POD: "pending: waiting for its pod",
    Stage.SCHEDULING: "pending: waiting for a node",
    Stage.IMAGE: "pending: waiting for its image",
    Stage.STARTING: "starting",
    Stage.RUNNING: "running",
    Stage.NODE_SILENT: "lost",
}


class JobAttempt:
    """One Job from its creation, or adoption, to its end."""

    def __init__(self, context: AttemptContext) -> None:
        self._context = context
        self._stage_timeouts = StageTimeouts(context.timeouts.stages)
        self._logged = self._shown = ""
        """What was last said of its state: to the driver's own log, and to the step's."""
        self._stopped_at: float | None = None
        self._last = Diagnosis(stage=Stage.NO_POD)
        self._diagnosed_revision = -1
        self._diagnose_again_at = 0.0
        self._followed = ("", "")
        """The pod and the container whose log is followed."""

    def run(self) -> Verdict:
        """Create the Job, or adopt one, follow it to its end, and return the verdict."""
        try:
            job = ensure_job(self._context)
        except TacError as error:
            return self._not_started(error)
        if job is None:
            return verdict.stopped_before_start()
        with self._context.session.reflector.following(job) as uid:
            try:
                ended = self._follow(uid, job)
                self._context.log.finish()
            except BaseException as error:
                # What `follow` of the request raises ends the Job first; a bug of ours does not.
                if error is self._context.log.raised:
                    self._context.delete(job)
                    raise
                if isinstance(error, TacError):
                    return self._lost_sight(job, error)
                raise
            return ended

    def _not_started(self, error: TacError) -> Verdict:
        if isinstance(error, ApiUnavailable):
            return verdict.no_cluster(error.message, error.hint or "")
        return verdict.cannot_start(
            error.message, log=str(self._context.request.log), remedy=error.hint
        )

    def _lost_sight(self, job: Object, error: TacError) -> Verdict:
        name = job["metadata"]["name"]
        goes_on = f"job/{name} may still run, and the next run of the same command goes on with it"
        return verdict.lost(
            error.message,
            seconds=self._context.seconds(),
            log=str(self._context.request.log),
            remedy="; ".join(filter(None, (error.hint, goes_on))),
        )

    def _follow(self, uid: str, job: Object) -> Verdict:
        """Copy its log until it has ended, and conclude."""
        follower: LogFollower | None = None
        view = self._context.session.reflector.see(uid)
        try:
            while True:
                if (stopped := self._stop_if_requested(job)) is not None:
                    return stopped
                view, diagnosis = self._look(uid, view)
                if (given_up := self._give_up(uid, diagnosis)) is not None:
                    return given_up
                if diagnosis.over:
                    break
                if diagnosis.stage is Stage.RUNNING and diagnosis.pod:
                    follower = self._follow_log(follower, diagnosis, self._main_container())
                self._raise_if_unreachable()
                view = self._context.session.reflector.wait(uid, view, _LOOK_SECONDS)
                self._context.log.follow()
            if diagnosis.pod:  # the log ends with that of the container that decided
                container = diagnosis.container or self._main_container()
                follower = self._follow_log(follower, diagnosis, container)
            read_log_end(self._context, follower, diagnosis)
        finally:
            discard(follower)
        ours = self._stopped_at is not None
        return conclude_attempt(self._context, view, diagnosis, we_stopped_it=ours)

    def _look(self, uid: str, view: View) -> tuple[View, Diagnosis]:
        """Diagnose it, if it may have changed, and log its state; return what that is based on."""
        if view.revision == self._diagnosed_revision and time.monotonic() < self._diagnose_again_at:
            return view, self._last
        diagnosis = self._diagnose(view)
        if diagnosis.over and not diagnosis.pod:
            # The watch of Jobs may be ahead of that of pods, which alone have the exit code.
            view, diagnosis = self._list_and_diagnose(uid)
        self._stage_timeouts.look(diagnosis, time.monotonic())
        self._log_state(diagnosis)
        self._last, self._diagnosed_revision = diagnosis, view.revision
        self._diagnose_again_at = time.monotonic() + _DIAGNOSIS_SECONDS
        return view, diagnosis

    def _list_and_diagnose(self, uid: str) -> tuple[View, Diagnosis]:
        """Diagnose it by the pods that the API server lists now, however old the cache is."""
        self._context.relist_pods()
        view = self._context.session.reflector.see(uid)
        return view, self._diagnose(view)

    def _give_up(self, uid: str, diagnosis: Diagnosis) -> Verdict | None:
        """Give it up, if a timeout is over or its error is permanent; None: follow it on."""
        if self._will_not_end(diagnosis):
            return self._goes_on(diagnosis)
        if not self._stage_timeouts.is_over(diagnosis):
            return None
        # A watch without events must not end a Job that runs, or has even succeeded.
        view, diagnosis = self._list_and_diagnose(uid)
        self._stage_timeouts.look(diagnosis, time.monotonic())
        if not self._stage_timeouts.is_over(diagnosis):
            return None
        return conclude_given_up(self._context, view, diagnosis, self._stage_timeouts)

    def _diagnose(self, view: View) -> Diagnosis:
        now = self._context.session.client.now()
        diagnosis = diagnose(view.job, view.pods, (), now=now, was=view.was)
        if diagnosis.stage in STAGE_TIMEOUT_SECONDS and self._context.seconds() > _EVENTS_SECONDS:
            events = self._context.session.reflector.events(view.uids)
            diagnosis = diagnose(view.job, view.pods, events, now=now, was=view.was)
        if self._fits_later(view, diagnosis):
            return replace(diagnosis, permanent=False, makes_progress=True)
        return diagnosis

    def _fits_later(self, view: View, diagnosis: Diagnosis) -> bool:
        if diagnosis.stage is not Stage.SCHEDULING:
            return False
        if not diagnosis.permanent and not self._stage_timeouts.is_half_over(diagnosis):
            return False  # looking at all pods is dear
        pods = [pod for other in self._context.session.reflector.jobs() for pod in other.pods]
        return any(
            fits_after_termination(pod, pods, diagnosis.detail)
            for pod in view.pods
            if pod["metadata"]["name"] == diagnosis.pod
        )

    def _log_state(self, diagnosis: Diagnosis) -> None:
        """Log its state when it changes, and, while it is pending, in the step's log too."""
        if diagnosis.stage not in _STATES:
            return
        where = f" on {diagnosis.node}" if diagnosis.node else ""
        detail = f": {diagnosis.detail}" if diagnosis.detail else ""
        text = f"{_STATES[diagnosis.stage]}{where}{detail}"
        if text != self._logged:
            self._logged = text
            _log.info("job/%s: %s", diagnosis.job, text)
        pending = diagnosis.stage in STAGE_TIMEOUT_SECONDS and text != self._shown
        if pending and self._context.seconds() > _SILENT_START_SECONDS:
            self._shown = text
            self._context.log.say(format_progress(Progress(0, text)))

    def _follow_log(
        self, follower: LogFollower | None, diagnosis: Diagnosis, container: str
    ) -> LogFollower:
        """Follow the log of a container; the rest of the one before is read first."""
        followed = (diagnosis.pod, container)
        if follower is not None:
            if self._followed == followed:
                return follower
            with contextlib.suppress(ApiError, ApiUnavailable):  # its pod may be gone
                follower.finish(read_rest=True)
        if self._followed[0] != diagnosis.pod:
            where = f" on {diagnosis.node}" if diagnosis.node else ""
            shows = f"{self._context.kubectl} logs --follow {shlex.quote(diagnosis.pod)}"
            namespace = self._context.session.client.place.namespace
            text = f"pod/{diagnosis.pod}{where}: {shows}"
            self._context.log.locate(Location(diagnosis.pod, namespace, text))
        self._followed = followed
        return LogFollower(
            self._context.session.client,
            diagnosis.pod,
            container,
            self._context.log.write,
            self._context.session.streams,
        )

    def _main_container(self) -> str:
        containers = self._context.manifest["spec"]["template"]["spec"]["containers"]
        return str(containers[0]["name"])

    def _raise_if_unreachable(self) -> None:
        # An attempt that adopts a Job which another gave up has a whole timeout.
        seconds = min(
            self._context.session.reflector.unreachable_seconds(), self._context.seconds()
        )
        if seconds > self._context.unavailable_timeout_seconds():
            raise ApiUnavailable(
                f"the API server of {self._context.session.client.place.context} "
                f"has not answered for {seconds:.0f} s"
            )

    # When it is stopped.

    def _stop_if_requested(self, job: Object) -> Verdict | None:
        if not self._context.stop_requested() or self._stopped_at is not None:
            return None
        if self._context.session.keeps_jobs_on_stop:
            return self._left(job)
        error = self._cancel(job)
        return None if error is None else self._not_ended(job, error)

    def _left(self, job: Object) -> Verdict:
        name = job["metadata"]["name"]
        return verdict.left_running(
            f"job/{name}",
            f"{self._context.kubectl} delete job {name}",
            seconds=self._context.seconds(),
        )

    def _not_ended(self, job: Object, error: TacError) -> Verdict:
        name = job["metadata"]["name"]
        ends = f"`{self._context.kubectl} delete job {name}` ends it"
        return verdict.may_still_run(
            f"job/{name}",
            error.message,
            "; ".join(filter(None, (error.hint, ends))),
            seconds=self._context.seconds(),
        )

    def _goes_on(self, diagnosis: Diagnosis) -> Verdict:
        who = f"node/{diagnosis.node}" if diagnosis.node else "Kubernetes"
        return verdict.may_still_run(
            f"pod/{diagnosis.pod}",
            f"job/{diagnosis.job} was deleted, and {who} does not say that its container ended",
            f"`{self._context.kubectl} get pod {diagnosis.pod}` shows whether it does",
            seconds=self._context.seconds(),
        )

    def _cancel(self, job: Object) -> TacError | None:
        """Delete it, with our host on it for other drivers; return why it could not be deleted."""
        self._stopped_at = time.monotonic()
        metadata = job["metadata"]
        # The uid makes it fail where another driver has created another Job of that name.
        cancelled = {
            "metadata": {
                "uid": metadata["uid"],
                "annotations": {names.CANCELLED_BY: self._context.session.host},
            }
        }
        client = self._context.session.client
        try:
            self._context.retry_unavailable(
                lambda: client.patch("Job", metadata["name"], cancelled)
            )
        except ApiUnavailable as error:
            return error
        except ApiError:  # deleted already; or forbidden, and then it is deleted without
            pass
        return self._context.delete(job)

    def _will_not_end(self, diagnosis: Diagnosis) -> bool:
        """Whether its container may run on beyond its grace period."""
        if self._stopped_at is None or not diagnosis.pod:
            return False
        limit = self._context.timeouts.grace_seconds + _MORE_TO_STOP_SECONDS
        too_long = time.monotonic() - self._stopped_at > limit
        return diagnosis.stage is Stage.NODE_SILENT or (too_long and not diagnosis.over)
