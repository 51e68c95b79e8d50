"""`python -m tac.average`: the mean of what several models say about the same flights."""

import pytest

from tac.flights import MODELS
from tac.flights.predictions import average
from tac.flights.schema import PREDICTIONS
from tac.flights.table import read_table
from tests.support.flights import encode, predicted, run_step, schedule, window


@pytest.fixture(scope="module")
def tables():
    days, planned = window(), schedule()
    return {name: predicted(name, days, planned) for name in MODELS}


@pytest.fixture
def inputs(tmp_path, tables):
    paths = [tmp_path / "logistic.parquet", tmp_path / "gradient_boosting.csv"]
    for path in paths:
        path.write_bytes(encode(tables[path.stem], path.suffix))
    return paths


def test_the_average_is_written(tmp_path, inputs, tables):
    result = run_step("average", tmp_path / "out.csv", *inputs)

    assert (result.returncode, result.stdout) == (0, "")
    written = read_table("out.csv", (tmp_path / "out.csv").read_bytes(), PREDICTIONS)
    assert written.equals(average(list(tables.items())))


def test_one_input_given_twice_is_a_usage_error(tmp_path, inputs):
    result = run_step("average", tmp_path / "out.csv", inputs[0], inputs[0])

    assert (result.returncode, result.stderr) == (
        2,
        f"Error: {inputs[0]}: is given 2 times as an input\n",
    )


def test_other_flights_are_named(tmp_path, inputs, tables):
    inputs[1].write_bytes(encode(tables["gradient_boosting"].slice(1), ".csv"))

    result = run_step("average", tmp_path / "out.csv", *inputs)

    first = tables["logistic"].slice(0, 1).to_pylist()[0]
    assert result.returncode == 65
    assert result.stderr.splitlines()[-1] == (
        f"Error: {inputs[1]}: is not about the same flights as {inputs[0]}: 1 of its"
        f" {tables['logistic'].num_rows} flights are missing, 0 are new; {inputs[1]} lacks"
        f" {first['carrier']} {first['flight']} from {first['origin']} on 2023-03-01"
        f" at {first['sched_dep_time']:04d}"
    )
    assert not (tmp_path / "out.csv").exists()


def test_a_missing_input_is_named(tmp_path, inputs):
    result = run_step("average", tmp_path / "out.csv", *inputs, tmp_path / "third.parquet")

    assert result.returncode == 2
    assert f"Error: {tmp_path}/third.parquet: " in result.stderr
