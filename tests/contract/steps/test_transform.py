"""`python -m tac.transform`: ten days and a schedule in any mixture, and what can be bad."""

import pyarrow.parquet
import pytest

from tac.flights.features import FEATURES, build_features
from tac.flights.table import read_table
from tests.support.flights import (
    DAY,
    ONE_DAY,
    bundled_day,
    encode,
    run_step,
    schedule,
    write_days,
)
from tests.support.s3 import Bucket

WINDOW = [bundled_day(DAY - back * ONE_DAY) for back in range(10, 0, -1)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write_days(folder, WINDOW, schedule())
    return folder


@pytest.fixture(scope="module")
def days(store):
    return [str(store / f"{DAY - back * ONE_DAY}.parquet") for back in range(10, 0, -1)]


def transform(tmp_path, days, planned, **keywords):
    return run_step("transform", tmp_path / "out.parquet", *days, "--schedule", planned, **keywords)


def test_ten_days_and_a_schedule_give_the_features(tmp_path, store, days):
    result = transform(tmp_path, reversed(days), store / "schedule.parquet")

    assert (result.returncode, result.stdout) == (0, "")
    assert "[100 %] features: " in result.stderr
    expected = build_features(WINDOW, schedule())
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").equals(expected)


def test_csv_and_s3_and_parquet_may_be_mixed(tmp_path, bucket: Bucket, days, store):
    bucket.client.put_object(Bucket=bucket.name, Key="day.csv", Body=encode(WINDOW[3], ".csv"))
    (tmp_path / "s.csv").write_bytes(encode(schedule(), ".csv"))
    mixed = [*days[:3], bucket.address("day.csv"), *days[4:]]

    result = run_step(
        "transform",
        *(bucket.address("out.csv"), *mixed, "--schedule", tmp_path / "s.csv"),
        environment=bucket.environment(),
    )

    assert result.returncode == 0, result.stderr
    stored = bucket.client.get_object(Bucket=bucket.name, Key="out.csv")["Body"].read()
    assert read_table("out.csv", stored, FEATURES).equals(build_features(WINDOW, schedule()))


def test_one_input_given_twice_is_a_usage_error(tmp_path, store, days):
    result = transform(tmp_path, [*days[:9], days[0]], store / "schedule.parquet")

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == f"Error: {days[0]}: is given 2 times as an input"


def test_ten_days_with_a_hole_name_the_missing_one(tmp_path, store, days):
    result = transform(tmp_path, [*days[:4], *days[5:]], store / "schedule.parquet")

    assert result.returncode == 65
    assert result.stderr.splitlines()[-2:] == [
        "Error: the days before 2023-03-01: 2023-02-23 missing (2023-02-19 to 2023-02-28 are"
        " needed)",
        "Hint: python -m tac.fetch 2023-02-23.parquet --date 2023-02-23",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_day_after_the_schedule_is_refused(tmp_path, store, days):
    (tmp_path / "later.parquet").write_bytes(encode(bundled_day(DAY + ONE_DAY)))

    result = transform(tmp_path, [*days, tmp_path / "later.parquet"], store / "schedule.parquet")

    assert result.returncode == 65
    assert result.stderr.splitlines()[-1] == (
        f"Error: {tmp_path}/later.parquet: is 2023-03-02, which is not before the schedule's day,"
        " 2023-03-01"
    )


def test_a_schedule_with_an_outcome_is_refused(tmp_path, days):
    (tmp_path / "s.parquet").write_bytes(encode(bundled_day(DAY)))

    result = transform(tmp_path, days, tmp_path / "s.parquet")

    assert (result.returncode, result.stderr) == (
        65,
        f"Error: {tmp_path}/s.parquet: has the column 'dep_time', an outcome, which is not"
        " known beforehand\n"
        "Hint: python -m tac.fetch OUT --date DAY --schedule writes one without outcomes\n",
    )


def test_a_truncated_day_is_named(tmp_path, store, days):
    (tmp_path / "half.parquet").write_bytes(encode(WINDOW[0])[:20_000])

    result = transform(tmp_path, [tmp_path / "half.parquet", *days[1:]], store / "schedule.parquet")

    assert result.returncode == 65
    assert result.stderr.splitlines()[-2:] == [
        f"Error: {tmp_path}/half.parquet: is truncated: 20000 bytes of Parquet without the footer"
        " at its end",
        "Hint: fetch it again; an upload or download was cut off",
    ]


def test_a_missing_bucket_is_a_usage_error(tmp_path, bucket: Bucket, days, store):
    result = transform(
        tmp_path,
        ["s3://no-such-bucket-here/day.parquet", *days[1:]],
        store / "schedule.parquet",
        environment=bucket.environment(),
    )

    assert result.returncode == 2
    assert "Error: s3://no-such-bucket-here" in result.stderr
    assert list(tmp_path.iterdir()) == []
