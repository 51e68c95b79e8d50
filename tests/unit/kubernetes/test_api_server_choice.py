"""Which namespace of which API server a task's Job is in: who wins, for both kinds of task."""

import json
from pathlib import Path

import pytest
from luigi.configuration.cfg_parser import LuigiConfigParser

from tac import settings
from tac.errors import ConfigError
from tac.kubernetes import KubernetesJobTask
from tac.kubernetes.attempt import session_pool
from tac.kubernetes.attempt.session_pool import SessionKey
from tac.step_task import StepTask
from tac.target import in_store


class Step(StepTask):
    """A step, which is not run."""

    step = "a.step"

    def output(self):
        return in_store("out.csv")

    def asked(self):
        return self._step_request(memory="", described=False)


class Job(KubernetesJobTask):
    """A task that describes its own Job, which is not created."""

    name = "job"
    spec_schema = {"containers": [{"name": "main", "image": "perl"}]}  # noqa: RUF012 # as people do

    def asked(self):
        return self._request_and_manifest()[0]


def kubeconfig(path, server):
    """Write a kubeconfig of two contexts, each with a namespace of its own."""
    contexts = {"first": "of-the-context", "other": "of-the-other"}
    path.write_text(
        json.dumps(
            {
                "current-context": "first",
                "contexts": [
                    {"name": name, "context": {"cluster": "c", "user": "u", "namespace": there}}
                    for name, there in contexts.items()
                ],
                "clusters": [{"name": "c", "cluster": {"server": f"https://{server}"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
            }
        )
    )


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """Say where a task's Job is: context, namespace and server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAC_STORE", str(tmp_path))
    kubeconfig(tmp_path / "usual", "usual:6443")
    kubeconfig(tmp_path / "named", "named:6443")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "usual"))

    def choose(kind, in_class, variables, section):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        lines = (f"{name}={value}\n" for name, value in section.items())
        Path("luigi.cfg").write_text(f"[kubernetes]\n{''.join(lines)}")
        settings.current.cache_clear()
        monkeypatch.setattr(LuigiConfigParser, "_instance", None)  # it reads its files once
        request = type("Some", (kind,), in_class)().asked()
        key = SessionKey(request.namespace, request.kubeconfig, request.auth_method)
        with session_pool.acquire_session(key) as session:
            place = session.client.place
        return place.context, place.namespace, place.server.removeprefix("https://")

    yield choose
    session_pool.close_all()
    monkeypatch.undo()
    settings.current.cache_clear()


USUAL, NAMED = "usual:6443", "named:6443"
CLASS = {"kubernetes_namespace": "of-the-class"}
TAC = {"TAC_KUBERNETES_NAMESPACE": "of-tac"}
LUIGI = {"kubernetes_namespace": "of-luigi"}


@pytest.mark.parametrize("kind", [Step, Job])
@pytest.mark.parametrize(
    ("in_class", "variables", "section", "found"),
    [
        # The table of docs/kubernetes.md: class, TAC_*, Luigi's section, kubeconfig.
        (CLASS, TAC, LUIGI, ("first", "of-the-class", USUAL)),
        ({}, TAC, LUIGI, ("first", "of-tac", USUAL)),
        ({}, {}, LUIGI, ("first", "of-luigi", USUAL)),
        ({}, {}, {}, ("first", "of-the-context", USUAL)),
        (
            {"kubeconfig_path": "named"},
            {},
            {"kubeconfig_path": "usual"},
            ("first", "of-the-context", NAMED),
        ),
        ({}, {}, {"kubeconfig_path": "named"}, ("first", "of-the-context", NAMED)),
        ({}, {}, {"kubeconfig_path": "~/.kube/config"}, ("first", "of-the-context", USUAL)),
        ({}, {"TAC_KUBERNETES_CONTEXT": "other"}, {}, ("other", "of-the-other", USUAL)),
        (
            {},
            {"TAC_KUBERNETES_CONTEXT": "other"},
            {"auth_method": "service-account"},
            ("other", "of-the-other", USUAL),
        ),
        (
            {"auth_method": "kubeconfig"},
            {},
            {"auth_method": "service-account"},
            ("first", "of-the-context", USUAL),
        ),
    ],
)
def test_the_class_wins_then_tac_then_luigis_section_then_the_kubeconfig(
    chosen, kind, in_class, variables, section, found
):
    assert chosen(kind, in_class, variables, section) == found


@pytest.mark.parametrize("kind", [Step, Job])
@pytest.mark.parametrize(
    ("in_class", "variables", "section"),
    [
        ({"auth_method": "service-account"}, {"TAC_KUBERNETES_CONTEXT": "other"}, {}),
        ({}, {}, {"auth_method": "service-account"}),
    ],
)
def test_a_service_account_is_asked_for_where_there_is_none(
    chosen, kind, in_class, variables, section
):
    with pytest.raises(ConfigError) as caught:
        chosen(kind, in_class, variables, section)

    assert caught.value.message == (
        "context 'in-cluster': this is not a pod with the token of a service account"
    )


def test_what_no_task_asks_for_is_where_the_settings_say(chosen):
    """A run's first line, and what an operator asks, are about no task."""
    chosen(Step, {}, {}, {"kubeconfig_path": "named", "kubernetes_namespace": "of-luigi"})

    with session_pool.acquire_session(SessionKey()) as session:
        place = session.client.place

    assert (place.namespace, place.server) == ("of-luigi", f"https://{NAMED}")
