"""`today` and `yesterday` in a pipeline of one's own: whose calendar they mean."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from tests.support.runs import tac

# Between the two lie 26 hours, so that their days are never the same.
FIRST, LAST = "Pacific/Kiritimati", "Etc/GMT+12"
PIPELINE = """
import luigi
from tac.step_task import StepTask
from tac.target import in_store

class Count(StepTask):
    step = "mine.count"
    date = luigi.DateParameter()
    def output(self):
        return in_store(f"counts/{self.date}.csv")

class CountInTokyo(Count):
    timezone = "Asia/Tokyo"
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "mine.py").write_text(PIPELINE)
    return tmp_path


def planned(here, word, task="Count", **environment):
    """Return the day that a dry run names; the one before and after it, when it was asked."""
    words = ("run", "--module", "mine", task, "--date", word, "--dry-run")
    ended = tac(here, *words, **environment)
    assert (ended.code, ended.err) == (0, ""), ended.err
    would_run, count = ended.out.splitlines()
    assert count == "1 would run, 0 are complete"
    day = would_run.partition("date=")[2][:10]
    store = f"{here}/store/counts/{day}.csv"
    assert would_run == f"would run      {task}(date={day}): {store} is not there"
    return dt.date.fromisoformat(day)


def days_in(zone, before):
    """Return the days that it was in the zone since then: two, about midnight."""
    return {
        moment.astimezone(ZoneInfo(zone)).date() for moment in (before, dt.datetime.now(dt.UTC))
    }


@pytest.mark.parametrize(
    ("task", "environment", "zone"),
    [
        ("Count", {"TZ": FIRST}, FIRST),
        ("Count", {"TZ": LAST}, LAST),
        ("Count", {"TZ": LAST, "TAC_TIMEZONE": ""}, LAST),
        ("Count", {"TZ": LAST, "TAC_TIMEZONE": FIRST}, FIRST),
        ("Count", {"TZ": FIRST, "TAC_TIMEZONE": LAST}, LAST),
        ("CountInTokyo", {"TZ": FIRST, "TAC_TIMEZONE": LAST}, "Asia/Tokyo"),
    ],
)
@pytest.mark.parametrize(("word", "back"), [("today", 0), ("yesterday", 1)])
def test_a_word_is_the_day_of_the_task_of_the_setting_or_of_the_machine(
    here, task, environment, zone, word, back
):
    before = dt.datetime.now(dt.UTC)

    day = planned(here, word, task, **environment)

    assert day + dt.timedelta(days=back) in days_in(zone, before)


def test_the_setting_may_stand_in_luigis_configuration_file(here):
    (here / "luigi.cfg").write_text(f"[tac]\ntimezone = {FIRST}\n")
    before = dt.datetime.now(dt.UTC)

    assert planned(here, "today", TZ=LAST) in days_in(FIRST, before)


def test_a_time_zone_that_does_not_exist_ends_the_run_with_exit_code_2(here):
    words = ("run", "--module", "mine", "Count", "--date", "2023-03-01", "--dry-run")

    ended = tac(here, *words, TAC_TIMEZONE="Mars/Olympus")

    assert (ended.code, ended.out) == (2, "")
    assert ended.lines == [
        "Error: timezone: 'Mars/Olympus' is not a time zone",
        "Hint: name it as the tz database does, such as Europe/Berlin: `ls /usr/share/zoneinfo`",
    ]


def test_the_help_of_tac_run_shows_source_for_the_reference_pipeline_only(here):
    ours = tac(here, "run", "--help")
    theirs = tac(here, "run", "--module", "mine", "--help")

    assert (ours.code, theirs.code) == (0, 0)
    assert ours.out.count("--source") == 1
    lines = ours.out.splitlines(keepends=True)
    assert theirs.out == "".join(line for line in lines if "--source" not in line)
    for word in ("flight", "bundled", "new york", "america"):
        assert word not in ours.out.lower()
