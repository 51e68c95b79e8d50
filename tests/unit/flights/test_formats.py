"""What is no table is named by what it is, and none of its bytes are shown."""

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pyarrow.feather
import pytest

from tac.errors import DataError
from tac.flights.schema import FLIGHTS
from tac.flights.table import read_table
from tests.support.flights import encode, flight, flights

TABLE = flights(flight())
CSV = encode(TABLE, ".csv")


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("day.csv", CSV)
    return file.getvalue()


def feather() -> bytes:
    file = io.BytesIO()
    pa.feather.write_feather(TABLE, file)
    return file.getvalue()


def packed(codec: str) -> bytes:
    return bytes(pa.compress(CSV, codec=codec, asbytes=True))


UNPACK = "unpack it before it is stored, and store it without Content-Encoding"
FORMATS = [
    (gzip.compress(CSV), "gzip", UNPACK),
    (packed("zstd"), "zstd", UNPACK),
    (packed("lz4"), "LZ4", UNPACK),
    (lzma.compress(CSV), "xz", UNPACK),
    (bz2.compress(CSV), "bzip2", UNPACK),
    (zipped(), "zip, which Excel's files are too", UNPACK),
    (feather(), "Arrow IPC (Feather)", "write it as {kind}"),
    (b"Obj\x01\x04\x14avro.codec", "Avro", "write it as {kind}"),
    (b"PARE" + bytes(8) + b"PARE", "encrypted Parquet", "write it as {kind}"),
    (CSV.decode().encode("utf-16"), "UTF-16 text", "write it as {kind}"),
]


@pytest.mark.parametrize(("suffix", "kind"), [(".csv", "CSV"), (".parquet", "Parquet")])
@pytest.mark.parametrize(("data", "name", "hint"), FORMATS, ids=[row[1] for row in FORMATS])
def test_another_format_is_named(suffix, kind, data, name, hint):
    with pytest.raises(DataError) as caught:
        read_table(f"x{suffix}", data, FLIGHTS)

    assert (caught.value.message, caught.value.hint) == (
        f"x{suffix}: is {name}, not {kind}: {len(data)} bytes",
        hint.format(kind=kind),
    )


SWAPPED = [
    ("x.csv", encode(TABLE), "x.csv: is Parquet, not CSV: {size} bytes"),
    (
        "x.parquet",
        CSV,
        "x.parquet: is not Parquet: {size} bytes that begin with b'\"year\",\"', not b'PAR1'",
    ),
    (
        "x.csv",
        b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
        "x.csv: is an XML page, not CSV: {size} bytes that begin with"
        " '<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>'",
    ),
]


@pytest.mark.parametrize(("name", "data", "message"), SWAPPED)
def test_a_file_under_the_wrong_name_is_named(name, data, message):
    with pytest.raises(DataError) as caught:
        read_table(name, data, FLIGHTS)

    assert caught.value.message == message.format(size=len(data))
