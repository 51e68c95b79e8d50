"""Adopt a Job that does the work already, or create one.

Names are functions of identity, so a driver that was restarted finds its Job again, and two drivers
share one. The number at their end is one more than the highest of the Jobs of the same work that
still exist.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING

from tac import names
from tac.backoff import Backoff
from tac.errors import Conflict, Forbidden, NotFound, TacError
from tac.kubernetes.diagnosis.pending import fits_quota
from tac.kubernetes.diagnosis.stage import Stage
from tac.kubernetes.manifests.defaults import numbered
from tac.kubernetes.objects import attempt_of, finished
from tac.kubernetes.watch.reflector import View
from tac.progress import Progress, format_progress

if TYPE_CHECKING:
    from tac.kubernetes.attempt.context import AttemptContext
    from tac.kubernetes.objects import Object

_log = logging.getLogger(__name__)

_MOST_LOOKS = 50
"""How often another driver may delete the Job that we are about to adopt."""

_LOOK_SECONDS = 0.25


def ensure_job(context: AttemptContext) -> Object | None:
    """Return a Job that does this work; None: the attempt was stopped first.

    Raises:
        ApiUnavailable: no API server answered.
        ApiError: it did, and does not let us.
        TacError: the store could not be asked whether the work is done.
    """
    reflector = context.session.reflector
    reflector.wait_until_listed(context.timeouts.first_answer_timeout_seconds)
    for _ in range(_MOST_LOOKS):
        if context.stop_requested():
            return None
        jobs = reflector.jobs_of(context.work)
        for job in reversed(jobs):
            if _is_adoptable(context, job):
                name = job["metadata"]["name"]
                _log.info("job/%s: adopted", name)
                context.log.note(f"adopted job/{name}")
                return job
        number = 1 + max(map(attempt_of, jobs), default=0)
        created = _create(context, numbered(context.manifest, number))
        if created is not None:
            _log.info("job/%s: created", created["metadata"]["name"])
            return created
    raise TacError(
        f"job/{context.manifest['metadata']['name']}: can neither be created nor found",
        hint=f"{context.kubectl} get jobs --selector {names.WORK}={context.work}",
    )


def _is_adoptable(context: AttemptContext, job: Object) -> bool:
    metadata = job["metadata"]
    if metadata.get("deletionTimestamp") or metadata["uid"] in context.session.reported:
        return False
    condition = finished(job)
    if condition is None:
        return True
    if condition == "Complete":
        # If its output was deleted since, the work is done again, by the next number.
        return context.is_done() is not False
    _keep_black_box_of_failure(context, job)
    return False


def _keep_black_box_of_failure(context: AttemptContext, job: Object) -> None:
    """Keep the black box of a failure that no driver has read."""
    metadata, reflector = job["metadata"], context.session.reflector
    if not reflector.pods_of(metadata["uid"]):  # the watch of pods may be behind
        context.relist_pods()
    view = View(job, reflector.pods_of(metadata["uid"]), 0)
    context.log.note(f"job/{metadata['name']} of an earlier run had failed")
    context.conclude_job(job, delete=context.keep_black_box(view, None))


def _create(context: AttemptContext, manifest: Object) -> Object | None:
    """Create it; None: one of that name exists, or did a moment ago."""
    client, reflector = context.session.client, context.session.reflector
    name = manifest["metadata"]["name"]
    try:
        created = _create_within_quota(context, manifest)
    except Conflict as error:
        if error.reason != "AlreadyExists":  # a quota was counted at the same moment
            context.stop.wait(_LOOK_SECONDS)
            return None
        with contextlib.suppress(NotFound):
            reflector.add(context.retry_unavailable(lambda: client.read("Job", name)))
        return None
    if created is not None:
        reflector.add(created)
    return created


def _create_within_quota(context: AttemptContext, manifest: Object) -> Object | None:
    """Create it when the quota of the namespace allows; None: the attempt was stopped first."""
    client, backoff = context.session.client, Backoff()
    limit_seconds = context.timeouts.stages.get(Stage.NO_POD, math.inf)
    since = 0.0
    while not context.stop_requested():
        try:
            return context.retry_unavailable(lambda: client.create("Job", manifest))
        except Forbidden as error:
            if not fits_quota(error.message):
                raise
            if not since:
                context.log.say(
                    format_progress(Progress(0, f"pending: waiting for quota: {error.message}"))
                )
                context.log.follow()
            # Quota becomes free when Jobs of ours end; of others the namespace tells us nothing.
            if not since or _runs_any(context):
                since = time.monotonic()
            if time.monotonic() - since > limit_seconds:
                raise
            context.stop.wait(backoff.next())
    return None


def _runs_any(context: AttemptContext) -> bool:
    jobs = (view.job for view in context.session.reflector.jobs())
    return any(job is not None and finished(job) is None for job in jobs)
