"""A driver outside of the Kubernetes cluster that holds S3 and luigid, as a person's laptop is."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tac import names
from tests.support.deployment import Deployment

OF_STEPS = ",".join(f"{name}={value}" for name, value in names.MANAGED.items())


@dataclass(frozen=True)
class Laptop:
    """What a driver is started with: its settings, and S3 as it reaches it."""

    deployment: Deployment
    variables: dict[str, str]
    s3: Any

    @property
    def namespace(self) -> str:
        return self.deployment.namespace

    def of(self, at: Path, store: str) -> dict[str, str]:
        """The variables of a driver whose store and logs are its own."""
        return {**self.variables, "TAC_STORE": f"s3://tac/{store}", "TAC_LOGS": str(at / "logs")}

    def read(self, store: str, key: str) -> bytes:
        """An object of such a store."""
        body: bytes = self.s3.get_object(Bucket="tac", Key=f"{store}/{key}")["Body"].read()
        return body

    def jobs(self) -> list[str]:
        """The steps' Jobs that are there."""
        found = self.deployment.read("jobs", "--selector", OF_STEPS)["items"]
        return [job["metadata"]["name"] for job in found]

    def pods(self, phase: str = "") -> list[str]:
        """The steps' pods that are there, or those in a phase."""
        found = self.deployment.read("pods", "--selector", OF_STEPS)["items"]
        return [
            pod["metadata"]["name"]
            for pod in found
            if phase in {"", pod["status"].get("phase", "")}
        ]

    def delete(self, *jobs: str) -> None:
        """Delete what a driver was to leave."""
        for job in jobs:
            self.deployment.kubectl("delete", "job", job)


@pytest.fixture(scope="module")
def laptop(deployment: Deployment) -> Iterator[Laptop]:
    """What `tac run --runner kubernetes` needs beside a kubeconfig."""
    settings = deployment.read("configmap", "tac")["data"]
    keys = deployment.read("secret", "tac-s3")["data"]
    with deployment.s3() as s3, deployment.forwarded("service/s3", 8333) as endpoint:
        variables = {
            "TAC_RUNNER": "kubernetes",
            "TAC_KUBERNETES_NAMESPACE": deployment.namespace,
            "TAC_KUBERNETES_SERVICE_ACCOUNT": settings["TAC_KUBERNETES_SERVICE_ACCOUNT"],
            "TAC_IMAGE": settings["TAC_IMAGE"],
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_REGION": "us-east-1",
            **{name: base64.b64decode(value).decode() for name, value in keys.items()},
        }
        yield Laptop(deployment, variables, s3)
