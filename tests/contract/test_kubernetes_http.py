"""The door to Kubernetes over plain http, as `kubectl proxy` is asked: what goes over the wire."""

import json

import pytest

from tac.errors import ConfigError
from tac.kubernetes.client.api import Client
from tests.support.flights import Reply, running_server

POD = {"kind": "Pod", "metadata": {"name": "x"}}


def use_kubeconfig(tmp_path, monkeypatch, cluster, user):
    kubeconfig = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    (tmp_path / "config").write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))


@pytest.mark.parametrize("user", [{"token": "hush"}, {"username": "me", "password": "hush"}])
def test_no_credential_goes_over_the_wire(tmp_path, monkeypatch, user):
    with running_server() as server:
        use_kubeconfig(tmp_path, monkeypatch, {"server": server.url}, user)
        path = "/api/v1/namespaces/default/pods/x"
        server.replies[path] = Reply(json.dumps(POD).encode())

        client = Client()
        found = client.read("Pod", "x")
        client.close()

    assert found == POD
    assert [(asked, headers.get("authorization")) for asked, headers in server.asked] == [
        (path, None)
    ]


MEND = "fix proxy-url in the kubeconfig, or HTTPS_PROXY and HTTP_PROXY"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("proxy", "said", "hint"),
    [
        (
            "socks5://127.0.0.1:9",
            "PySocks is not installed",
            "`pip install PySocks` where tac is installed, or name a proxy of http://",
        ),
        (
            "ftp://127.0.0.1:9",
            "Proxy URL had unsupported scheme ftp, should use http:// or https://",
            MEND,
        ),
        ("http://[::1", "Failed to parse: '[::1' is not a valid host or port", MEND),
    ],
)
def test_a_proxy_that_cannot_be_used_is_none_to_wait_for(
    tmp_path, monkeypatch, scheme, proxy, said, hint
):
    server = f"{scheme}://127.0.0.1:9"
    use_kubeconfig(tmp_path, monkeypatch, {"server": server, "proxy-url": proxy}, {})
    client = Client()

    with pytest.raises(ConfigError) as caught:
        client.read("Pod", "x")
    client.close()

    assert (caught.value.message, caught.value.hint) == (
        f"the API server {server} of context 'c': its proxy cannot be used: {said}",
        hint,
    )
