"""`python -m tac.evaluate`: scores as JSON and as a table, and what cannot be scored."""

import json

import pytest

from tac.flights import BASELINE
from tac.flights.outcome import join_day
from tac.flights.scores import evaluate
from tests.support.flights import DAY, ONE_DAY, bundled_day, encode, predicted, run_step, schedule

DATES = [DAY, DAY + 2 * ONE_DAY]


def window_before(day):
    return [bundled_day(day - back * ONE_DAY) for back in range(10, 0, -1)]


@pytest.fixture(scope="module")
def tables():
    found = {}
    for date in DATES:
        days, planned = window_before(date), schedule(date)
        found[date] = (
            predicted("logistic", days, planned),
            predicted(BASELINE, days, planned),
            bundled_day(date),
        )
    return found


@pytest.fixture
def store(tmp_path, tables):
    for date in DATES:
        for kind, table in zip(("said", "rate", "flights"), tables[date], strict=True):
            (tmp_path / f"{kind}-{date}.parquet").write_bytes(encode(table))
    return tmp_path


def score(store, *arguments, first=DATES[0]):
    return run_step(
        "evaluate",
        *(store / "out.json", "--from", first, "--to", DATES[1], "--every", 2),
        *("--predictions", f"{store}/said-{{date}}.parquet"),
        *("--baseline", f"{store}/rate-{{date:%Y-%m-%d}}.parquet"),
        *("--happened", f"{store}/flights-{{date}}.parquet"),
        *arguments,
    )


def test_the_scores_are_written_and_shown(store, tables):
    result = score(store)

    assert (result.returncode, result.stdout) == (0, "")
    days = [
        join_day(date, *zip(("said", "rate", "flights"), tables[date], strict=True))
        for date in DATES
    ]
    assert json.loads((store / "out.json").read_text()) == {"every": 2, **evaluate(days)}
    lines = result.stderr.splitlines()
    assert "2 dates from 2023-03-01 to 2023-03-03, " in result.stderr
    assert [line.split("  ")[0] for line in lines[-5:-1]] == [
        *("pooled AUC", "log loss", "mean AUC of a day", "gain in log loss"),
    ]


def test_a_day_without_predictions_is_a_missing_input(store):
    (store / f"said-{DATES[1]}.parquet").unlink()

    result = score(store)

    assert result.returncode == 2
    assert f"Error: {store}/said-2023-03-03.parquet: " in result.stderr
    assert not (store / "out.json").exists()


def test_predictions_of_another_day_are_named(store, tables):
    path = store / f"said-{DATES[1]}.parquet"
    path.unlink()
    path.write_bytes(encode(tables[DATES[0]][0]))
    first = tables[DATES[0]][0].slice(0, 1).to_pylist()[0]

    result = score(store)

    assert result.returncode == 65
    assert result.stderr.splitlines()[-1] == (
        f"Error: {path}: is not about 2023-03-03: it has {first['carrier']} {first['flight']} from"
        f" {first['origin']} on 2023-03-01 at {first['sched_dep_time']:04d}"
    )


def test_days_the_wrong_way_round_are_a_usage_error(store):
    result = score(store, first="2023-03-04")

    assert (result.returncode, result.stderr) == (
        2,
        "Error: 2023-03-04 to 2023-03-03: the first day is after the last\n",
    )
