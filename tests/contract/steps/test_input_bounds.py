"""Inputs that are larger than they look, at the door of every step: refused, and at no cost."""

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.support.flights import (
    DAY,
    ROOT,
    command_of,
    encode,
    flight,
    flights,
    plan_of,
    run_step,
)
from tests.support.s3 import Bucket

MIB = 1 << 20
DAY_TABLE = flights(flight())


def repeated(table: pa.Table, *, rows: int, groups: int) -> bytes:
    """The first row of a table again and again: a Parquet of almost nothing."""
    columns = [pa.repeat(column[0], rows) for column in table.columns]
    part = pa.table(columns, names=table.column_names)
    file = io.BytesIO()
    with pa.parquet.ParquetWriter(file, part.schema, compression="zstd") as writer:
        for _ in range(groups):
            writer.write_table(part)
    return file.getvalue()


def long_text(table: pa.Table, size: int) -> bytes:
    file = io.BytesIO()
    table = table.set_column(table.column_names.index("carrier"), "carrier", [["x" * size]])
    pa.parquet.write_table(
        table, file, compression="zstd", use_dictionary=False, write_statistics=False
    )
    return file.getvalue()


# A process begins with the peak of the one that started it, so a small one starts the step.
MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
"""


def peak(out: Path, source: Path, **environment: str) -> tuple[int, str, int]:
    """The exit code of a fetch, its output, and its peak memory in MiB."""
    command = command_of("fetch", out, "--date", DAY, "--source", source)
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, *command],
        cwd=ROOT,
        env={**os.environ, **environment},  # noqa: TID251 # a person's
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    code, mib = map(int, result.stdout.split())
    return code, result.stderr, mib


@pytest.fixture(scope="module")
def usual_mib(tmp_path_factory) -> int:
    folder = tmp_path_factory.mktemp("usual")
    (folder / "day.parquet").write_bytes(encode(DAY_TABLE))
    code, words, mib = peak(folder / "out.parquet", folder / "day.parquet")
    assert code == 0, words
    return mib


BOMBS = [
    (
        lambda: repeated(DAY_TABLE, rows=500_000, groups=10),
        "its 5000000 rows of 19 columns take 680000000 bytes of memory",
    ),
    (
        lambda: long_text(DAY_TABLE, 128 * MIB),
        f"the pages of its column 'carrier' take {128 * MIB + 10} bytes of memory",
    ),
]


@pytest.mark.parametrize(("make", "message"), BOMBS, ids=["rows", "page"])
def test_a_small_file_that_holds_a_large_table_costs_a_step_nothing(
    tmp_path: Path, usual_mib, make, message
):
    data = make()
    assert len(data) < MIB
    source = tmp_path / "day.parquet"
    source.write_bytes(data)

    code, words, mib = peak(tmp_path / "out.parquet", source, TAC_MOST_TABLE_BYTES="64Mi")

    assert (code, words) == (
        65,
        f"Error: {source}: {message}; at most {64 * MIB} are taken by one table\n"
        "Hint: if it is what it must be, set TAC_MOST_TABLE_BYTES (now 64Mi)\n",
    )
    assert mib < usual_mib + 32
    assert list(tmp_path.iterdir()) == [source]


DOORS = [
    ("transform", ["{out}.parquet", "{input}", "--schedule", "{plan}"]),
    ("transform", ["{out}.parquet", "{plan}", "--schedule", "{input}"]),
    ("predict", ["{out}.parquet", "{input}", "--model", "logistic"]),
    ("average", ["{out}.parquet", "{input}", "{plan}"]),
    ("report", ["{out}.html", "{input}"]),
    (
        "evaluate",
        [
            *("{out}.json", "--from", str(DAY), "--to", str(DAY)),
            *("--predictions", "{input}", "--baseline", "{plan}", "--happened", "{plan}"),
        ],
    ),
]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize(("step", "arguments"), DOORS)
def test_every_step_looks_at_the_size_of_its_inputs(tmp_path, step, arguments, suffix):
    names = {
        "out": tmp_path / "out",
        "input": tmp_path / f"input{suffix}",
        "plan": tmp_path / "plan.parquet",
    }
    names["plan"].write_bytes(encode(plan_of(DAY_TABLE)))
    names["input"].write_bytes(b"x" * 5000)

    result = run_step(
        step,
        *(argument.format(**names) for argument in arguments),
        environment={"TAC_MOST_INPUT_BYTES": "4999"},
    )

    assert (result.returncode, result.stderr.splitlines()[-2:]) == (
        65,
        [
            f"Error: {names['input']}: is 5000 bytes; at most 4999 are read of one input",
            "Hint: if it is what it must be, set TAC_MOST_INPUT_BYTES (now 4999)",
        ],
    )


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_an_object_that_is_stored_compressed_is_named_and_not_shown(
    tmp_path, bucket: Bucket, suffix
):
    packed = gzip.compress(encode(DAY_TABLE, suffix))
    bucket.client.put_object(
        Bucket=bucket.name, Key=f"day{suffix}", Body=packed, ContentEncoding="gzip"
    )
    source = bucket.address(f"day{suffix}")

    result = run_step(
        *("fetch", tmp_path / "out.parquet", "--date", DAY, "--source", source),
        environment=bucket.environment(),
    )

    kind = {".parquet": "Parquet", ".csv": "CSV"}[suffix]
    assert (result.returncode, result.stderr) == (
        65,
        f"Error: {source}: is gzip, not {kind}: {len(packed)} bytes\n"
        "Hint: unpack it before it is stored, and store it without Content-Encoding\n",
    )


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "time_hour",
            pa.array([1677690000000]),
            "column 'time_hour' has the type int64; it must be timestamp[us, tz=UTC]",
        ),
        (
            "time_hour",
            pa.array([1677690000000], pa.timestamp("us", "UTC")),  # milliseconds under a wrong name
            "column 'time_hour' is 1970-01-20 10:01:30+00:00 in row 1 of 1;"
            " it must be a timestamp of 2023-03-01",
        ),
    ],
)
def test_a_number_is_not_a_timestamp(tmp_path, column, values, message):
    source = tmp_path / "day.parquet"
    at = DAY_TABLE.column_names.index(column)
    source.write_bytes(encode(DAY_TABLE.set_column(at, column, values)))

    result = run_step("fetch", tmp_path / "o.parquet", "--date", DAY, "--source", source)

    assert (result.returncode, result.stderr) == (65, f"Error: {source}: {message}\n")


def test_a_carrier_that_is_called_na_comes_back_from_a_csv(tmp_path):
    table = flights(flight(carrier="NA", tailnum="null"), flight(flight=17, tailnum=None))
    (tmp_path / "day.parquet").write_bytes(encode(table))

    for before, after in (("day.parquet", "there.csv"), ("there.csv", "back.parquet")):
        source = tmp_path / before
        result = run_step("fetch", tmp_path / after, "--date", DAY, "--source", source)
        assert result.returncode == 0, result.stderr

    assert (tmp_path / "back.parquet").read_bytes() == encode(table)
