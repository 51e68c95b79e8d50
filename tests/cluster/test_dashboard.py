"""luigid's own pages in a real Chromium while the pipeline runs on a real Kubernetes.

Pods are held back by a scheduling gate, so each state stays for as long as somebody looks at it.
`TAC_TEST_PICTURES=docs make cluster-test ARGS=tests/cluster/test_dashboard.py` makes the pictures
of the documents anew.
"""

import datetime
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import luigi
import pytest
from playwright.sync_api import expect

from tac import names
from tac.task import MakePredictions
from tests.support.dashboard import Dashboard, dashboard
from tests.support.deployment import Deployment
from tests.support.laptop import Laptop
from tests.support.processes import until
from tests.support.runs import started_program, tac

DAY = "2023-08-16"
TASKS_OF_THE_DAY = "2023-08-"
"""What the parameters of all of them have, and of no other test's."""

GATE = "tac-test/held"
HELD = "pending: waiting for a node: Scheduling is blocked due to non-empty scheduling gates"
SECONDS = 90
PATIENCE = SECONDS * 1000
"""The same in the browser's milliseconds."""

FETCHES = Counter(FetchData=10, FetchSchedule=1)
AFTERWARDS = {
    "transform-data": Counter(TransformData=1),
    "predict": Counter(Predict=2),
    "make-predictions": Counter(MakePredictions=1),
}
OF_THE_DAY = sum(AFTERWARDS.values(), FETCHES)


@pytest.fixture(scope="module")
def pages(deployment: Deployment) -> Iterator[Dashboard]:
    """The pages of the luigid in the Kubernetes cluster, as `./minikube.sh dashboard` has them."""
    with deployment.forwarded("service/luigid", 8082) as url, dashboard(url) as opened:
        yield opened


@dataclass(frozen=True)
class Gates:
    """Holds every pod of a driver's steps back until it is let go."""

    deployment: Deployment
    patch: Path
    label: str

    @property
    def variables(self) -> dict[str, str]:
        return {"TAC_KUBERNETES_POD_PATCH": str(self.patch)}

    def open(self, step: str, count: int) -> list[str]:
        """Let so many pods of a step go, once they are there, and return their names."""
        held = until(lambda: self._held(step, count), f"{count} pods of {step}", SECONDS)
        for pod in held:
            gone = [{"op": "remove", "path": "/spec/schedulingGates"}]
            self.deployment.kubectl("patch", "pod", pod, "--type=json", "-p", json.dumps(gone))
        return held

    def _held(self, step: str, count: int) -> list[str]:
        pods = self.deployment.read("pods", "--selector", f"{self.label},{names.STEP}={step}")
        held = [
            pod["metadata"]["name"]
            for pod in pods["items"]
            if {"name": GATE} in pod["spec"].get("schedulingGates", ())
        ]
        return sorted(held)[:count] if len(held) >= count else []


@pytest.fixture
def gates(deployment: Deployment, tmp_path: Path) -> Gates:
    name = tmp_path.name
    labels = {"labels": {GATE: name}}
    patch = tmp_path / "patch.json"
    patch.write_text(
        json.dumps({"metadata": labels, "spec": {"schedulingGates": [{"name": GATE}]}})
    )
    return Gates(deployment, patch, f"{GATE}={name}")


def below(task: luigi.Task) -> set[tuple[str, str]]:
    """Who needs whom, as the tasks say it themselves."""
    needs = {(task.task_id, need.task_id) for need in task.deps()}
    return needs.union(*(below(need) for need in task.deps()))


@pytest.mark.timeout(300)
def test_the_graph_shows_every_task_and_how_its_state_changes(pages, laptop, gates, tmp_path):
    root = MakePredictions(date=datetime.date.fromisoformat(DAY))
    words = ("run", "MakePredictions", "--date", DAY, "--workers", 11)
    variables = {**laptop.of(tmp_path, "graph"), **gates.variables, "TAC_LUIGID": pages.url}

    def see(running, done):
        states = {"Running": running, "Done": done, "Pending": OF_THE_DAY - running - done}
        wanted = {
            (family, state): count
            for state, counts in states.items()
            for family, count in counts.items()
        }
        return pages.until_graph(root.task_id, wanted, SECONDS)

    with started_program(tmp_path, *words, **variables) as driver:
        graph = see(running=FETCHES, done=Counter())
        gates.open("fetch-data", 6)
        some = Counter(FetchData=6)
        see(running=FETCHES - some, done=some)
        pages.picture("dashboard.png", below="#graphPlaceholder")
        expect(pages.list(TASKS_OF_THE_DAY)).to_have_count(15)
        pages.picture("dashboard-tasks.png", below="#taskTable tr:nth-child(7)")
        gates.open("fetch-data", 4)
        gates.open("fetch-schedule", 1)
        done = FETCHES
        for step, tasks in AFTERWARDS.items():
            see(running=tasks, done=done)
            gates.open(step, tasks.total())
            done = done + tasks
        see(running=Counter(), done=OF_THE_DAY)
        out, err = driver.communicate(timeout=SECONDS)

    assert (driver.returncode, out) == (0, f"s3://tac/graph/predictions/{DAY}.parquet\n"), err
    assert set(graph.edges) == below(root)
    assert len(graph.edges) == len(set(graph.edges)) == len(graph.nodes) == 15
    rows = pages.list(TASKS_OF_THE_DAY)
    expect(rows).to_have_count(15)
    assert {row.split()[0] for row in rows.all_inner_texts()} == {"DONE"}


