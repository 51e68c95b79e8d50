"""The image of all steps: fetched once, and no longer waited for when the driver is to stop."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tac.runners.docker.engine import NoImage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tac.runners.docker.engine import Engine

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Pulls:
    """Lets one step at a time see whether the image is there, and fetch it if it is not."""

    _alone: threading.Lock = field(default_factory=threading.Lock)

    def pull(self, engine: Engine, image: str, told_to_stop: Callable[[], bool]) -> None:
        """Fetch the image if it is not here; return without it when told to stop.

        Raises:
            Refused: the registry has none for us, or cannot be reached.
            EngineAway: the engine does not answer.
        """
        while not self._alone.acquire(timeout=_LOOK_SECONDS):
            if told_to_stop():
                return
        try:
            engine.image_id(image)
        except NoImage:
            _log.info("image/%s: pulling", image)
            _fetch(engine, image, told_to_stop)
        finally:
            self._alone.release()


def _fetch(engine: Engine, image: str, told_to_stop: Callable[[], bool]) -> None:
    given_up = threading.Event()
    raised: list[Exception] = []

    def pull() -> None:
        try:
            engine.pull(image, given_up)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            raised.append(error)

    # The engine does not answer before the registry has, which may take for ever, and nothing ends
    # a request without an answer: its thread ends with the process, and so does the request.
    thread = threading.Thread(target=pull, name=f"pull of {image}", daemon=True)
    thread.start()
    while thread.is_alive():
        if told_to_stop():
            given_up.set()
            return
        thread.join(_LOOK_SECONDS)
    for error in raised:
        raise error
