"""Names that are functions of identity: the same work has the same name everywhere, each time.

Pure: no clock, no counter, no random bits, so a driver that is started again finds its own work.
A name is a slug for people and a digest of everything that identifies the work.
"""

import hashlib
import json
import re

DIGEST_LENGTH = 12
"""Hexadecimal digits of a name's digest: among ten thousand names two collide once in five million
runs."""

SLUG_LIMIT = 40
"""Characters of a name's slug. With the digest and an attempt's number a name stays below the 63 of
a DNS label (RFC 1123), the limit of a label's value in Kubernetes."""

APPLICATION, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
MANAGED = {"app.kubernetes.io/managed-by": "tac"}
"""Kubernetes' recommended labels:
https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/"""

STEP, WORK, ATTEMPT = "tac/step", "tac/work", "tac/attempt"
"""Labels of a container or a Job: what people call the step, the digest of what is done, the
attempt's number."""

OUTPUT, COMMAND, VERSION = "tac/output", "tac/command", "tac/version"
"""Annotations of a Job, where they would be no valid labels: the address of what it makes, the
command as a shell takes it, and the driver's version. A container has the first as a label."""

CANCELLED_BY = "tac/cancelled-by"
"""An annotation: the host whose user ended the Job before its time."""

DRIVER_VERSION = "TAC_DRIVER_VERSION"
"""The variable with the build of tac that started a step: a step of another build refuses."""

_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_IN_A_SLUG = re.compile(r"[^a-z0-9]+")


def slug(text: str, limit: int = SLUG_LIMIT) -> str:
    """Write `text` as a DNS label of `limit` characters at most: `fetch-data` for `FetchData`."""
    plain = _NOT_IN_A_SLUG.sub("-", _WORD_BREAK.sub("-", text).lower()).strip("-")
    if not plain[:1].isalpha():
        plain = f"x-{plain}".strip("-")
    return plain[:limit].rstrip("-")


def digest(*parts: str) -> str:
    """Hash the parts of an identity; where one ends and the next begins counts."""
    whole = json.dumps(parts).encode()
    return hashlib.sha256(whole).hexdigest()[:DIGEST_LENGTH]


def log_name(family: str, task_id: str, *identity: str) -> str:
    """Name the work of one task, and the files of its log: its family for people, then a digest.

    `identity` is the rest of it: the address of its output and, in containers, the image.
    """
    return f"{slug(family)}-{digest(task_id, *identity)}"


def step_of(name: str) -> str:
    """Return what people call the step of a name that `log_name` made, its digest left out."""
    return name.rpartition("-")[0] or name


READ = "tac/read"
"""An annotation of a finished Job that is kept: the host whose driver has reported its end."""

TASK_ID = "luigi_task_id"
"""The label by which Luigi's own class finds its Jobs."""
