"""What cluster tests share: the Kubernetes of KUBECONFIG, and a namespace for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tac.kubernetes.client.api import Client
from tests.support.cluster import Cluster, actor, api_namespace, cluster, failed, wire
from tests.support.deployment import deployment
from tests.support.engine import engine, image
from tests.support.laptop import laptop
from tests.support.wire import Wire

__all__ = ["actor", "api_namespace", "cluster", "deployment", "engine", "image", "laptop", "wire"]


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """Make clients that are closed when the test is over."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(closing(Client(**options)))


@pytest.fixture
def client(client_of: Callable[..., Client], api_namespace: str) -> Client:
    """A client in the test's own namespace."""
    return client_of(namespace=api_namespace)


@pytest.fixture
def by_wire(
    cluster: Cluster,
    wire: Wire,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    api_namespace: str,
    client_of: Callable[..., Client],
) -> Client:
    """A client whose connections can be cut."""
    config = cluster.write_config(tmp_path / "config", server=f"https://127.0.0.1:{wire.port}")
    monkeypatch.setenv("KUBECONFIG", str(config))
    return client_of(namespace=api_namespace)


@pytest.fixture
def use(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make KUBECONFIG lead to the real API server in another way."""

    def use_config(**more: Any) -> None:
        monkeypatch.setenv("KUBECONFIG", str(cluster.write_config(tmp_path / "config", **more)))

    return use_config


@pytest.fixture
def as_user(
    use: Callable[..., None], client_of: Callable[..., Client], api_namespace: str
) -> Callable[..., Client]:
    """Make a client for another user of the same API server."""

    def make(user: object, **way: Any) -> Client:
        use(user=user, **way)
        return client_of(namespace=api_namespace)

    return make


@pytest.fixture
def token_of(cluster: Cluster, api_namespace: str) -> Callable[..., str]:
    """Make a service account and a token of its."""

    def make(name: str, *words: str) -> str:
        if name != "default":
            cluster.kubectl("create", "serviceaccount", name, "-n", api_namespace)
        account = f"--serviceaccount={api_namespace}:{name}"
        given = ("--clusterrole=view", account, "-n", api_namespace)
        cluster.kubectl("create", "rolebinding", name, *given)
        return cluster.kubectl("create", "token", name, "-n", api_namespace, *words).strip()

    return make


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.when == "call":
        item.stash[failed] = report.failed
    return report
