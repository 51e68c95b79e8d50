import datetime
import re
import subprocess
import sys

import pytest

from tests.support.homes import ROOT
from tests.support.pages import DAY, happened, predictions, some_rows, write_tables

YESTERDAY = DAY - datetime.timedelta(days=1)
PAST = ("--past", "past.parquet", "--baseline", "rates.parquet", "--happened", "flights.parquet")


@pytest.fixture
def folder(tmp_path):
    today, before = some_rows(DAY), some_rows(YESTERDAY)
    write_tables(
        tmp_path,
        {
            "today.parquet": predictions(today),
            "past.parquet": predictions(before),
            "rates.parquet": predictions([{**row, "probability": 0.3} for row in before]),
            "flights.parquet": happened(before),
            "two-days.parquet": predictions(today + before),
            "without-reasons.parquet": predictions(today).drop_columns(["because_hour"]),
        },
    )
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "today.parquet").read_bytes()[:-100])
    return tmp_path


def report(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "tac.report", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_page_is_written_with_its_past_days(folder):
    done = report(folder, "page.html", "today.parquet", *PAST)
    assert (done.returncode, done.stdout) == (0, "")
    assert "[100 %] making the page: page.html" in done.stderr.splitlines()
    page = (folder / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "In the last 1 day we expected" in page
    assert sorted(path.name for path in folder.glob("*.html*")) == ["page.html"]


def test_two_processes_write_the_same_bytes(folder):
    for name in ("one.html", "two.html"):
        assert report(folder, name, "today.parquet", *PAST).returncode == 0
    assert (folder / "one.html").read_bytes() == (folder / "two.html").read_bytes()


def test_no_past_days_are_fine(folder):
    done = report(folder, "page.html", "today.parquet")
    assert done.returncode == 0
    assert "There is nothing to look back on" in (folder / "page.html").read_text()


def test_the_page_is_written_to_standard_output(folder):
    done = report(folder, "-", "today.parquet")
    assert done.returncode == 0
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.endswith("</html>\n")


def test_an_existing_page_is_left_alone_and_inputs_are_not_read(folder):
    (folder / "page.html").write_text("mine")
    done = report(folder, "page.html", "nowhere.parquet")
    assert (done.returncode, (folder / "page.html").read_text()) == (0, "mine")
    assert re.fullmatch(r"page\.html: exists, 4 bytes, .*; nothing to do\n", done.stderr)


def test_help_shows_how_it_is_called_and_loads_nothing_heavy(folder):
    asked = "import sys; from click.testing import CliRunner; import tac.report as r;"
    asked += "out = CliRunner().invoke(r.main, ['--help']).output; print(out);"
    asked += "print(sorted({'pandas', 'numpy', 'pyarrow', 'jinja2', 'luigi'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "--baseline PREDICTIONS" in done.stdout
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["today.parquet", *PAST[:4]],
            2,
            "Error: the past days are not complete: 2023-02-28 lacks --happened\n"
            "Hint: give --past, --baseline and --happened for each past day, or none of them\n",
        ),
        (
            ["past.parquet", *PAST],
            2,
            "Error: --past past.parquet: is about 2023-02-28, which is not before 2023-02-28\n"
            "Hint: PREDICTIONS are about the day of the page, the options about days before it\n",
        ),
        (
            ["today.parquet", "--past", "past.parquet", *PAST],
            2,
            "Error: past.parquet: is given 2 times as an input\n",
        ),
        (
            ["two-days.parquet"],
            65,
            "Error: two-days.parquet: holds flights of 2 days, 2023-02-28 to 2023-03-01;"
            " one day was expected\n",
        ),
        (
            ["without-reasons.parquet"],
            65,
            "Error: without-reasons.parquet: has no column 'because_hour'; its 16 columns are"
            " date, carrier, flight, tailnum, origin, dest, sched_dep_time, sched_arr_time, hour,"
            " probability, because_carrier, because_origin, because_dest, because_distance,"
            " because_yesterday, because_flight\n",
        ),
        (
            ["flights.parquet"],
            65,
            "Error: flights.parquet: has no columns date, probability, because_hour,"
            " because_carrier, because_origin, because_dest, because_distance,"
            " because_yesterday, because_flight; its 25 columns are year, month, day, dep_time,"
            " sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier, flight,"
            " tailnum, origin, dest, air_time, distance, hour, minute, time_hour, weather_temp,"
            " weather_wind_speed, weather_wind_gust, weather_precip, weather_pressure,"
            " weather_visib\n",
        ),
    ],
    ids=["a day lacks one", "the day itself", "twice", "two days", "a column", "another table"],
)
def test_tables_that_do_not_belong_together_are_refused(folder, arguments, code, message):
    done = report(folder, "page.html", *arguments)
    words = "".join(
        line for line in done.stderr.splitlines(keepends=True) if not line.startswith("[")
    )
    assert (done.returncode, words) == (code, message)
    assert not (folder / "page.html").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "start"),
    [
        (["nowhere.parquet"], 2, "Error: nowhere.parquet: "),
        (["cut.parquet"], 65, "Error: cut.parquet: is truncated: "),
        (["today.xlsx"], 2, "Error: today.xlsx: ends neither in .parquet nor in .csv"),
        ([], 2, "Usage: python -m tac.report [OPTIONS] OUT PREDICTIONS"),
    ],
)
def test_inputs_that_cannot_be_read_are_refused(folder, arguments, code, start):
    done = report(folder, "page.html", *arguments)
    assert (done.returncode, done.stderr[: len(start)]) == (code, start)


def test_the_output_is_a_page_and_nothing_else(folder):
    done = report(folder, "page.pdf", "today.parquet")
    assert done.returncode == 2
    assert "'page.pdf' does not end in .html." in done.stderr
