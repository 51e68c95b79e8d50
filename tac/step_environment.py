"""The environment of a step: of its process, and what of that its container or pod gets too.

Pure: environments are arguments.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUNDS = ("most_input_bytes", "most_table_bytes", "download_seconds")
"""The settings that a step itself obeys: they go with it wherever it runs."""

# One thread for BLAS and OpenMP: a prediction's last bits depend on their number, and
# several steps share one machine.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# `python -m` looks in the current directory first: a file `json.py` in a folder that others may
# write to would be a part of every step.
_SAFE_PATH = {"PYTHONSAFEPATH": "1"}

_OF_THE_WORK = re.compile(
    r"(OMP|OPENBLAS|MKL)_NUM_THREADS|PYTHONUNBUFFERED|TZ|AWS_(MAX_ATTEMPTS|RETRY_MODE)"
    rf"|TAC_({'|'.join(BOUNDS)})",
    re.IGNORECASE,
)
_OF_THE_MACHINE = re.compile(
    r"(https?|no|all)_proxy|AWS_(REGION|DEFAULT_REGION|EC2_METADATA_DISABLED)", re.IGNORECASE
)


def whole_environment(
    environment: Mapping[str, str], bounds: Mapping[str, float], s3_endpoint_url: str | None
) -> dict[str, str]:
    """Return what a step is started with, made of the driver's own environment.

    `bounds` are those that are not the default, which may stand in a file that no container has.
    """
    found = {**_SAFE_PATH, **environment, **_ONE_THREAD, "PYTHONUNBUFFERED": "1"}
    if s3_endpoint_url:
        found["AWS_ENDPOINT_URL_S3"] = s3_endpoint_url
    for name, bound in bounds.items():
        found[f"TAC_{name.upper()}"] = f"{bound:g}" if bound % 1 else str(int(bound))
    return found


def passed_on(environment: Mapping[str, str], *, elsewhere: bool = False) -> dict[str, str]:
    """Return what of a step's environment its container is given too: nothing that is secret.

    A container `elsewhere` than on this machine is in another network and another region, so it
    does not get this one's proxies and region.
    """
    return {
        name: value
        for name, value in environment.items()
        if _OF_THE_WORK.fullmatch(name)
        or (
            not elsewhere and _OF_THE_MACHINE.fullmatch(name) and not _holds_a_password(name, value)
        )
    }


def _holds_a_password(name: str, value: str) -> bool:
    return name.lower().endswith("_proxy") and "@" in value
