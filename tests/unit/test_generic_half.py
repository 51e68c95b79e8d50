"""The generic half of tac knows nothing of the reference pipeline, which predicts late flights."""

import re
from pathlib import Path

import pytest

from tac.flights import ZONE
from tac.run.parameters import load, tasks_of

TAC = Path(__file__).parents[2] / "tac"
STEPS = ("fetch.py", "transform.py", "predict.py", "average.py", "report.py", "evaluate.py")
REFERENCE = {"task.py", "evaluate_command.py", "flights", *STEPS}
WORDS = re.compile(
    r"\bflights?\b|bundled|new.york|airports?\b|america/|airline|carrier", re.IGNORECASE
)


def modules() -> list[Path]:
    found = [path.relative_to(TAC) for path in sorted(TAC.rglob("*.py"))]
    return [path for path in found if path.parts[0] not in REFERENCE]


@pytest.mark.parametrize("module", modules(), ids=str)
def test_no_module_of_the_generic_half_speaks_of_flights(module):
    lines = (TAC / module).read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if WORDS.search(line)] == []


def test_the_reference_pipeline_does_speak_of_them():
    texts = {name: (TAC / name).read_text(encoding="utf-8") for name in REFERENCE - {"flights"}}

    assert [name for name, text in texts.items() if not WORDS.search(text)] == []


def test_every_task_of_the_reference_pipeline_has_its_days_in_new_york():
    load("tac.task")
    zones = {family: getattr(task, "timezone", "") for family, task in tasks_of("tac.task").items()}

    assert len(zones) == 7
    assert set(zones.values()) == {ZONE}
