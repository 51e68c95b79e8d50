"""What drivers that were killed left behind is removed by the next one, and nothing else."""

from typing import Any

import pytest

from tac import names
from tests.support.kubernetes_place import WAITS, at, step_image
from tests.support.processes import until

__all__ = ["at", "step_image"]

FOREIGN: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "somebody-elses"},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "a", "image": "IMAGE", "command": ["true"]}],
            }
        },
    },
}


def left(at, output, code):
    """A Job that has ended and that nobody has read, its driver having been killed."""
    with at.driver(("x", str(output), "sh", "-c", f"{WAITS} exit {code}")) as driver:
        at.pod()
        driver.kill()
        driver.wait()
    at.go()
    at.until_finished("Failed" if code else "Complete")


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("way", ["close", "sweep"])
def test_a_job_whose_output_is_there_is_removed_by_the_next_driver(at, code, way):
    output = at.path / "store" / "x.csv"
    left(at, output, code)
    output.parent.mkdir(exist_ok=True)
    output.touch()

    if way == "sweep":
        at.runner.sweep()
    else:
        at.run("sh", "-c", "echo another")
        at.close()

    at.until_empty()
    assert [box["verdict"] for box in at.boxes()] == ([None] if code else [])


def test_a_job_whose_output_is_missing_is_not_swept(at):
    left(at, at.path / "store" / "x.csv", 0)

    at.runner.sweep()

    assert len(at.jobs()) == 1
    at.kubectl("delete", "job", "--all")


def test_what_runs_is_left_alone(at):
    output = at.path / "store" / "x.csv"
    output.parent.mkdir(parents=True)
    output.touch()
    with at.running(f"{WAITS} exit 0", output=str(output)) as verdicts:
        at.pod()
        other = at.new_runner()
        other.sweep()
        assert len(at.jobs()) == 1
        at.go()

    assert verdicts[0].reason == "done"


def test_other_peoples_jobs_are_never_removed(at, step_image):
    output = at.path / "x.csv"
    output.touch()
    # Of another tool, which has an annotation of ours all the same.
    FOREIGN["metadata"] = {
        "name": "somebody-elses",
        "annotations": {names.OUTPUT: str(output)},
    }
    pod = FOREIGN["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = step_image
    at.client.create("Job", FOREIGN)
    until(
        lambda: at.client.read("Job", "somebody-elses")["status"].get("conditions"), "its end", 60
    )

    at.runner.sweep()
    at.sh("true")
    at.close()

    assert at.client.read("Job", "somebody-elses")["status"]["succeeded"] == 1
    at.kubectl("delete", "job", "somebody-elses")
