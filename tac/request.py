"""What a task asks of whoever runs it: the one type between tasks, runners and Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tac.verdict import Audience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tac.progress import Location


@dataclass(frozen=True)
class RunRequest:
    """One attempt at one task: what to run, in which environment, and where its log goes."""

    name: str
    """What people call it; `tac.names.log_name` makes it."""

    argv: tuple[str, ...] = field(repr=False)
    """A first word `python` means the interpreter of the place where it runs. An address in it may
    hold a password, which `tac.redaction` leaves out of what is shown."""

    environment: Mapping[str, str] = field(repr=False)
    """All variables, not only additions. It may hold credentials, so no message shows it."""

    log: Path
    """The file that everything the command says is appended to; made with its directories."""

    attempt: int = 1
    """The number of this attempt, from 1."""

    output: str = ""
    """The address that it publishes; where it is known, an earlier success is believed only if
    something is there."""

    memory: str = ""
    """How much memory it may use in a container, such as `2Gi`; else what the settings say."""

    cpu: str = ""
    """How many processors it may use in a container, such as `1.5`; else what the settings say."""

    image: str = ""
    """The image of its container; else what the settings say."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables that it is given in addition, also in a container."""

    labels: Mapping[str, object] = field(default_factory=dict)
    """Labels of its container, or of its Job and pod, beside tac's own."""

    located: Callable[[Location], None] | None = field(default=None, repr=False, compare=False)
    """Hears from the runner in which pod it runs; a line of the log may be anybody's."""

    active_deadline_seconds: int | None = None
    """How long an attempt may take."""

    # Of these only Kubernetes knows.

    pod: Mapping[str, Any] | None = field(default=None, repr=False)
    """The spec of its pod, as the task describes it; None: the one that the settings describe."""

    namespace: str = ""
    """Where its Job is; this and the next two: what is left out, settings say."""

    kubeconfig: str = ""
    auth_method: str = ""
    """`kubeconfig`, or `service-account`: that of the pod that the driver runs in."""

    identity: tuple[str, ...] = ()
    """What tells its Job apart from others, beside the name and the pod that a task describes."""

    backoff_limit: int = 0
    """How many more pods the Job's own controller may create after one that failed."""

    is_done: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    """Whether what it makes is there, asked now; None: the store is asked for the output."""

    own_exit_codes: bool = False
    """Its exit codes are not those of tac's steps: 0 is success, and the others mean failure."""

    audience: Audience = Audience.STEP
    """Whom a remedy speaks to: where they say what the pod is."""

    keep: bool = False
    """Leave its Jobs where they are when they are over."""