@pytest.fixture
def only_features_left(laptop: Laptop, tmp_path: Path) -> dict[str, str]:
    """A store in which a day's features are missing, and nothing that they need."""
    variables = laptop.of(tmp_path, "status")
    words = ("run", "TransformData", "--date", DAY, "--runner", "local")
    ended = tac(tmp_path, *words, seconds=SECONDS, **variables)
    assert ended.code == 0, ended.err
    laptop.s3.delete_object(Bucket="tac", Key=f"status/features/{DAY}.parquet")
    return variables


def test_a_running_step_shows_what_it_does_and_where_its_log_is(
    deployment, pages, gates, only_features_left, tmp_path
):
    words = ("run", "TransformData", "--date", DAY, "--luigid", pages.url)
    logs = "https://logs.example/{namespace}/{pod}"
    variables = {**only_features_left, **gates.variables, "TAC_LOG_URL": logs}
    features = f"features: s3://tac/status/features/{DAY}.parquet"

    with started_program(tmp_path, *words, **variables) as driver:
        dialog = pages.open_status(f"TransformData {DAY}", SECONDS)
        status, bar = dialog.locator("pre"), dialog.get_by_role("progressbar")
        expect(dialog.locator(".modal-title")).to_have_text(
            f"Status message for TransformData(date={DAY})"
        )
        expect(status).to_contain_text(HELD, timeout=PATIENCE)  # this dialog alone is live
        [log] = (tmp_path / "logs").glob("transform-data-*.log")
        assert status.inner_text().splitlines() == [HELD, f"log: {log}"]
        expect(bar).to_have_text("0%")
        [pod] = gates.open("transform-data", 1)
        expect(bar).to_have_text("100%", timeout=PATIENCE)
        expect(status).to_contain_text(features, timeout=PATIENCE)
        first, place, where = status.inner_text().splitlines()
        _, err = driver.communicate(timeout=SECONDS)

    assert driver.returncode == 0, err
    assert first == features
    assert re.match(rf"pod/{pod} on \S+", place)
    assert where == f"log: {log}"
    assert f"# {place}" in log.read_text().splitlines()
    link = pages.list(f"TransformData {DAY}").get_by_title("Track Progress")
    expect(link).to_have_attribute("href", logs.format(namespace=deployment.namespace, pod=pod))


def test_a_failed_task_is_found_by_its_name_and_says_what_to_do(pages, laptop, tmp_path):
    words = ("run", "FetchData", "--date", "2024-01-01", "--luigid", pages.url)

    def failed_row():
        ended = tac(tmp_path, *words, seconds=SECONDS, **laptop.of(tmp_path, "failed"))
        assert ended.code == 30, ended.err
        rows = pages.list("FetchData 2024-01-01")
        expect(rows).to_have_count(1)
        state, *names = rows.first.inner_text().split()[:3]
        assert names == ["FetchData", "date=2024-01-01"]
        return rows.first if state == "FAILED" else None

    # Who asks luigid more than its retry_delay of ten seconds after a failure finds it PENDING.
    dialog = pages.open_error(until(failed_row, "a failed task", SECONDS))
    expect(dialog.locator(".modal-title")).to_have_text("Traceback for FetchData(date=2024-01-01)")
    [log] = (tmp_path / "logs").glob("fetch-data-*.log")
    failure, command = (pre.inner_text() for pre in dialog.locator("pre").all())
    assert re.sub(r"job/fetch-data-\w{12}-\d+\b", "job/JOB", failure).splitlines() == [
        f"step/{log.stem}: cannot be done as asked, exit code 2 in job/JOB: 2024-01-01: is not in "
        "the bundled year, which runs from 2023-01-01 to 2023-12-31",
        "Hint: take such a day from elsewhere: --source 'https://host/{date:%Y-%m-%d}.parquet'",
    ]
    assert command == 'luigi --module tac.task FetchData --date "2024-01-01"'
