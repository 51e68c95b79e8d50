"""The end of an attempt: its last words, its verdict, its black box, and what is deleted then."""

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
    """Let those who listen hear what they have not heard yet of a container that is over."""
    try:
        if follower is not None:
            _read_rest(context, follower, diagnosis)
    except (ApiError, ApiUnavailable) as error:
        context.log.note(f"its last words could not be read: {error.message}")
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
    elif diagnosis.stage is Stage.GONE:  # perhaps its pod is still there, and if not nobody minds
        try:
            follower.finish(read_rest=True)
        except (ApiError, ApiUnavailable):
            discard(follower)
    else:
        discard(follower)


def _node_timeout_seconds(context: AttemptContext) -> float:
    """Return how long a log that cannot be read is waited for: who is away decides."""
    if context.session.reflector.unreachable_seconds():
        return context.unavailable_timeout_seconds()
    return context.timeouts.log_end_timeout_seconds


def conclude_given_up(
    context: AttemptContext, view: View, diagnosis: Diagnosis, stage_timeouts: StageTimeouts
) -> Verdict:
    """Give up a Job that does not get to its program, and delete it."""
    ended = give_up(
        diagnosis,
        place=context.session.client.place,
        waited_seconds=stage_timeouts.waited_seconds(diagnosis),
        limit_seconds=stage_timeouts.limit_seconds(diagnosis),
        audience=context.request.audience,
    )
    context.collect(view, ended)
    if view.job is not None:
        context.put_away(view.job)
        context.delete(view.job)
    return ended


def conclude_attempt(
    context: AttemptContext, view: View, diagnosis: Diagnosis, *, we_stopped_it: bool
) -> Verdict:
    """Say what an attempt came to; a failure is kept, and a success is cleaned up."""
    ended = _judge(context, diagnosis, we_stopped_it=we_stopped_it)
    succeeded, kept = ended.succeeded, True
    if succeeded and context.request.keep:
        return ended  # it is put away by those who take note of it
    if succeeded and _left_its_output(context):
        context.session.cleaner.clean(context.work)
    elif not we_stopped_it:
        # A node that is lost would be waited for, and the next attempt with it.
        kept = context.collect(view, ended, logs=diagnosis.stage is not Stage.LOST)
    for job in (view.job, view.was):
        if job is not None:
            context.put_away(job, delete=kept)
    return ended


def _judge(context: AttemptContext, diagnosis: Diagnosis, *, we_stopped_it: bool) -> Verdict:
    seconds = context.seconds()
    if not we_stopped_it and _was_published_all_the_same(context, diagnosis):
        done = exits.Ending(exit_code=0, seconds=seconds)
        return exits.judge(done, (), log=str(context.request.log))
    ending = diagnosis.ending or exits.Ending(seconds=seconds)
    ending = replace(ending, own_exit_codes=context.request.own_exit_codes)
    return conclude(
        replace(diagnosis, ending=ending),
        context.log.tail(),
        place=context.session.client.place,
        log=str(context.request.log),
        stop=_how_stopped(diagnosis) if we_stopped_it else exits.Stop.NOT_REQUESTED,
        audience=context.request.audience,
    )


def _how_stopped(diagnosis: Diagnosis) -> exits.Stop:
    # What we deleted we told to stop; exit code 137 is what the kubelet does after the grace.
    code = diagnosis.ending.exit_code if diagnosis.ending is not None else None
    return exits.Stop.FORCED if code == _KILLED else exits.Stop.REQUESTED


def _was_published_all_the_same(context: AttemptContext, diagnosis: Diagnosis) -> bool:
    """Whether the work is done, although nobody can tell by its container.

    Another driver has read the Job and removed it, or the node was lost behind the last byte.
    """
    told = diagnosis.ending is not None and diagnosis.reason is None
    return not told and bool(context.is_done())


def _left_its_output(context: AttemptContext) -> bool:
    """Whether a success is one, as far as can be told; of another only the Job tells why."""
    try:
        return context.is_done() is not False
    except TacError:  # the store is away; whoever wants the output will ask it
        return False
