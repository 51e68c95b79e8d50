"""The end of an attempt: the end of its log, its verdict, its black box, and the deletion."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tac import exits
from tac.backoff import retry_on
from tac.errors import ApiError, ApiUnavailable, TacError
from tac.kubernetes.diagnosis.stage import Stage
from tac.kubernetes.diagnosis.verdicts import conclude, give_up
from tac.kubernetes.watch.log_follower import discard

if TYPE_CHECKING:
    from tac.kubernetes.attempt.context import AttemptContext
    from tac.kubernetes.attempt.timeouts import StageTimeouts
    from tac.kubernetes.diagnosis.stage import Diagnosis
    from tac.kubernetes.watch.log_follower import LogFollower
    from tac.kubernetes.watch.reflector import View
    from tac.verdict import Verdict

_KILLED = 137


def read_log_end(
    context: AttemptContext, follower: LogFollower | None, diagnosis: Diagnosis
) -> None:
    """Copy what is missing of the log of a container that has ended."""
    try:
        if follower is not None:
            _read_rest(context, follower, diagnosis)
    except (ApiError, ApiUnavailable) as error:
        context.log.note(f"the end of its log could not be read: {error.message}")
        if diagnosis.detail:
            context.log.write(f"{diagnosis.detail}\n".encode())
    context.log.finish()


def _read_rest(context: AttemptContext, follower: LogFollower, diagnosis: Diagnosis) -> None:
    if diagnosis.stage is Stage.ENDED:
        retry_on(
            ApiUnavailable,
            lambda: follower.finish(read_rest=True),
            lambda: _node_timeout_seconds(context),
        )
    elif diagnosis.stage is Stage.DELETED:  # its pod may still exist; if not, its log is lost
        try:
            follower.finish(read_rest=True)
        except (ApiError, ApiUnavailable):
            discard(follower)
    else:
        discard(follower)


def _node_timeout_seconds(context: AttemptContext) -> float:
    """Return how long a log is asked for: longer if the API server, not a node, is unreachable."""
    if context.session.reflector.unreachable_seconds():
        return context.unavailable_timeout_seconds()
    return context.timeouts.log_end_timeout_seconds


def conclude_given_up(
    context: AttemptContext, view: View, diagnosis: Diagnosis, stage_timeouts: StageTimeouts
) -> Verdict:
    """Give up a Job whose container does not start, and delete it."""
    ended = give_up(
        diagnosis,
        place=context.session.client.place,
        waited_seconds=stage_timeouts.waited_seconds(diagnosis),
        limit_seconds=stage_timeouts.limit_seconds(diagnosis),
        audience=context.request.audience,
    )
    context.keep_black_box(view, ended)
    if view.job is not None:
        context.conclude_job(view.job)
        context.delete(view.job)
    return ended


def conclude_attempt(
    context: AttemptContext, view: View, diagnosis: Diagnosis, *, we_stopped_it: bool
) -> Verdict:
    """Return the verdict; a success is deleted, and of a failure a black box is kept."""
    ended = _judge(context, diagnosis, we_stopped_it=we_stopped_it)
    succeeded, kept = ended.succeeded, True
    if succeeded and context.request.keep:
        return ended  # the task marks it as read
    if succeeded and _left_its_output(context):
        context.session.cleaner.delete_jobs_of(context.work)
    elif not we_stopped_it:
        # Asking a lost node for logs would delay the next attempt.
        kept = context.keep_black_box(view, ended, logs=diagnosis.stage is not Stage.NODE_SILENT)
    for job in (view.job, view.was):
        if job is not None:
            context.conclude_job(job, delete=kept)
    return ended


def _judge(context: AttemptContext, diagnosis: Diagnosis, *, we_stopped_it: bool) -> Verdict:
    seconds = context.seconds()
    if not we_stopped_it and _was_published_anyway(context, diagnosis):
        done = exits.Ending(exit_code=0, seconds=seconds)
        return exits.judge(done, (), log=str(context.request.log))
    ending = diagnosis.ending or exits.Ending(seconds=seconds)
    ending = replace(ending, foreign_exit_codes=context.request.foreign_exit_codes)
    return conclude(
        replace(diagnosis, ending=ending),
        context.log.tail(),
        place=context.session.client.place,
        log=str(context.request.log),
        stop=_how_stopped(diagnosis) if we_stopped_it else exits.Stop.NOT_REQUESTED,
        audience=context.request.audience,
    )


def _how_stopped(diagnosis: Diagnosis) -> exits.Stop:
    # Deleting its Job stopped it; exit code 137 is SIGKILL of the kubelet after the grace period.
    code = diagnosis.ending.exit_code if diagnosis.ending is not None else None
    return exits.Stop.FORCED if code == _KILLED else exits.Stop.REQUESTED


def _was_published_anyway(context: AttemptContext, diagnosis: Diagnosis) -> bool:
    """Whether the work is done, although its container's exit code is not known.

    Another driver has read the Job and deleted it, or its node was lost after the last byte.
    """
    known = diagnosis.ending is not None and diagnosis.reason is None
    return not known and bool(context.is_done())


def _left_its_output(context: AttemptContext) -> bool:
    """Whether a success published its output, as far as is known; if not, its Job is evidence."""
    try:
        return context.is_done() is not False
    except TacError:  # the store is unavailable; the task asks it again
        return False
