"""The end of an attempt: its last words, its verdict, its black box, and what is deleted then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tac import exits, verdict
from tac.errors import ApiError, ApiUnavailable, TacError
from tac.kubernetes.conclusion import conclude, give_up
from tac.kubernetes.log import discard
from tac.kubernetes.pauses import patiently
from tac.kubernetes.stages import Stage

if TYPE_CHECKING:
    from tac.kubernetes.errand import Errand
    from tac.kubernetes.log import LogFollower
    from tac.kubernetes.patience import Patience
    from tac.kubernetes.reflector import View
    from tac.kubernetes.stages import Diagnosis
    from tac.verdict import Verdict

_KILLED = 137


def read_last_words(errand: Errand, follower: LogFollower | None, diagnosis: Diagnosis) -> None:
    """Let those who listen hear what they have not heard yet of a container that is over."""
    try:
        if follower is not None:
            _read_rest(errand, follower, diagnosis)
    except (ApiError, ApiUnavailable) as error:
        errand.log.note(f"its last words could not be read: {error.message}")
        if diagnosis.detail:
            errand.log.write(f"{diagnosis.detail}\n".encode())
    errand.log.finish()


def _read_rest(errand: Errand, follower: LogFollower, diagnosis: Diagnosis) -> None:
    if diagnosis.stage is Stage.ENDED:
        patiently(lambda: follower.finish(read_rest=True), lambda: _patience_with_a_node(errand))
    elif diagnosis.stage is Stage.GONE:  # perhaps its pod is still there, and if not nobody minds
        try:
            follower.finish(read_rest=True)
        except (ApiError, ApiUnavailable):
            discard(follower)
    else:
        discard(follower)


def _patience_with_a_node(errand: Errand) -> float:
    """Return how long a log that cannot be read is waited for: who is away decides."""
    if errand.shared.reflector.away_seconds():
        return errand.patience_seconds()
    return errand.shared.limits.last_words_seconds


def conclude_in_vain(
    errand: Errand, view: View, diagnosis: Diagnosis, patience: Patience
) -> Verdict:
    """Give up a Job that does not get to its program, and delete it."""
    ended = give_up(
        diagnosis,
        name=diagnosis.job,
        place=errand.shared.client.place,
        waited_seconds=patience.waited_seconds(diagnosis),
        limit_seconds=patience.limit_seconds(diagnosis),
    )
    errand.collect(view, ended)
    if view.job is not None:
        errand.put_away(view.job)
        errand.delete(view.job)
    return ended


def conclude_attempt(
    errand: Errand, view: View, diagnosis: Diagnosis, *, we_stopped_it: bool
) -> Verdict:
    """Say what an attempt came to; a failure is kept, and a success is cleaned up."""
    ended = _judge(errand, diagnosis, we_stopped_it=we_stopped_it)
    succeeded, kept = ended.next is verdict.Next.ACCEPT, True
    if succeeded and errand.order.keep:
        return ended  # it is put away by those who take note of it
    if succeeded and _left_its_output(errand):
        errand.shared.cleaner.clean(errand.order.work)
    elif not we_stopped_it:
        # A node that is lost would be waited for, and the next attempt with it.
        kept = errand.collect(view, ended, logs=diagnosis.stage is not Stage.LOST)
    for job in (view.job, view.was):
        if job is not None:
            errand.put_away(job, delete=kept)
    return ended


def _judge(errand: Errand, diagnosis: Diagnosis, *, we_stopped_it: bool) -> Verdict:
    seconds = errand.seconds()
    if not we_stopped_it and _was_published_all_the_same(errand, diagnosis):
        done = exits.Ending(exit_code=0, seconds=seconds)
        return exits.judge(done, (), log=errand.order.log)
    ending = diagnosis.ending or exits.Ending(seconds=seconds)
    ending = replace(ending, own_exit_codes=errand.order.own_exit_codes)
    return conclude(
        replace(diagnosis, ending=ending),
        errand.log.tail(),
        job=diagnosis.job,
        place=errand.shared.client.place,
        log=errand.order.log,
        stop=_how_stopped(diagnosis) if we_stopped_it else exits.Stop.NOT_ASKED,
    )


def _how_stopped(diagnosis: Diagnosis) -> exits.Stop:
    # What we deleted we told to stop; exit code 137 is what the kubelet does after the grace.
    code = diagnosis.ending.exit_code if diagnosis.ending is not None else None
    return exits.Stop.FORCED if code == _KILLED else exits.Stop.ASKED


def _was_published_all_the_same(errand: Errand, diagnosis: Diagnosis) -> bool:
    """Whether the work is done, although nobody can tell by its container.

    Another driver has read the Job and removed it, or the node was lost behind the last byte.
    """
    told = diagnosis.ending is not None and diagnosis.reason is None
    if told or errand.order.is_done is None:
        return False
    return errand.order.is_done()


def _left_its_output(errand: Errand) -> bool:
    """Whether a success is one, as far as can be told; of another only the Job tells why."""
    try:
        return errand.order.is_done is None or errand.order.is_done()
    except TacError:  # the store is away; whoever wants the output will ask it
        return False
