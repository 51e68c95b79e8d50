"""Words of ours that the field's have replaced: none of them comes back into code or documents.

The glossary in docs/architecture.md has the ones that stand for them.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

REPLACED = {
    r"abilities": "features of an engine",
    r"(?:note|times|away)_away|away_seconds": "unavailable, unreachable; a timeout",
    r"does not accept who we are": "rejected the credentials",
    r"errand": "the context of an attempt, or its request",
    r"foreign[_ ]remedy": "a remedy is data with an audience",
    r"last words": "the end of the log",
    r"leftovers?": "what a sweep removes",
    r"makes? room|waits? for room": "terminates, adds a node; waits for quota",
    r"nobody|somebody": "what is not done, and who does it: the user, another driver, a person",
    r"patience|patiently": "timeout",
    r"someone": "the user, another driver, another process",
    r"there already": "adopted, complete, exists",
    r"told_at": "termination requested at",
    r"tells? of it": "reports it",
}
"""Each with what is written in its place."""


def texts() -> dict[str, str]:
    """Every module of tac and every document, by path."""
    files = [*(ROOT / "tac").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in files}


@pytest.mark.parametrize("pattern", REPLACED)
def test_a_replaced_word_does_not_come_back(pattern):
    found = {
        f"{path}: {hit[0].lower()}"
        for path, text in texts().items()
        for hit in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
    }
    assert found == set(), REPLACED[pattern]
