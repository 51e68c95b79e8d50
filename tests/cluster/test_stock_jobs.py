"""The stock `luigi` command with a luigid, ten workers, and tasks that are one Job each, on S3."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import s3_jobs
from tests.support.journal import journal
from tests.support.kubernetes_place import step_image
from tests.support.luigid import luigid
from tests.support.runs import REPOSITORY

__all__ = ["step_image"]

SECONDS = 240
DAY = "2023-08-20"
pytestmark = pytest.mark.timeout(300)
THEIRS = "from luigi.contrib.kubernetes import KubernetesJobTask"
OURS = "from tac.kubernetes import KubernetesJobTask"

MIXED = """

import datetime
from tac.step_task import StepTask, addresses
from tac.target import in_store
from tac.task import FetchSchedule


class After(First):
    name = "after"
    kubernetes_namespace = {namespace!r}

    def requires(self):
        return FetchSchedule(date=datetime.date.fromisoformat({day!r}))


class Copy(StepTask):
    name = "copy-of-the-schedule"
    labels = {{"mixed": "yes"}}
    active_deadline_seconds = 200

    @property
    def spec_schema(self):
        pod = super().spec_schema
        pod["tolerations"] = [{{"key": "mixed", "operator": "Exists"}}]
        return pod

    def requires(self):
        return [After(), FetchSchedule(date=datetime.date.fromisoformat({day!r}))]

    def output(self):
        return in_store("copy.parquet")

    def command(self):
        return ("python", "-c", COPY, addresses(self.input())[1], self.output().path)


COPY = (
    "import sys; from tac.store import store_of\\n"
    "with store_of(sys.argv[1]).open(sys.argv[1]) as source:\\n"
    "    with store_of(sys.argv[2]).create(sys.argv[2]) as draft:\\n"
    "        draft.file.write(source.read())\\n"
)
"""


@pytest.fixture
def pipeline(tmp_path, laptop, api_namespace, step_image):
    """The pipeline with its one import changed, and what it is configured by."""
    text = Path(s3_jobs.__file__).read_text()
    assert text.count(THEIRS) == 1
    (tmp_path / "pipeline.py").write_text(text.replace(THEIRS, OURS))
    (tmp_path / "luigi.cfg").write_text(
        "[retcode]\ntask_failed=30\nscheduling_error=35\nunhandled_exception=40\n"
        f"[kubernetes]\nkubernetes_namespace={api_namespace}\n"
        f"[jobs]\nimage={step_image}\nfolder=s3://tac/{tmp_path.name}\n"
        f"endpoint=http://s3.{laptop.namespace}.svc:8333\n"
    )
    return tmp_path


def luigi(at, task, server, variables):
    """Run the stock command to its end."""
    words = ("--module", "pipeline", task, "--workers", "10", "--scheduler-url", server.url)
    ended = subprocess.run(
        [sys.executable, "-m", "luigi", *words, "--lock-pid-dir", str(at / "lock")],
        cwd=at,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{at}", **variables},  # noqa: TID251 # a test's own child
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def test_tasks_of_luigis_class_run_as_they_are_but_for_their_import(
    pipeline, laptop, api_namespace
):
    variables = {name: value for name, value in laptop.variables.items() if name.startswith("AWS_")}

    with luigid(pipeline) as server, journal(api_namespace) as kept:
        luigi(pipeline, "Third", server, {**variables, "TAC_STORE": str(pipeline / "store")})
        shown = server.tasks()

    assert {name: task["status"] for name, task in shown.items()} == {
        "First()": "DONE",
        "Second()": "DONE",
        "Third()": "DONE",
    }
    assert laptop.read(pipeline.name, "third") == b"one one two three"
    assert sorted(kept.succeeded.values()) == [1, 1, 1]


def test_both_kinds_of_task_run_in_one_run_each_in_the_namespace_that_is_said(
    pipeline, laptop, api_namespace
):
    with (pipeline / "pipeline.py").open("a") as file:
        file.write(MIXED.format(namespace=api_namespace, day=DAY))

    with (
        luigid(pipeline) as server,
        journal(api_namespace) as of_jobs,
        journal(laptop.namespace) as of_steps,
    ):
        luigi(pipeline, "Copy", server, laptop.of(pipeline, pipeline.name))
        shown = server.tasks()

    assert {task["status"] for task in shown.values()} == {"DONE"}
    assert laptop.read(pipeline.name, "after") == b"one"
    copy = laptop.read(pipeline.name, "copy.parquet")
    assert copy == laptop.read(pipeline.name, f"schedule/{DAY}.parquet")
    assert sorted(of_jobs.succeeded.values()) == [1]
    assert sorted(of_steps.succeeded.values()) == [1, 1]
    labels = [job["metadata"]["labels"] for job in of_steps.jobs.values()]
    assert sorted((each["tac/step"], each.get("mixed")) for each in labels) == [
        ("copy-of-the-schedule", "yes"),
        ("fetch-schedule", None),
    ]
    deadlines = [job["spec"].get("activeDeadlineSeconds") for job in of_steps.jobs.values()]
    assert sorted(deadlines, key=str) == [200, None]
    tolerated = [
        each.get("key") for pod in of_steps.pods.values() for each in pod["spec"]["tolerations"]
    ]
    assert tolerated.count("mixed") == 1
