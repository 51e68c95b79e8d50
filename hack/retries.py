"""Write the tables of docs/retries.md from tac.retry and tac.backoff, which decide what they say.

Usage: make docs
"""

from pathlib import Path

from tac.backoff import Backoff
from tac.kubernetes.attempt.timeouts import Timeouts
from tac.retry import BUDGETS, step_budgets
from tac.runners.docker.attempt import OUTAGE_SECONDS
from tac.verdict import Reason

PAGE = Path(__file__).parents[1] / "docs" / "retries.md"


def write_tables(page: str) -> str:
    """Return the page with what stands between its marks written anew."""
    tables = {"budgets": _budgets(), "final": _final(), "jobs": _jobs(), "backoff": _backoff()}
    for name, text in tables.items():
        begin, end = f"<!-- {name}, written by make docs -->\n", f"\n<!-- end of {name} -->"
        before, rest = page.split(begin)
        page = before + begin + text + end + rest.split(end)[1]
    return page


def _budgets() -> str:
    rows = [
        "| reason | what happened | StepTask | KubernetesJobTask |",
        "| --- | --- | --- | --- |",
    ]
    for reason, budget in BUDGETS.items():
        often = _often(budget.backoff_seconds)
        rows.append(
            f"| `{reason}` | {budget.cause} | {often} | {often if budget.job_tasks else 'no'} |"
        )
    return "\n".join(rows)


def _often(pauses: tuple[float, ...]) -> str:
    times = {1: "once", 2: "twice"}.get(len(pauses), f"{len(pauses)} times")
    return f"{times}, after {_seconds(pauses)}"


def _seconds(pauses: tuple[float, ...]) -> str:
    *first, last = (f"{pause:g}" for pause in pauses)
    return f"{', '.join(first)} and {last} s" if first else f"{last} s"


def _final() -> str:
    final = [reason for reason in Reason if reason not in BUDGETS and reason is not Reason.DONE]
    return ", ".join(f"`{reason}`" for reason in final)


def _jobs() -> str:
    return f"`backoff_limit = 7`: after {_seconds(step_budgets(backoff_limit=7)[Reason.BUG])}."


def _backoff() -> str:
    backoff, timeouts = Backoff(), Timeouts()
    return (
        f"The first pause is {backoff.first_seconds:g} s, each is twice the one before, the "
        f"longest is {backoff.longest_seconds:g} s.\n"
        "An API server that was reached before is waited for "
        f"{timeouts.api_unreachable_timeout_seconds / 60:g} minutes, "
        f"a Docker engine {OUTAGE_SECONDS / 60:g} minutes, "
        "luigid for as long as it takes (with pauses up to 15 s)."
    )


if __name__ == "__main__":
    PAGE.write_text(write_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
