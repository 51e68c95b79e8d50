"""Flights for tests: small tables by hand, days of the bundled year, a server of files."""

import contextlib
import datetime
import functools
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from tac.flights.bundled import YEAR
from tac.flights.day import read_day
from tac.flights.features import build_features
from tac.flights.models import build_model, fit_model, one_thread
from tac.flights.predictions import predict
from tac.flights.schema import FLIGHTS, OUTCOMES, SCHEDULE, Column
from tac.flights.table import check_table, table_of, write_table

ROOT = Path(__file__).parents[2]
ONE_DAY = datetime.timedelta(days=1)
DAY = datetime.date(2023, 3, 1)


def flight(day: datetime.date = DAY, /, **values: Any) -> dict[str, Any]:
    """One flight that arrived three minutes early."""
    usual = {
        "year": day.year,
        "month": day.month,
        "day": day.day,
        "dep_time": 1712,
        "sched_dep_time": 1710,
        "dep_delay": 2,
        "arr_time": 1827,
        "sched_arr_time": 1830,
        "arr_delay": -3,
        "carrier": "B6",
        "flight": 502,
        "tailnum": "N247JB",
        "origin": "JFK",
        "dest": "BOS",
        "air_time": 39,
        "distance": 187,
        "hour": 17,
        "minute": 10,
        "time_hour": datetime.datetime(day.year, day.month, day.day, 17, tzinfo=datetime.UTC),
    }
    return usual | values


def flights(*rows: dict[str, Any], columns: tuple[Column, ...] = FLIGHTS) -> pa.Table:
    """A table of flights made by `flight`."""
    return table_of(columns, {c.name: [row[c.name] for row in rows] for c in columns})


def encode(table: pa.Table, suffix: str = ".parquet") -> bytes:
    """The bytes of a table as a step writes them."""
    file = io.BytesIO()
    write_table(file, suffix, table)
    return file.getvalue()


def window(day: datetime.date = DAY) -> list[pa.Table]:
    """The ten days before `day`, oldest first, of the bundled year."""
    return [read_day("bundled", day - back * ONE_DAY) for back in range(10, 0, -1)]


def schedule(day: datetime.date = DAY) -> pa.Table:
    return read_day("bundled", day, schedule=True)


def scrambled(table: pa.Table, seed: int = 1) -> pa.Table:
    """The same flights with each other's outcomes; cancelled and diverted ones too."""
    order = np.random.default_rng(seed).permutation(table.num_rows)
    shuffled = table.take(order)
    for name in OUTCOMES:
        place = table.column_names.index(name)
        table = table.set_column(place, name, shuffled.column(name))
    return table


def predicted(name: str, days: list[pa.Table], planned: pa.Table) -> pa.Table:
    """What the model `name` says of `planned` after `days`."""
    features = build_features(days, planned)
    model = build_model(name)
    with one_thread():
        fit_model(model, features)
        return predict(model, features)


def plan_of(table: pa.Table) -> pa.Table:
    return table.select([column.name for column in SCHEDULE])


def command_of(step: str, *arguments: object) -> list[str]:
    """What a person types to run a step."""
    return [sys.executable, "-m", f"tac.{step}", *map(str, arguments)]


def run_step(
    step: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a step as a person would, until it ends."""
    return subprocess.run(
        command_of(step, *arguments),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},  # noqa: TID251 # a person's
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@dataclass(frozen=True)
class Reply:
    """What a server says once `hold` is set; `promised` is the length it announces."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None
    hold: threading.Event | None = None


@dataclass
class Server:
    """A server of files: replies by path, and the headers of the requests it got."""

    url: str
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Serve `replies` on this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            reply = server.replies.get(self.path.partition("?")[0], Reply(status=404))
            if reply.hold is not None:
                reply.hold.wait(30)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            length = len(reply.body) if reply.promised is None else reply.promised
            self.send_header("Content-Length", str(length))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client may have closed it
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # its name
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_port}")
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@functools.cache
def _year() -> pa.Table:
    return pyarrow.parquet.read_table(YEAR / "flights.parquet", use_threads=False)


def bundled_day(day: datetime.date) -> pa.Table:
    """What happened on a day of the bundled year, without weather; quick for many days."""
    year = _year()
    wanted = pc.and_(pc.equal(year["month"], day.month), pc.equal(year["day"], day.day))
    return check_table(str(day), year.filter(wanted), FLIGHTS)


def write_days(folder: Path, days: list[pa.Table], planned: pa.Table) -> list[str]:
    """Write days and schedule as the pipeline keeps them; the addresses of the days."""
    addresses = []
    for table in days:
        first = table.slice(0, 1).to_pylist()[0]
        path = folder / f"{first['year']}-{first['month']:02d}-{first['day']:02d}.parquet"
        path.write_bytes(encode(table))
        addresses.append(str(path))
    (folder / "schedule.parquet").write_bytes(encode(planned))
    return addresses
