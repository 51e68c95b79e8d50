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
    """What people call it: for a step `tac.names.log_name` makes it, and for a KubernetesJobTask it
    is the name of its Job without the attempt's number."""

    argv: tuple[str, ...] = field(repr=False)
    """A first word `python` means the interpreter of the place where it runs. An address in it may
    hold a password, which `tac.redaction` leaves out of what is shown."""

    environment: Mapping[str, str] = field(repr=False)
    """All variables, not only additions. It may hold credentials, so no message shows it. Empty
    for a KubernetesJobTask, as is `argv`."""

    log: Path
    """The file that everything the command says is appended to; made with its directories."""

    attempt: int = 1
    """The number of this attempt, from 1."""

    output: str = ""
    """The address that it publishes; an earlier success counts only while this exists."""

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
    """Called with the pod that it runs in: a line of the log would be no proof of it."""

    active_deadline_seconds: int | None = None
    """How long an attempt may take."""

    # What follows is for Kubernetes alone.

    pod: Mapping[str, Any] | None = field(default=None, repr=False)
    """The spec of its pod, as the task describes it; None: the one that the settings describe."""

    namespace: str = ""
    """That of its Job. This and the next two: if empty, what the settings say."""

    kubeconfig: str = ""
    auth_method: str = ""
    """`kubeconfig`, or `service-account`: that of the pod that the driver runs in."""

    identity: tuple[str, ...] = ()
    """What tells its Job apart from others, beside the name and the pod that a task describes."""

    backoff_limit: int = 0
    """How many more pods the Job's own controller may create after one that failed."""

    is_done: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    """Whether its output exists, asked now; None: the store is asked for `output`."""

    foreign_exit_codes: bool = False
    """Its exit codes are not those of tac's steps: 0 is success, and the others mean failure."""

    audience: Audience = Audience.STEP
    """Who reads a remedy, and so where they change the pod."""

    keep: bool = False
    """Leave a finished Job to the task; one that is stopped or given up is deleted all the same."""
