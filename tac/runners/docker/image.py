"""Pulling the image of the steps: once, and without waiting for it when the driver stops."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tac.errors import ImageNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from tac.runners.docker.engine import Engine

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class ImagePuller:
    """Pulls the image if the engine does not have it, for one step at a time."""

    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pull(self, engine: Engine, image: str, stop_requested: Callable[[], bool]) -> None:
        """Pull the image unless the engine has it; return without it on a request to stop.

        Raises:
            ImageNotFound: the registry does not have it, denied access or could not be reached.
            EngineUnavailable: the engine does not answer.
        """
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            if stop_requested():
                return
        try:
            engine.image_id(image)
        except ImageNotFound:
            _log.info("image/%s: pulling", image)
            _fetch(engine, image, stop_requested)
        finally:
            self._lock.release()


def _fetch(engine: Engine, image: str, stop_requested: Callable[[], bool]) -> None:
    given_up = threading.Event()
    raised: list[Exception] = []

    def pull() -> None:
        try:
            engine.pull(image, given_up)
        except Exception as error:  # noqa: BLE001 - raised again below, in the caller's thread
            raised.append(error)

    # The engine answers only after the registry, which may hang for ever, and a request without
    # an answer cannot be cancelled: its daemon thread ends with the process.
    thread = threading.Thread(target=pull, name=f"pull of {image}", daemon=True)
    thread.start()
    while thread.is_alive():
        if stop_requested():
            given_up.set()
            return
        thread.join(_LOOK_SECONDS)
    for error in raised:
        raise error
