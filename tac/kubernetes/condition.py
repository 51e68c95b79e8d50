"""What a Job's own conditions say."""

from typing import Any


def finished(job: dict[str, Any]) -> str | None:
    """Return the condition that says that a Job is over: Complete or Failed."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return str(condition["type"])
    return None
