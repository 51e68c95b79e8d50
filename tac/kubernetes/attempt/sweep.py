"""What drivers that were killed left behind: Jobs whose work is done, so nobody asks for them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tac import names
from tac.errors import TacError
from tac.kubernetes.attempt import black_box
from tac.kubernetes.objects import annotation, finished
from tac.store import store_of

if TYPE_CHECKING:
    from tac.kubernetes.attempt.session import Session
    from tac.kubernetes.watch.reflector import View

_log = logging.getLogger(__name__)

_SWEEP_SECONDS = 30.0
"""How long who waits for the end of a run waits for this; the next driver goes on."""


def sweep(session: Session) -> None:
    """Delete the Jobs that are over and whose outputs are there; of failures keep a black box.

    A driver that is about to read one finds the output in its place.
    """
    until = time.monotonic() + _SWEEP_SECONDS
    for view in session.reflector.jobs():
        if time.monotonic() > until:
            return
        job = view.job
        if job is None or job["metadata"]["uid"] in session.read or finished(job) is None:
            continue
        output = annotation(job, names.OUTPUT)
        try:
            if output and store_of(output).exists(output, fresh=True):
                _keep(session, view)
                session.cleaner.delete_now(job["metadata"]["name"], job["metadata"]["uid"], until)
        except TacError as error:  # the next driver comes by again
            _log.debug("job/%s: left: %s", job["metadata"]["name"], error.message)


def _keep(session: Session, view: View) -> None:
    if view.job is not None and finished(view.job) == "Failed":
        black_box.collect(session.client, view, None, session.store)
