"""What attempts share at one API server and namespace in one process: client, reflector, cleaner.

Under `tac run` that process is the driver; under `luigi --workers N` each task that runs has one.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tac.kubernetes.attempt.cleaner import Cleaner
from tac.kubernetes.watch.log_follower import STREAMS
from tac.kubernetes.watch.reflector import Reflector

if TYPE_CHECKING:
    from tac.kubernetes.client.api import Client


@dataclass
class Session:
    """One namespace of one Kubernetes cluster, as one driver uses it."""

    client: Client
    store: str
    """Where black boxes go."""

    keeps_jobs_on_stop: bool = False
    """Whether Jobs go on when their attempts are stopped."""

    reported: set[str] = field(default_factory=set)
    """The uids of Jobs whose result was read here: no attempt adopts them any more."""

    streams: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(STREAMS))
    host: str = field(default_factory=socket.gethostname)

    def __post_init__(self) -> None:
        self.reflector = Reflector(self.client)
        self.cleaner = Cleaner(self.client, self.reflector, self.store, self.reported)

    def close(self) -> None:
        """Delete the Jobs that were read, and close the connections."""
        self.cleaner.close()
        self.reflector.close()
        self.client.close()
