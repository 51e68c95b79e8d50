"""The beginning of an attempt: a Job that does the work already, or a new one.

Names are functions of identity, so whoever comes back finds the Job again, and two drivers share
one. The number at their end grows while there are Jobs of the same work.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING

from tac import names
from tac.errors import Conflict, Forbidden, NotFound, TacError
from tac.kubernetes.manifest import numbered
from tac.kubernetes.objects import attempt_of, finished
from tac.kubernetes.pauses import Pauses
from tac.kubernetes.reflector import View
from tac.kubernetes.stages import Stage
from tac.kubernetes.waits import fits_quota
from tac.progress import Progress, format_progress

if TYPE_CHECKING:
    from tac.kubernetes.errand import Errand, Object

_log = logging.getLogger(__name__)

_MOST_LOOKS = 50
"""How often a Job may be taken away by another driver while we look at it."""

_LOOK_SECONDS = 0.25


def ensure_job(errand: Errand) -> Object | None:
    """Return a Job that does this work; None: we were told to stop first.

    Raises:
        ApiUnavailable: no API server answered.
        ApiError: it did, and does not let us.
        TacError: the store could not be asked whether the work is done.
    """
    reflector = errand.shared.reflector
    reflector.wait_until_listed(errand.shared.limits.first_answer_seconds)
    for _ in range(_MOST_LOOKS):
        if errand.told_to_stop():
            return None
        jobs = reflector.jobs_of(errand.order.work)
        for job in reversed(jobs):
            if _is_worth_following(errand, job):
                name = job["metadata"]["name"]
                _log.info("job/%s: found", name)
                errand.log.note(f"job/{name} was there already")
                return job
        number = 1 + max(map(attempt_of, jobs), default=0)
        created = _create(errand, numbered(errand.order.manifest, number))
        if created is not None:
            _log.info("job/%s: created", created["metadata"]["name"])
            return created
    raise TacError(
        f"job/{errand.order.manifest['metadata']['name']}: can neither be created nor found",
        hint=f"{errand.kubectl} get jobs --selector {names.WORK}={errand.order.work}",
    )


def _is_worth_following(errand: Errand, job: Object) -> bool:
    if job["metadata"].get("deletionTimestamp") or job["metadata"]["uid"] in errand.shared.read:
        return False
    condition = finished(job)
    if condition is None:
        return True
    if condition == "Complete":
        # A success whose output somebody has deleted since is none: the next number does it.
        return errand.order.is_done is None or errand.order.is_done()
    _collect_failure(errand, job)
    return False


def _collect_failure(errand: Errand, job: Object) -> None:
    """Keep what is known of a failure that nobody waited for."""
    metadata, reflector = job["metadata"], errand.shared.reflector
    if not reflector.pods_of(metadata["uid"]):  # told later than the Job, perhaps
        errand.find_pods()
    view = View(job, reflector.pods_of(metadata["uid"]), 0)
    errand.log.note(f"job/{metadata['name']} of an earlier run had failed")
    errand.put_away(job, delete=errand.collect(view, None))


def _create(errand: Errand, manifest: Object) -> Object | None:
    """Create it; None: there is one of that name, or was a moment ago."""
    client, reflector = errand.shared.client, errand.shared.reflector
    name = manifest["metadata"]["name"]
    try:
        created = _create_within_quota(errand, manifest)
    except Conflict as error:
        if error.reason != "AlreadyExists":  # a quota was counted at the same moment
            errand.stop.wait(_LOOK_SECONDS)
            return None
        with contextlib.suppress(NotFound):
            reflector.expect(errand.patiently(lambda: client.read("Job", name)))
        return None
    if created is not None:
        reflector.expect(created)
    return created


def _create_within_quota(errand: Errand, manifest: Object) -> Object | None:
    """Create it when the namespace has room for one more Job; None: we were told to stop first."""
    client, pauses = errand.shared.client, Pauses()
    limit_seconds = errand.shared.patience().get(Stage.NO_POD, math.inf)
    since = 0.0
    while not errand.told_to_stop():
        try:
            return errand.patiently(lambda: client.create("Job", manifest))
        except Forbidden as error:
            if not fits_quota(error.message):
                raise
            if not since:
                errand.log.say(format_progress(Progress(0, f"waits for room: {error.message}")))
                errand.log.follow()
            # What runs here makes room when it ends; of what others have there nobody knows.
            if not since or _runs_any(errand):
                since = time.monotonic()
            if time.monotonic() - since > limit_seconds:
                raise
            errand.stop.wait(pauses.next())
    return None


def _runs_any(errand: Errand) -> bool:
    jobs = (view.job for view in errand.shared.reflector.jobs())
    return any(job is not None and finished(job) is None for job in jobs)
