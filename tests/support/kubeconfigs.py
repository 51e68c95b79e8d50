"""Kubeconfig files on a machine of a test's own; no API server is asked."""

import pytest
import yaml

from tac.errors import ConfigError
from tac.kubernetes.client.kubeconfig import find_config

SERVER = {"server": "https://one.example:6443"}


def document(*, context="one", user=None, cluster=None, current="one", **of_context):
    return {
        "current-context": current,
        "contexts": [
            {"name": context, "context": {"cluster": context, "user": context, **of_context}}
        ],
        "clusters": [{"name": context, "cluster": cluster or SERVER}],
        "users": [{"name": context, "user": user or {}}],
    }


class Machine:
    """A home, variables, and a pod's folder that may be there."""

    def __init__(self, path, monkeypatch):
        self.path = path
        self.variables = {}
        self.account = path / "account"
        monkeypatch.setenv("HOME", str(path))

    def write(self, name, content):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    def use(self, *names):
        self.variables["KUBECONFIG"] = ":".join(str(self.path / name) for name in names)

    def be_a_pod(self, host="10.0.0.1"):
        self.write("account/token", "t")
        self.write("account/namespace", "own\n")
        self.variables |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}

    def access(self, **chosen):
        return find_config(variable=self.variables.get, service_account=self.account, **chosen)

    def user(self, **user):
        self.write("config", document(user=user))
        self.use("config")
        return self.access().user

    def refusal(self, **chosen):
        with pytest.raises(ConfigError) as caught:
            self.access(**chosen)
        return caught.value.message.replace(str(self.path), "HOME"), caught.value.hint


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)
