"""One attempt at a piece of work as a Job: made or found, followed, read, collected, cleaned.

An API server that goes away meanwhile is waited for: the pod goes on without it.
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
"""How often it is looked whether we are to stop; the API server is asked nothing for it."""

_DIAGNOSIS_SECONDS = 1.0
"""How often it is judged anew although nothing was told: time alone makes a node a lost one."""

_MORE_TO_STOP_SECONDS = 15.0
"""A deletion goes through the garbage collector, which takes a second or two, before the grace."""

_EVENTS_SECONDS = 5.0
"""A pod that starts as pods do is not worth asking for its events."""

_SILENT_START_SECONDS = 2.0
"""What passes sooner is not worth a line in the log and the dashboard."""

_DOING = {
    Stage.NO_POD: "waits for its pod",
    Stage.SCHEDULING: "waits for a node",
    Stage.IMAGE: "waits for its image",
    Stage.STARTING: "starts",
    Stage.RUNNING: "runs",
    Stage.LOST: "is lost",
}


class JobAttempt:
    """One Job from its making, or its finding, to its end."""

    def __init__(self, context: AttemptContext) -> None:
        self._context = context
        self._stage_timeouts = StageTimeouts(context.timeouts.stages)
        self._told = ""
        self._stopped_at: float | None = None
        self._last = Diagnosis(stage=Stage.NO_POD)
        self._looked_at = -1
        self._look_again_at = 0.0
        self._heard = ("", "")
        self._shown = ""

    def run(self) -> Verdict:
        """Run it to its end, whoever began it, and say what it came to."""
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
                # What those who listen raise ends the Job first; a bug of ours is not the Job's.
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
        """Copy what it says until it has ended, and conclude."""
        follower: LogFollower | None = None
        view = self._context.session.reflector.see(uid)
        try:
            while True:
                if (stopped := self._stop_if_told(job)) is not None:
                    return stopped
                view, diagnosis = self._look(uid, view)
                if (given_up := self._give_up(uid, diagnosis)) is not None:
                    return given_up
                if diagnosis.over:
                    break
                if diagnosis.stage is Stage.RUNNING and diagnosis.pod:
                    follower = self._listen(follower, diagnosis, self._main_container())
                self._check_that_the_server_is_there()
                view = self._context.session.reflector.wait(uid, view, _LOOK_SECONDS)
                self._context.log.follow()
            if diagnosis.pod:  # the last words are those of the container that decided
                container = diagnosis.container or self._main_container()
                follower = self._listen(follower, diagnosis, container)
            read_log_end(self._context, follower, diagnosis)
        finally:
            discard(follower)
        ours = self._stopped_at is not None
        return conclude_attempt(self._context, view, diagnosis, we_stopped_it=ours)

    def _look(self, uid: str, view: View) -> tuple[View, Diagnosis]:
        """Tell how far it is, also to those who listen, and what is known of it by then."""
        if view.revision == self._looked_at and time.monotonic() < self._look_again_at:
            return view, self._last
        diagnosis = self._diagnose(view)
        if diagnosis.over and not diagnosis.pod:
            # The watch of Jobs may be ahead of that of pods, which alone tell the exit code.
            view, diagnosis = self._ask(uid)
        self._stage_timeouts.look(diagnosis, time.monotonic())
        self._tell(diagnosis)
        self._last, self._looked_at = diagnosis, view.revision
        self._look_again_at = time.monotonic() + _DIAGNOSIS_SECONDS
        return view, diagnosis

    def _ask(self, uid: str) -> tuple[View, Diagnosis]:
        """Tell how far it is by what the API server says now, whatever the watches have told."""
        self._context.find_pods()
        view = self._context.session.reflector.see(uid)
        return view, self._diagnose(view)

    def _give_up(self, uid: str, diagnosis: Diagnosis) -> Verdict | None:
        """Give it up, if it is waited for in vain; None: it goes on, or is over."""
        if self._will_not_end(diagnosis):
            return self._goes_on(diagnosis)
        if not self._stage_timeouts.is_over(diagnosis):
            return None
        # A watch that tells nothing must not cost the life of what runs, or has even ended.
        view, diagnosis = self._ask(uid)
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
        if self._waits_its_turn(view, diagnosis):
            return replace(diagnosis, permanent=False, makes_progress=True)
        return diagnosis

    def _waits_its_turn(self, view: View, diagnosis: Diagnosis) -> bool:
        if diagnosis.stage is not Stage.SCHEDULING:
            return False
        if not diagnosis.permanent and not self._stage_timeouts.is_half_over(diagnosis):
            return False  # it takes a look at all pods
        pods = [pod for other in self._context.session.reflector.jobs() for pod in other.pods]
        return any(
            fits_after_termination(pod, pods, diagnosis.detail)
            for pod in view.pods
            if pod["metadata"]["name"] == diagnosis.pod
        )

    def _tell(self, diagnosis: Diagnosis) -> None:
        """Say once what it does now, or waits for."""
        if diagnosis.stage not in _DOING:
            return
        where = f" on {diagnosis.node}" if diagnosis.node else ""
        detail = f": {diagnosis.detail}" if diagnosis.detail else ""
        text = f"{_DOING[diagnosis.stage]}{where}{detail}"
        if text != self._told:
            self._told = text
            _log.info("job/%s: %s", diagnosis.job, text)
        waits = diagnosis.stage in STAGE_TIMEOUT_SECONDS and text != self._shown
        if waits and self._context.seconds() > _SILENT_START_SECONDS:
            self._shown = text
            self._context.log.say(format_progress(Progress(0, text)))

    def _listen(
        self, follower: LogFollower | None, diagnosis: Diagnosis, container: str
    ) -> LogFollower:
        """Listen to a container; what is missing of the one before is read first."""
        heard = (diagnosis.pod, container)
        if follower is not None:
            if self._heard == heard:
                return follower
            with contextlib.suppress(ApiError, ApiUnavailable):  # its pod may be gone
                follower.finish(read_rest=True)
        if self._heard[0] != diagnosis.pod:
            where = f" on {diagnosis.node}" if diagnosis.node else ""
            shows = f"{self._context.kubectl} logs --follow {shlex.quote(diagnosis.pod)}"
            namespace = self._context.session.client.place.namespace
            text = f"pod/{diagnosis.pod}{where}: {shows}"
            self._context.log.locate(Location(diagnosis.pod, namespace, text))
        self._heard = heard
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

    def _check_that_the_server_is_there(self) -> None:
        # One that comes back to its Job after another has given up has patience of its own.
        away = min(self._context.session.reflector.unreachable_seconds(), self._context.seconds())
        if away > self._context.unavailable_timeout_seconds():
            raise ApiUnavailable(
                f"the API server of {self._context.session.client.place.context} "
                f"has not answered for {away:.0f} s"
            )

    # When we are told to stop.

    def _stop_if_told(self, job: Object) -> Verdict | None:
        if not self._context.stop_requested() or self._stopped_at is not None:
            return None
        if self._context.session.leaves:
            return self._left(job)
        error = self._end(job)
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

    def _end(self, job: Object) -> TacError | None:
        """Delete it, and tell other drivers who did; return why it could not be."""
        self._stopped_at = time.monotonic()
        metadata = job["metadata"]
        # The uid makes it fail where another driver has put another Job in its place.
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
        except ApiError:  # gone already; or we may not, and delete it unsigned
            pass
        return self._context.delete(job)

    def _will_not_end(self, diagnosis: Diagnosis) -> bool:
        """Whether its container may go on beyond the grace that it was given."""
        if self._stopped_at is None or not diagnosis.pod:
            return False
        limit = self._context.timeouts.grace_seconds + _MORE_TO_STOP_SECONDS
        too_long = time.monotonic() - self._stopped_at > limit
        return diagnosis.stage is Stage.LOST or (too_long and not diagnosis.over)
