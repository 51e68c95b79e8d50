"""KubernetesJobTask as a class: Luigi's properties, and what becomes of them."""

import pickle
from pathlib import Path

import luigi
import pytest
from luigi.contrib import kubernetes as luigis
from luigi.freezing import FrozenOrderedDict

import tac.kubernetes
from tac import settings
from tac.errors import ConfigError
from tac.kubernetes import KubernetesJobTask

CONTAINERS = [{"name": "pi", "image": "perl", "command": ["true"]}]


class Pi(KubernetesJobTask):
    """As an example of Luigi's."""

    digits = luigi.IntParameter(default=3)
    pod = luigi.DictParameter(default={"containers": CONTAINERS})
    name = "pi"

    @property
    def spec_schema(self):
        return self.pod

    def output(self):
        return luigi.LocalTarget(f"/out/{self.digits}")


class NamesItself(Pi):
    """One whose pod is told its name."""

    @property
    def spec_schema(self):
        return {"containers": [{**CONTAINERS[0], "args": [self.uu_name]}]}


class WithoutOutput(Pi):
    """And as another one."""

    def output(self):
        return None


class SaysItself(WithoutOutput):
    """One that knows better whether it is complete."""

    is_there = False

    def complete(self):
        return self.is_there


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAC_STORE", str(tmp_path))
    settings.current.cache_clear()
    yield
    settings.current.cache_clear()


def task(kind=Pi, **properties):
    return type(kind.__name__, (kind,), properties)()


def job_of(found):
    """The Job that it would create."""
    return found._request_and_manifest()[1]


def spec(**properties):
    return job_of(task(**properties))["spec"]


def test_the_package_shows_the_class_to_who_asks_for_it():
    assert tac.kubernetes.__all__ == ["KubernetesJobTask"]
    assert "KubernetesJobTask" in dir(tac.kubernetes)
    with pytest.raises(AttributeError, match=r"'tac\.kubernetes' has no attribute 'JobTask'"):
        _ = tac.kubernetes.JobTask  # type: ignore[attr-defined]  # which is what is tested


def test_it_is_a_task_of_luigis_class():
    assert isinstance(task(), luigis.KubernetesJobTask)


def test_every_public_property_of_luigis_class_is_there_with_its_default():
    public = {name for name in vars(luigis.KubernetesJobTask) if not name.startswith("_")}
    values: dict[str, object] = {
        "auth_method": "kubeconfig",
        "kubeconfig_path": "~/.kube/config",
        "kubernetes_namespace": None,
        "labels": {},
        "max_retrials": 0,
        "backoff_limit": 6,
        "delete_on_success": True,
        "print_pod_logs_on_exit": False,
        "active_deadline_seconds": None,
        "poll_interval": 5,
        "pod_creation_wait_interal": 5,
    }

    assert {name: getattr(Pi(), name) for name in values} == values
    assert isinstance(Pi().kubernetes_config, luigis.kubernetes)
    assert Pi().signal_complete() is None
    for name in ("name", "spec_schema"):
        with pytest.raises(NotImplementedError, match=f"subclass must define {name}"):
            getattr(KubernetesJobTask(), name)
    settled = {"name", "spec_schema", "kubernetes_config", "signal_complete", "output", "run"}
    assert public - settled - values.keys() == set()


@pytest.mark.parametrize(
    ("properties", "limit"),
    [
        ({}, 6),
        ({"max_retrials": 3}, 3),
        ({"max_retrials": 9}, 6),
        ({"backoff_limit": 0}, 0),
        ({"backoff_limit": 2, "max_retrials": 0}, 2),
        ({"backoff_limit": 0, "max_retrials": 3}, 0),
    ],
)
def test_the_lower_of_both_limits_that_are_set_holds(properties, limit):
    assert spec(**properties)["backoffLimit"] == limit


def test_a_deadline_is_the_jobs():
    assert "activeDeadlineSeconds" not in spec()
    assert spec(active_deadline_seconds=60)["activeDeadlineSeconds"] == 60


def test_a_pod_in_a_parameter_is_sent_as_it_was_given():
    assert isinstance(Pi().spec_schema, FrozenOrderedDict)
    pod = job_of(Pi())["spec"]["template"]["spec"]
    assert pod["containers"] == CONTAINERS
    assert pod["restartPolicy"] == "Never"


def test_names_of_the_identity_are_there_before_the_pod_is_read():
    first, second = task(NamesItself), task(NamesItself)
    job = job_of(first)

    assert job["metadata"]["name"] == job_of(second)["metadata"]["name"] == first.uu_name
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][0].startswith("pi-")
    assert job["metadata"]["labels"]["luigi_task_id"] == first.job_uuid


def test_its_log_is_where_logs_are():
    found = task()
    request, _ = found._request_and_manifest()
    assert request.log == Path.cwd() / "_tac" / "logs" / f"{found.uu_name}.log"


def test_an_output_without_a_path_is_identified_by_its_kind():
    class Row(luigi.Target):
        def exists(self):
            return False

    names = {job_of(task(output=lambda _: Row()))["metadata"]["name"] for _ in range(2)}

    assert len(names) == 1


def test_another_way_to_the_api_server_is_refused():
    with pytest.raises(ConfigError) as caught:
        task(auth_method="password")._request_and_manifest()

    assert caught.value.message == (
        "pi: auth_method 'password' is neither kubeconfig nor service-account"
    )


def test_a_task_is_complete_when_its_outputs_are_there():
    output = luigi.LocalTarget("pi")
    found = task(output=lambda _: output)

    assert not found.complete()
    output.open("w").close()
    assert found.complete()


def test_a_task_without_outputs_says_as_luigi_does_that_it_cannot_tell():
    with pytest.warns(UserWarning, match="without outputs has no custom complete"):
        assert not WithoutOutput().complete()
    assert not WithoutOutput()._can_tell()
    assert SaysItself()._can_tell()


def test_a_task_can_be_handed_to_another_process():
    there = pickle.loads(pickle.dumps(Pi(digits=4)))

    assert (there.digits, there.name) == (4, "pi")
    there.on_kill()
