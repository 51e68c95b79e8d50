"""The door to Kubernetes over plain http, as `kubectl proxy` is asked: what goes over the wire."""

import json

import pytest

from tac.kubernetes.client.api import Client
from tests.support.flights import Reply, running_server

POD = {"kind": "Pod", "metadata": {"name": "x"}}


@pytest.mark.parametrize("user", [{"token": "hush"}, {"username": "me", "password": "hush"}])
def test_no_credential_goes_over_the_wire(tmp_path, monkeypatch, user):
    with running_server() as server:
        kubeconfig = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "users": [{"name": "u", "user": user}],
        }
        (tmp_path / "config").write_text(json.dumps(kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        path = "/api/v1/namespaces/default/pods/x"
        server.replies[path] = Reply(json.dumps(POD).encode())

        client = Client()
        found = client.read("Pod", "x")
        client.close()

    assert found == POD
    assert [(asked, headers.get("authorization")) for asked, headers in server.asked] == [
        (path, None)
    ]
