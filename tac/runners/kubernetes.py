"""The Kubernetes runner: each attempt at a step is one Job with one pod.

It outlives whoever asked for it: a driver that was killed, or lost the API server, comes back to
its own Jobs, and two drivers share one. All that happens to a Job is in tac.kubernetes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.util
import os
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from tac import names, settings, verdict
from tac.build_id import build_id
from tac.errors import ConfigError, TacError
from tac.kubernetes.attempt import session_pool
from tac.kubernetes.attempt.attempt import JobAttempt
from tac.kubernetes.attempt.context import AttemptContext, Order
from tac.kubernetes.attempt.sweep import sweep
from tac.kubernetes.attempt.timeouts import Timeouts
from tac.kubernetes.manifests.pod_patch import read_patch
from tac.kubernetes.manifests.step_job import Terms, Work, build_job, terms_of, work_digest
from tac.log_file import LogWriter
from tac.runners.detached import DetachedRunner, refuse_secrets
from tac.runners.launch import not_started
from tac.store import store_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from tac.kubernetes.attempt.session import Session
    from tac.kubernetes.place import Place
    from tac.log_file import Log
    from tac.request import RunRequest
    from tac.verdict import Verdict


class KubernetesRunner(DetachedRunner):
    """Runs commands as Jobs of the image that the settings name."""

    detaches_on_interrupt: ClassVar[bool] = True

    def __init__(
        self, *, stop_grace_seconds: float | None = None, timeouts: Timeouts | None = None
    ) -> None:
        super().__init__(stop_grace_seconds)
        self._timeouts = (timeouts or Timeouts()).with_settings(
            grace_seconds=self._grace_seconds,
            scheduling_seconds=self._settings.scheduling_seconds,
        )
        self._session: Session | None = None
        self._terms: Terms | None = None

    def detach(self) -> None:
        """Let what runs outlive this process: see `Runner`."""
        super().detach()
        session_pool.leave_on_stop()

    def preflight(self, addresses: Iterable[str] = ()) -> str:
        """Check that commands can run, and return where: see `Runner`."""
        for address in addresses:
            self._check_store(address)
        place = self._meet()[0].client.place
        self._refuse_secrets(place, self._settings.source)
        return f"kubernetes: context {place.context}, namespace {place.namespace}, {place.server}"

    def _attempt(
        self, request: RunRequest, log: Log, follow: Callable[[str], None], stop: threading.Event
    ) -> Verdict:
        try:
            opened = LogWriter(log, follow, request.located)
        except OSError as error:
            return not_started(error, str(request.log))
        with opened as writer:
            try:
                session, order = self._order(request)
            except TacError as error:
                return verdict.cannot_start(error.message, log=str(request.log), remedy=error.hint)
            context = AttemptContext(session, order, writer, stop, self._timeouts, self._closed)
            return JobAttempt(context).run()

    def close(self) -> None:
        """Stop what still runs, or leave it, as configured; then give everything back."""
        self._closed.set()
        if self._session is None or self._process != os.getpid():
            return
        self._wait_until_idle(self._grace_seconds + 20)
        if not _is_forked():
            with contextlib.suppress(TacError):  # the next driver sweeps too
                sweep(self._session)
        session_pool.release(self._session, close=True)
        self._session = None

    def sweep(self) -> None:
        """Remove what killed drivers have left, if the API server answers."""
        with contextlib.suppress(TacError):
            session, _ = self._meet()
            session.reflector.wait_until_listed(_TIDY_SECONDS)
        self.close()

    def _meet(self) -> tuple[Session, Terms]:
        """Return what attempts share."""
        with self._changed:
            # A process that was forked must not share its parent's connections.
            if self._session is None or self._terms is None or self._process != os.getpid():
                chosen = self._settings
                patch = chosen.kubernetes_pod_patch
                self._terms = replace(
                    terms_of(chosen, read_patch(patch), build_id()),
                    stop_grace_seconds=self._grace_seconds,
                )
                self._session = session_pool.acquire(session_pool.SessionKey())
                self._process = os.getpid()
                if _is_forked():
                    multiprocessing.util.Finalize(None, self.close, exitpriority=0)
            return self._session, self._terms

    def _order(self, request: RunRequest) -> tuple[Session, Order]:
        self._check_store(request.output)
        session, terms = self._meet()
        self._refuse_secrets(session.client.place, *request.argv)
        work = Work(
            "",
            tuple(str(word) for word in request.argv),
            request.environment,
            output=request.output,
            memory=request.memory,
            cpu=request.cpu,
        )
        digest = work_digest(work, terms)
        work = replace(work, name=f"{names.step_of(request.name)}-{digest}")
        return session, Order(
            request.name,
            digest,
            build_job(work, terms),
            str(request.log),
            is_done=(lambda: _is_there(request.output)) if request.output else None,
        )

    def _refuse_secrets(self, place: Place, *words: str) -> None:
        secret = self._settings.kubernetes_secret
        where = f"the Secret {secret}" if secret else "a Secret, named by TAC_KUBERNETES_SECRET"
        edit = f": `{place.kubectl_here} edit secret {secret}`" if secret else ""
        refuse_secrets(
            map(str, words),
            about=f"whoever may read the Jobs of namespace {place.namespace} reads their commands",
            hint=f"leave it out, and put {settings.AUTHORIZATION}, such as 'Bearer …', into "
            f"{where}{edit}",
        )

    def _check_store(self, address: str) -> None:
        """Refuse what pods cannot see; a patch may bring a volume to them.

        Raises:
            ConfigError: it is on this machine.
        """
        scheme, separator, _ = address.partition("://")
        is_here = bool(address) and (not separator or scheme == "file")
        if is_here and not self._settings.kubernetes_pod_patch:
            raise ConfigError(
                f"{address}: is on this machine, which pods do not see",
                hint="keep the store on S3 (`--store s3://bucket/prefix`)",
            )


_TIDY_SECONDS = 5.0


def _is_forked() -> bool:
    """Whether Luigi forked this process for one task: it ends without what `atexit` knows."""
    return multiprocessing.parent_process() is not None


def _is_there(address: str) -> bool:
    return store_of(address).exists(address, fresh=True)
