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
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tac import settings, verdict
from tac.build_id import build_id
from tac.errors import ConfigError, TacError
from tac.kubernetes.attempt import session_pool
from tac.kubernetes.attempt.attempt import JobAttempt
from tac.kubernetes.attempt.context import AttemptContext
from tac.kubernetes.attempt.session_pool import SessionKey
from tac.kubernetes.attempt.timeouts import Timeouts
from tac.kubernetes.manifests.pod_patch import PodPatch, parse_patch
from tac.kubernetes.manifests.step_job import PodSettings, build_step_job
from tac.log_file import LogWriter
from tac.runners.detached import DetachedRunner, refuse_secrets
from tac.runners.launch import not_started

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
        self._sessions: dict[SessionKey, Session] = {}
        self._pods: PodSettings | None = None

    def detach(self) -> None:
        """Let what runs outlive this process: see `Runner`."""
        super().detach()
        session_pool.leave_on_stop()

    def preflight(self, addresses: Iterable[str] = ()) -> str:
        """Check that commands can run, and return where: see `Runner`."""
        for address in addresses:
            self._check_store(address)
        place = self._session_of(SessionKey()).client.place
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
                session, manifest = self._prepare(request)
            except TacError as error:
                return verdict.cannot_start(error.message, log=str(request.log), remedy=error.hint)
            return JobAttempt(
                AttemptContext(
                    *(session, request, manifest, writer, stop, self._timeouts, self._closed)
                )
            ).run()

    def close(self) -> None:
        """Stop what still runs, or leave it, as configured; then give everything back."""
        self._closed.set()
        if not self._sessions or self._process != os.getpid():
            return
        self._wait_until_idle(self._grace_seconds + 20)
        for session in self._sessions.values():
            if not _is_forked():
                with contextlib.suppress(TacError):  # the next driver sweeps too
                    session.cleaner.sweep()
            session_pool.release(session, close=True)
        self._sessions = {}

    def sweep(self) -> None:
        """Remove what killed drivers have left, if the API server answers."""
        with contextlib.suppress(TacError):
            self._session_of(SessionKey()).reflector.wait_until_listed(_SWEEP_LIST_SECONDS)
        self.close()

    def _session_of(self, key: SessionKey) -> Session:
        """Return what attempts in one namespace share."""
        with self._changed:
            if self._process != os.getpid() or not self._sessions:
                # A process that was forked must not share its parent's connections.
                self._sessions, self._process = {}, os.getpid()
                if _is_forked():
                    multiprocessing.util.Finalize(None, self.close, exitpriority=0)
            if key not in self._sessions:
                self._sessions[key] = session_pool.acquire(key)
            return self._sessions[key]

    def _prepare(self, request: RunRequest) -> tuple[Session, dict[str, Any]]:
        if request.pod is None:  # one that its task describes may have a volume
            self._check_store(request.output)
        if self._pods is None:
            pods = pod_settings(self._settings)
            self._pods = replace(pods, stop_grace_seconds=self._grace_seconds)
        session = self._session_of(
            SessionKey(request.namespace, request.kubeconfig, request.auth_method)
        )
        self._refuse_secrets(session.client.place, *request.argv)
        return session, build_step_job(request, self._pods)

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


def pod_settings(chosen: settings.Settings) -> PodSettings:
    """Return what the settings say of every pod.

    Raises:
        ConfigError: the file of the pod patch cannot be read.
    """
    return PodSettings(
        image=chosen.image,
        config_map=chosen.kubernetes_config_map,
        secret=chosen.kubernetes_secret,
        service_account=chosen.kubernetes_service_account,
        s3_endpoint_url=chosen.container_s3_endpoint_url,
        memory=chosen.memory_of(),
        cpu=chosen.cpu_of(),
        stop_grace_seconds=chosen.stop_grace_seconds,
        pod_patch=read_pod_patch(chosen.kubernetes_pod_patch),
        build=build_id() if chosen.checks_build else "",
    )


def read_pod_patch(path: str) -> PodPatch | None:
    """Read the file that the setting names, if it names one.

    Raises:
        ConfigError: there is no such file, or no patch in it.
    """
    if not path:
        return None
    try:
        return parse_patch(path, Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}",
            hint="TAC_KUBERNETES_POD_PATCH names it; unset it to change nothing",
        ) from error


_SWEEP_LIST_SECONDS = 5.0


def _is_forked() -> bool:
    """Whether Luigi forked this process for one task: it ends without what `atexit` knows."""
    return multiprocessing.parent_process() is not None
