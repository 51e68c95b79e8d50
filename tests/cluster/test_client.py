"""Objects of a real API server: made, read, changed, listed, deleted, and refused."""

import threading

import pytest

from tac.errors import Conflict, Forbidden, Invalid, NotFound, TacError
from tac.kubernetes.client.api import KINDS
from tests.support.cluster import create_quota, refused

DEADLINE_SECONDS = 60


def config_map(name, **data):
    return {"metadata": {"name": name, "labels": {"name": name}}, "data": data}


def test_an_object_is_created_read_changed_listed_and_deleted(client, api_namespace):
    created = client.create("ConfigMap", config_map("one", a="1", b="2"))
    changed = client.patch("ConfigMap", "one", {"data": {"a": None, "c": "3"}})
    read = client.read("ConfigMap", "one")
    listed = client.list("ConfigMap", labels="name=one")
    client.delete("ConfigMap", "one", uid=created["metadata"]["uid"])

    assert created["metadata"]["namespace"] == api_namespace
    assert read["data"] == {"b": "2", "c": "3"} == changed["data"]
    assert [item["metadata"]["name"] for item in listed["items"]] == ["one"]
    assert client.list("ConfigMap", fields="metadata.name=one")["items"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_the_table_is_one_that_the_server_has(client, kind):
    assert int(client.list(kind)["metadata"]["resourceVersion"]) > 0


def test_another_kind_is_a_mistake_of_the_programmer(client):
    with pytest.raises(TypeError, match="Node is no kind that this client knows"):
        client.list("Node")


def test_a_long_list_comes_in_pages_and_is_whole(client, monkeypatch):
    monkeypatch.setattr("tac.kubernetes.client.api._PAGE", 3)
    for number in range(7):
        client.create("ConfigMap", config_map(f"m-{number}"))
    listed = client.list("ConfigMap", fields="metadata.name!=kube-root-ca.crt")

    assert [each["metadata"]["name"] for each in listed["items"]] == [
        f"m-{number}" for number in range(7)
    ]
    assert set(listed["metadata"]) == {"resourceVersion"}


def test_a_name_that_is_taken(client, api_namespace):
    client.create("ConfigMap", config_map("one"))
    error = refused(lambda: client.create("ConfigMap", config_map("one")), Conflict)

    assert (error.status, error.reason, error.hint) == (409, "AlreadyExists", None)
    assert error.message == (
        f'configmap/one in namespace {api_namespace}: not created: configmaps "one" already exists'
    )


def test_what_has_another_uid_is_not_deleted(client):
    client.create("ConfigMap", config_map("one"))
    error = refused(lambda: client.delete("ConfigMap", "one", uid="another"), Conflict)

    assert "the UID in the precondition (another) does not match" in error.message
    assert client.read("ConfigMap", "one")


def test_what_is_not_there(client, api_namespace):
    asked = [
        lambda: client.read("Job", "one"),
        lambda: client.patch("Job", "one", {}),
        lambda: client.delete("Job", "one"),
    ]

    assert [refused(ask, NotFound).message for ask in asked] == [
        f"job/one in namespace {api_namespace}: {what}: there is no such job, or no such "
        'namespace: jobs.batch "one" not found'
        for what in ("not read", "not changed", "not deleted")
    ]


def test_a_slash_in_a_name_does_not_change_the_path_of_the_request(client, api_namespace):
    assert refused(lambda: client.read("Pod", "one/log"), NotFound).status == 404


def test_a_namespace_that_is_not_there(cluster, client_of):
    client = client_of(namespace="tac-test-none")
    error = refused(lambda: client.create("ConfigMap", config_map("one")), NotFound)

    assert client.list("ConfigMap")["items"] == []
    assert error.message == (
        "configmap/one in namespace tac-test-none: not created: there is no such namespace, "
        'or no such kind of object: namespaces "tac-test-none" not found'
    )
    assert error.hint == (
        f"`kubectl --context {cluster.context} create namespace tac-test-none`, or name another"
    )


def test_a_manifest_with_a_mistake(client, api_namespace):
    pod = {"spec": {"containers": [{"name": "a", "image": "a"}]}}
    job = {"metadata": {"name": "one"}, "spec": {"template": pod}}
    error = refused(lambda: client.create("Job", job), Invalid)

    assert (error.status, error.reason) == (422, "Invalid")
    assert error.message == (
        f'job/one in namespace {api_namespace}: not created: Job.batch "one" is invalid: '
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
    )


def test_a_right_that_is_missing(cluster, api_namespace, use, client_of):
    use(user={**cluster.user, "as": f"system:serviceaccount:{api_namespace}:default"})
    client = client_of(namespace=api_namespace)
    error = refused(lambda: client.create("Job", config_map("one")), Forbidden)

    assert error.message == (
        f"job/one in namespace {api_namespace}: not created: jobs.batch is forbidden: User "
        f'"system:serviceaccount:{api_namespace}:default" cannot create resource "jobs" in API '
        f'group "batch" in the namespace "{api_namespace}"'
    )
    assert error.hint == (
        "ask for the right: "
        f"`kubectl --context t --namespace {api_namespace} auth can-i create jobs.batch`"
    )
    hint = refused(lambda: client.read_log("one", "a"), Forbidden).hint
    command = f"--namespace {api_namespace} auth can-i get pods --subresource=log"
    assert command in str(hint)


def test_a_quota_that_is_used_up(client, api_namespace, cluster):
    create_quota(cluster, api_namespace, "q", "count/configmaps=0")
    error = refused(lambda: client.create("ConfigMap", config_map("one")), Forbidden)

    assert "exceeded quota: q" in error.message
    assert error.hint == (
        f"`kubectl --context {cluster.context} --namespace {api_namespace} describe quota`"
    )


def test_three_hundred_threads_ask_at_once(client):
    client.create("ConfigMap", config_map("one", a="1"))
    read, failures = [], []
    begin = threading.Barrier(300)

    def ask():
        begin.wait(DEADLINE_SECONDS)
        try:
            read.append(client.read("ConfigMap", "one")["data"])
        except TacError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(300)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(DEADLINE_SECONDS)

    assert failures == []
    assert read == [{"a": "1"}] * 300
