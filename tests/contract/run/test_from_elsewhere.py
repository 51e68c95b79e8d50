"""Data from elsewhere is never made, nor what it was made from: as with the stock luigi command."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import DEADLINE_SECONDS, environment, tac

MODULE = "tests.support.external"

ROOTS = [
    # the task, what is missing, the files after a run, the last line of a dry run
    ("External", ["External"], [], "0 would run, 0 are complete"),
    ("NotImplementedClass", ["NotImplementedClass"], [], "0 would run, 0 are complete"),
    ("NoneClass", ["NoneClass"], [], "0 would run, 0 are complete"),
    ("NeedsExternal", ["External"], [], "1 would run, 0 are complete"),
    ("NeedsNotImplemented", ["NotImplementedClass"], [], "1 would run, 0 are complete"),
    ("NeedsNone", ["NoneClass"], [], "1 would run, 0 are complete"),
    ("NeedsExternalized", ["Mid"], [], "1 would run, 0 are complete"),
    ("NeedsExternalizedClass", ["Mid"], [], "1 would run, 0 are complete"),
    ("NeedsAssigned", ["Mid"], [], "1 would run, 0 are complete"),
    ("NeedsBoth", ["External"], ["Leaf", "Mid"], "4 would run, 0 are complete"),
    ("NeedsTwins", [], ["Leaf", "Mid", "NeedsExternalized"], "4 would run, 0 are complete"),
    ("Deep", ["External"], ["Leaf"], "3 would run, 0 are complete"),
]


def luigi(at: Path, root: str) -> None:
    words = ["--module", MODULE, root, "--local-scheduler", "--lock-pid-dir", str(at)]
    subprocess.run(
        [sys.executable, "-m", "luigi", *words],
        cwd=at,
        env=environment(at),
        capture_output=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


def files(at: Path) -> list[str]:
    return sorted(path.name for path in (at / "out").glob("*"))


@pytest.mark.parametrize(("root", "missing", "made", "counted"), ROOTS, ids=[r[0] for r in ROOTS])
def test_what_is_made_is_what_luigi_makes(tmp_path, root, missing, made, counted):
    stock, ours = tmp_path / "stock", tmp_path / "ours"
    stock.mkdir()
    ours.mkdir()

    luigi(stock, root)
    planned = tac(ours, "run", "--module", MODULE, root, "--dry-run")
    before = files(ours)
    ended = tac(ours, "run", "--module", MODULE, root)

    assert (planned.code, planned.out.splitlines()[-1], before) == (0, counted, [])
    elsewhere = [line for line in planned.out.splitlines() if line.startswith("missing ")]
    assert elsewhere == [
        f"missing        {name}(): out/{name} comes from elsewhere" for name in missing
    ]
    assert files(ours) == files(stock) == made
    said = [line for line in ended.lines if line.startswith("Error: ")]
    assert said == [f"Error: {name}(): is not there, and comes from elsewhere" for name in missing]
    assert ended.code == (20 if missing else 0)


def test_external_data_is_not_deleted_and_its_requirements_are_not_run(tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("Leaf", "External", "NeedsExternal", "NotImplementedClass", "NoneClass"):
        (tmp_path / "out" / name).touch()

    forced = {
        root: tac(tmp_path, "run", "--module", MODULE, root, "--force", "--dry-run").out
        for root in ("Leaf", "External")
    }

    assert forced == {
        "Leaf": "delete  Leaf(): out/Leaf\n",
        "External": "delete  NeedsExternal(): out/NeedsExternal\n"
        "leave   External(): it comes from elsewhere\n",
    }
