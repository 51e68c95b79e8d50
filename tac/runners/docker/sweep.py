"""What drivers that were killed left behind: containers that ended well, and that no task leads to.

Their step had published, so nobody asks for them again. It is swept for a few seconds at most: the
next driver sweeps too. Of other stores nothing is asked, because their address and keys are others.
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
"""How long who waits for the end of a run waits for this: an answer of S3 takes a tenth of a
second, and a server that says nothing three minutes."""


class Sweeper:
    """Sweeps when its driver is done with the engine, which it then closes."""

    def __init__(self, engine: Engine, store: str, s3_endpoint_url: str) -> None:
        self._engine = engine
        self._store = absolute(store)
        self._endpoint = s3_endpoint_url
        self._outputs = store_of(store)  # now, because boto3 cannot be loaded at Python's exit
        self._asked = threading.Event()
        self._given_up = threading.Event()
        # It waits from the beginning, because Python 3.12 and later starts no thread at its exit,
        # where runners are closed.
        self._thread = threading.Thread(target=self._run, name="leftovers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Sweep, for as long as that may take."""
        self._asked.set()
        self._thread.join(_SWEEP_SECONDS)
        if self._thread.is_alive():
            self._given_up.set()
            _log.info(
                "containers that others left: not all looked at in %g s; the next run goes on",
                _SWEEP_SECONDS,
            )

    def _run(self) -> None:
        self._asked.wait()
        with contextlib.closing(self._engine), contextlib.suppress(TacError):
            for container in self._engine.find(MANAGED):
                if self._given_up.is_set():
                    return
                # What is wrong with one says nothing about the others.
                with contextlib.suppress(TacError):
                    self._remove_if_left(container)

    def _remove_if_left(self, container: str) -> None:
        # A driver that is about to read this one finds the output in its place.
        state = self._engine.inspect(container)
        if not state.finished or state.exit_code != 0:
            return
        if not belongs(state.labels, self._store, self._endpoint):
            return
        output = state.labels[OUTPUT]
        if self._outputs.exists(output, fresh=True):
            self._engine.remove(container)


def belongs(labels: Mapping[str, str], store: str, s3_endpoint_url: str) -> bool:
    """Tell whether a container's output lies in a store, at the S3 that is asked for it."""
    if not labels.get(OUTPUT, "").startswith(f"{store.rstrip('/')}/"):
        return False
    return is_local(store) or labels.get(S3_ENDPOINT) == s3_endpoint_url
