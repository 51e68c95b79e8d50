"""The ways to an API server that Luigi's class knows beside ours."""

import pytest
import yaml

from tac.errors import ConfigError
from tac.kubernetes.client.kubeconfig import find_config
from tac.kubernetes.place import IN_CLUSTER

IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def nothing(_name):
    """An environment without a variable."""


def write_config(path, name):
    document = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example"}}],
        "users": [{"name": name, "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.fixture
def account(tmp_path):
    """The folder that a pod has of its service account."""
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("t")
    (folder / "namespace").write_text("own\n")
    return folder


def test_a_file_that_is_named_is_the_only_one(tmp_path, account):
    named, usual = write_config(tmp_path / "a", "one"), write_config(tmp_path / "b", "two")
    variables = {"KUBECONFIG": usual, **IN_A_POD}

    found = find_config(path=named, variable=variables.get, service_account=account)

    assert found.place.context == "one"
    with pytest.raises(ConfigError, match="no API server is configured"):
        find_config(path=f"{named}.x", variable=variables.get, service_account=account)


def test_a_file_may_be_named_by_the_home(tmp_path, account, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_config(tmp_path / "a", "one")

    found = find_config(path="~/a", variable=nothing, service_account=account)

    assert found.place.context == "one"
    assert found.place.kubectl == f"kubectl --kubeconfig {tmp_path}/a --context one"


def test_in_a_pod_its_own_account_counts_if_that_is_wanted(tmp_path, account):
    variables = {"KUBECONFIG": write_config(tmp_path / "a", "one"), **IN_A_POD}

    found = find_config(in_pod=True, variable=variables.get, service_account=account)

    assert (found.place.context, found.place.namespace) == (IN_CLUSTER, "own")


def test_where_no_pod_is_its_account_cannot_count(tmp_path):
    nowhere = tmp_path / "none"

    with pytest.raises(ConfigError) as caught:
        find_config(in_pod=True, variable=nothing, service_account=nowhere)

    assert caught.value.message == (
        "context 'in-cluster': this is not a pod with the token of a service account"
    )
