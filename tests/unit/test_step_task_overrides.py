"""What a StepTask overrides of Luigi's KubernetesJobTask, on each runner."""

import datetime
import logging
from typing import ClassVar

import luigi
import pytest
from luigi.contrib import kubernetes as luigis
from luigi.task import task_id_str

from tac import memory_history, runners, settings, step_task, task
from tac.errors import ConfigError, StepFailed
from tac.kubernetes import KubernetesJobTask
from tac.runners.runner import Runner
from tac.step_task import StepTask
from tac.target import in_store
from tac.verdict import Reason
from tests.support.retries import Stop, end

ARGV = ("python", "-m", "a.step", "OUT")
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists"}


class Plain(StepTask):
    """A step that is never run: the runner of the test takes note of what it is asked."""

    step = "a.step"
    memory = "64Mi"

    def output(self):
        return in_store("out.csv")


class Changed(Plain):
    """One that changes the pod that the settings describe."""

    @property
    def spec_schema(self):
        pod = super().spec_schema
        pod["tolerations"] = [TOLERATION]
        container = pod["containers"][0]
        container["resources"]["limits"] |= {"memory": "96Mi", "nvidia.com/gpu": 1}
        container["env"].append({"name": "MODE", "value": "quick"})
        return pod


class Own(Plain):
    """One that describes a pod of its own, as Luigi's tutorial does."""

    spec_schema: ClassVar = {
        "containers": [
            {"name": "main", "image": "own:1", "command": ["train"], "args": ["fast"]},
            {"name": "beside", "image": "proxy"},
        ]
    }


