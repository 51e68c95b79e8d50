"""Who asks a real API server: tokens that change, certificates, a pod's own account."""

import base64
import json
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from tac.errors import Unauthorized
from tests.support.cluster import who
from tests.support.wire import Wire


def test_a_token_file_is_read_again_when_it_is_old(as_user, tmp_path, token_of, monkeypatch):
    path = tmp_path / "token"
    path.write_text(token_of("first") + "\n")
    client = as_user({"tokenFile": "token"})
    seen = [who(client)]
    path.write_text(token_of("second"))
    seen += [who(client)]
    monkeypatch.setattr("tac.kubernetes.client.auth._FRESH_SECONDS", 0.0)
    seen += [who(client)]
    path.unlink()
    seen += [who(client)]

    assert seen == ["first", "first", "second", "second"]


def test_a_token_file_is_read_again_when_its_token_is_refused(as_user, tmp_path, token_of):
    path = tmp_path / "token"
    path.write_text("bad")
    client = as_user({"tokenFile": str(path)})
    with pytest.raises(Unauthorized):
        client.list("Pod")
    path.write_text(token_of("default"))

    assert who(client) == "default"


def test_inside_a_pod_its_own_service_account_asks(
    cluster, tmp_path, monkeypatch, client_of, token_of, api_namespace
):
    authority = base64.b64decode(cluster.cluster["certificate-authority-data"])
    (tmp_path / "ca.crt").write_bytes(authority)
    (tmp_path / "token").write_text(token_of("default"))
    (tmp_path / "namespace").write_text(api_namespace)
    monkeypatch.setattr("tac.kubernetes.client.api.SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", cluster.address[0])
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(cluster.address[1]))
    client = client_of(in_pod=True)

    assert (client.place.context, client.place.namespace) == ("in-cluster", api_namespace)
    assert who(client) == "default"


def test_a_list_of_files_is_one_kubeconfig(cluster, tmp_path, monkeypatch, client_of):
    (tmp_path / "a").mkdir()
    config = json.loads(cluster.write_config(tmp_path / "a/whole").read_text())
    data = base64.b64decode(config["clusters"][0]["cluster"].pop("certificate-authority-data"))
    (tmp_path / "a/ca.crt").write_bytes(data)
    config["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
    users = {"users": config.pop("users")}
    (tmp_path / "a/config").write_text(json.dumps(config))
    (tmp_path / "users").write_text(json.dumps(users))
    paths = [tmp_path / "none", tmp_path / "a/config", tmp_path / "users"]
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))

    assert client_of().list("Pod")["kind"] == "PodList"


def test_keys_are_left_nowhere(as_user, cluster, tmp_path, monkeypatch):
    # In the kubeconfig, and in files of their own: both are read, and no copy stays.
    real = Path(tempfile.gettempdir())
    before = set(real.glob("pykube-ng*"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    as_user(cluster.user).list("Pod")
    for name in ("client-certificate", "client-key"):
        (tmp_path / name).write_bytes(base64.b64decode(cluster.user[f"{name}-data"]))
    files = {"client-certificate": "client-certificate", "client-key": "client-key"}
    as_user(files).list("Pod")

    assert list((tmp_path / "tmp").iterdir()) == []
    assert set(real.glob("pykube-ng*")) == before


def test_a_server_may_have_a_certificate_for_another_name(as_user, cluster):
    right = {"tls-server-name": "kubernetes.default.svc"}

    assert as_user(cluster.user, **right).list("Pod")["kind"] == "PodList"


def test_a_server_may_be_trusted_blindly(as_user, cluster):
    way = {"insecure-skip-tls-verify": True, "certificate-authority-data": None}

    assert as_user(cluster.user, **way).list("Pod")["kind"] == "PodList"


def test_requests_and_watches_go_through_the_proxy_of_the_kubeconfig(as_user, cluster):
    proxy = Wire(lambda: socket.create_connection(cluster.address), as_proxy=True)
    client = as_user(cluster.user, **{"proxy-url": f"http://127.0.0.1:{proxy.port}"})
    version = client.list("Pod")["metadata"]["resourceVersion"]
    with client.watch("Pod", resource_version=version, timeout_seconds=60) as watch:
        threading.Timer(0.5, watch.close).start()

        assert list(watch) == []
    proxy.cut()

    assert proxy.connections == 2
