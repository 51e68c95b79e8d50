"""Removing containers of killed drivers that succeeded: their task is complete, so no driver will.

A sweep takes a few seconds at most: the next driver sweeps too. Containers of other stores are left
alone: this driver may not be able to read those.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from tac.errors import TacError
from tac.names import MANAGED, OUTPUT
from tac.runners.docker.container import S3_ENDPOINT
from tac.runners.docker.mounts import absolute, is_local
from tac.store import store_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tac.runners.docker.engine import Engine

_log = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0
"""How long the end of a run waits for a sweep: an answer of S3 takes a tenth of a second, and a
server that does not answer three minutes."""


class Sweeper:
    """Sweeps once the driver needs the engine no more, and then closes it."""

    def __init__(self, engine: Engine, store: str, s3_endpoint_url: str) -> None:
        self._engine = engine
        self._store = absolute(store)
        self._endpoint = s3_endpoint_url
        self._output_store = store_of(store)  # now, because boto3 cannot be loaded at Python's exit
        self._requested = threading.Event()
        self._given_up = threading.Event()
        # Started now, because Python 3.12 and later cannot start a thread at its exit, where
        # runners are closed.
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Sweep, for a few seconds at most."""
        self._requested.set()
        self._thread.join(_SWEEP_SECONDS)
        if self._thread.is_alive():
            self._given_up.set()
            _log.info(
                "containers of killed drivers: the sweep ended after %g s; the next run continues",
                _SWEEP_SECONDS,
            )

    def _run(self) -> None:
        self._requested.wait()
        with contextlib.closing(self._engine), contextlib.suppress(TacError):
            for container in self._engine.find(MANAGED):
                if self._given_up.is_set():
                    return
                # An error with one container must not keep the others.
                with contextlib.suppress(TacError):
                    self._remove_if_left(container)

    def _remove_if_left(self, container: str) -> None:
        # A driver that is about to read its result will find the output instead.
        state = self._engine.inspect(container)
        if not state.finished or state.exit_code != 0:
            return
        if not is_in_store(state.labels, self._store, self._endpoint):
            return
        output = state.labels[OUTPUT]
        if self._output_store.exists(output, fresh=True):
            self._engine.remove(container)


def is_in_store(labels: Mapping[str, str], store: str, s3_endpoint_url: str) -> bool:
    """Tell whether a container's output lies in a store, at the same S3 endpoint."""
    if not labels.get(OUTPUT, "").startswith(f"{store.rstrip('/')}/"):
        return False
    return is_local(store) or labels.get(S3_ENDPOINT) == s3_endpoint_url