class Noting(Runner):
    """A runner that takes note of each request, and has the ends ready."""

    def __init__(self, *reasons):
        self._reasons = [*reasons, Reason.DONE]
        self.requests = []

    def run(self, request, *, follow, stop):
        self.requests.append(request)
        ended = end(self._reasons.pop(0))
        if ended.reason is Reason.DONE:
            in_store("out.csv").open("w").close()
        return ended

    def close(self): ...


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Run a task on a runner of that name; return what it was asked, each time."""

    def run(kind, runner, *reasons, **properties):
        monkeypatch.setenv("TAC_RUNNER", runner)
        settings.current.cache_clear()
        found = type(kind.__name__, (kind,), properties)()
        found._stop = Stop()
        noting = Noting(*reasons)
        with runners.using(noting):
            try:
                found.run()
            finally:
                settings.current.cache_clear()
        for request in noting.requests:
            assert request.argv[3:] in {(), (str(tmp_path / "store" / "out.csv"),)}
        return noting.requests

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAC_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(memory_history, "_known", {})
    monkeypatch.setattr(step_task, "_said", bytearray(1 << 16))
    settings.current.cache_clear()
    yield run
    monkeypatch.undo()
    settings.current.cache_clear()


RUNNERS = ("local", "docker", "kubernetes")


def test_every_task_of_ours_is_one_of_luigis_class():
    kinds = [each for each in vars(task).values() if isinstance(each, type)]
    tasks = [each for each in kinds if issubclass(each, luigi.Task)]

    assert len(tasks) == 8
    assert {issubclass(each, KubernetesJobTask) for each in tasks} == {True}
    assert {issubclass(each, luigis.KubernetesJobTask) for each in tasks} == {True}


def test_nothing_of_it_is_a_parameter():
    found = task.FetchData(date=datetime.date(2023, 3, 1))

    assert found.task_id == task_id_str("FetchData", {"date": "2023-03-01"})
    assert [name for name, _ in found.get_params()] == ["date"]


def test_a_step_fills_what_luigis_class_asks_for():
    found = Plain()

    assert (found.name, found.cmd) == ("plain", [*found.command()])
    container = found.spec_schema["containers"][0]
    assert (container["command"], container["image"]) == (found.cmd, "tac")
    assert container["resources"]["limits"] == {"memory": "64Mi"}


@pytest.mark.parametrize("runner", RUNNERS)
def test_name_command_labels_and_deadline_are_in_every_request(asked, runner):
    [request] = asked(
        Plain,
        runner,
        name="Other name",
        cmd=["true"],
        labels={"team": "flights"},
        active_deadline_seconds=60,
    )

    assert request.name.startswith("other-name-")
    assert request.argv == ("true",)
    assert request.labels == {"team": "flights"}
    assert request.active_deadline_seconds == 60


def test_a_pod_of_the_classs_own_goes_to_kubernetes_whole(asked):
    [changed], [own] = asked(Changed, "kubernetes"), asked(Own, "kubernetes")

    assert changed.pod["tolerations"] == [TOLERATION]
    assert changed.memory == "96Mi"
    assert own.pod == Own.spec_schema
    assert own.memory == ""


def test_docker_honours_the_first_container(asked):
    [changed], [own] = asked(Changed, "docker"), asked(Own, "docker")

    assert (changed.argv[:3], changed.image) == (ARGV[:3], "tac")
    assert (changed.memory, changed.variables) == ("96Mi", {"MODE": "quick"})
    assert (own.argv, own.image, own.pod) == (("train", "fast"), "own:1", None)


@pytest.mark.parametrize(
    ("kind", "runner", "properties", "line"),
    [
        (Changed, "docker", {}, "tolerations, spec_schema.containers[0].resources[nvidia.com/gpu]"),
        (
            Changed,
            "local",
            {"labels": {}},
            "tolerations, spec_schema.containers[0].resources[nvidia.com/gpu], "
            "spec_schema.containers[0].resources, labels",
        ),
        (Own, "docker", {}, "containers[beside]"),
        (Own, "local", {}, "containers[beside], spec_schema.containers[0].image"),
    ],
)
def test_what_a_runner_cannot_honour_is_said_once_a_run(
    asked, caplog, kind, runner, properties, line
):
    with caplog.at_level(logging.WARNING, "tac.step_task"):
        asked(kind, runner, **properties)
        asked(kind, runner, **properties)

    assert caplog.messages == [f"{kind.__name__}: the {runner} runner ignores spec_schema.{line}"]


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_namespace_is_said_to_be_ignored_where_there_is_none(asked, caplog, runner):
    with caplog.at_level(logging.WARNING, "tac.step_task"):
        [request] = asked(Plain, runner, kubernetes_namespace="flights")

    said = [f"Plain: the {runner} runner ignores kubernetes_namespace"]
    assert caplog.messages == ([] if runner == "kubernetes" else said)
    assert request.namespace == "flights"


def test_a_step_that_overrides_nothing_says_nothing(asked, caplog):
    with caplog.at_level(logging.WARNING, "tac.step_task"):
        for runner in RUNNERS:
            asked(Plain, runner)

    assert caplog.messages == []


def test_more_memory_than_the_pod_of_its_own_says_is_given_and_kept(asked, tmp_path, monkeypatch):
    monkeypatch.setenv("TAC_MEMORY", "1Gi")  # what the class says wins

    requests = asked(Changed, "kubernetes", Reason.OUT_OF_MEMORY)

    assert [request.memory for request in requests] == ["96Mi", "192Mi"]
    assert [path.name for path in (tmp_path / "store/_tac/memory/Changed").iterdir()] == ["192"]


@pytest.mark.parametrize(
    ("limits", "retries"),
    [
        ({}, 0),
        ({"backoff_limit": 2}, 2),
        ({"max_retrials": 1}, 1),
        ({"backoff_limit": 2, "max_retrials": 1}, 1),
        ({"backoff_limit": 0, "max_retrials": 1}, 0),
    ],
)
def test_exit_code_1_is_tried_again_as_often_as_the_class_says(asked, limits, retries):
    requests = asked(Plain, "kubernetes", *[Reason.BUG] * retries, **limits)

    assert len(requests) == 1 + retries
    assert {request.backoff_limit for request in requests} == {0}  # the Job's own
    with pytest.raises(StepFailed):
        asked(Plain, "kubernetes", *[Reason.BUG] * (retries + 1), **limits)


@pytest.mark.parametrize(
    "name",
    [
        "name",
        "labels",
        "cmd",
        "spec_schema",
        "kubernetes_namespace",
        "active_deadline_seconds",
        "backoff_limit",
        "max_retrials",
    ],
)
def test_a_parameter_that_is_called_like_a_property_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        type("Greet", (StepTask,), {name: luigi.Parameter(default="x")})

    assert (caught.value.message, caught.value.hint) == (
        f"Greet: its parameter `{name}` hides the property of that name, "
        "which says how its Job runs",
        f"give the parameter another name, such as `its_{name}`",
    )


def test_a_job_task_may_have_such_a_parameter_as_with_luigi():
    kind = type("Greet", (KubernetesJobTask,), {"name": luigi.Parameter(default="x")})

    assert kind(name="y").name == "y"


def test_success_is_signalled(asked):
    signalled = []

    asked(Plain, "local", signal_complete=lambda _: signalled.append("yes"))

    assert signalled == ["yes"]
