"""A runner asks for what its steps need, and a plan without steps needs nothing of it."""

import pytest

from tests.support.runs import tac, tac_run

PIPELINE = """
import luigi
from tac.step_task import StepTask
from tac.target import in_store

class Step(StepTask):
    step = "elsewhere.step"
    def output(self):
        return in_store("step.csv")

class Needs(luigi.Task):
    runs_in_thread = True
    def requires(self):
        return Step()
    def output(self):
        return luigi.LocalTarget("needs.txt")
    def run(self):
        self.output().open("w").close()
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    return tmp_path


@pytest.mark.parametrize("runner", ["kubernetes", "docker"])
def test_a_plan_without_steps_needs_neither_s3_nor_a_cluster_nor_an_engine(tmp_path, runner):
    ended = tac_run(
        tmp_path,
        *("Mixed", "--runner", runner),
        KUBECONFIG=f"{tmp_path}/none",
        DOCKER_HOST=f"unix://{tmp_path}/none",
    )

    assert (ended.code, ended.out) == (0, f"{tmp_path}/Mixed.txt\n"), ended.err
    assert ended.lines[-1] == "3 ran, 0 were complete, T s"


def test_a_step_that_is_done_needs_nothing_either(here):
    (here / "store").mkdir()
    (here / "store" / "step.csv").touch()

    ended = tac(
        here,
        *("run", "--module", "pipeline", "Needs", "--runner", "kubernetes"),
        KUBECONFIG=f"{here}/none",
    )

    assert (ended.code, ended.out) == (0, "needs.txt\n"), ended.err


def test_a_place_that_is_not_there_is_named_where_the_store_cannot_be_asked_either(here):
    ended = tac(
        here,
        *("run", "--module", "pipeline", "Needs", "--runner", "kubernetes"),
        TAC_STORE="s3://a-bucket/x",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_SHARED_CREDENTIALS_FILE=f"{here}/none",
        AWS_CONFIG_FILE=f"{here}/none",
        KUBECONFIG=f"{here}/none",
    )

    assert (ended.code, ended.err) == (
        2,
        f"Error: kubernetes: no API server is configured: {here}/none names none, and this is not "
        "a pod\nHint: `minikube start`, or set KUBECONFIG to the file of another cluster\n",
    )


def test_a_step_whose_output_no_pod_sees_is_refused_before_anything_runs(here):
    ended = tac(here, "run", "--module", "pipeline", "Needs", "--runner", "kubernetes")

    assert (ended.code, ended.out) == (2, "")
    assert ended.lines == [
        f"Error: {here}/store/step.csv: is on this machine, which pods do not see",
        "Hint: keep the store on S3 (`--store s3://bucket/prefix`)",
    ]


def test_a_step_that_describes_its_pod_may_have_its_output_on_a_volume(here):
    own = '    spec_schema = {"containers": [{"name": "a", "image": "b"}]}\n'
    (here / "pipeline.py").write_text(PIPELINE.replace("    def output", f"{own}    def output", 1))

    ended = tac(
        here,
        *("run", "--module", "pipeline", "Needs", "--runner", "kubernetes"),
        KUBECONFIG=f"{here}/none",
    )

    assert (ended.code, ended.lines[0]) == (
        2,
        f"Error: kubernetes: no API server is configured: {here}/none names none, and this is not "
        "a pod",
    )


def test_a_runner_that_does_not_exist_is_refused_though_all_is_complete(here):
    (here / "needs.txt").touch()

    ended = tac(here, "run", "--module", "pipeline", "Needs", "--runner", "podman")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "Error: runner: there is none called 'podman'",
        "Hint: use local, docker or kubernetes",
    ]
