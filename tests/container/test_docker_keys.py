"""S3 as a step's container reaches it: with the keys, the profile and the trust of its driver."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tac import settings
from tac.store.s3_client import close_connections
from tac.verdict import Reason
from tests.support.docker_place import DockerPlace, at, message
from tests.support.faults import Answer, running_proxy, server_context
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket, bucket, s3_server

__all__ = ["at", "bucket", "s3_server"]

CREDENTIALS = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"


@pytest.fixture
def s3(at: DockerPlace, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerPlace]:
    """A place on the machine's network, with a home of its own and no keys in the environment."""
    for name in settings.child_environment():
        if name.startswith("AWS_"):
            monkeypatch.delenv(name, raising=False)
    (at.path / ".aws").mkdir()
    at.set(
        HOME=str(at.path),
        TAC_DOCKER_NETWORK="host",
        AWS_ENDPOINT_URL_S3=bucket.server.endpoint,
        AWS_EC2_METADATA_DISABLED="true",
    )
    close_connections()
    yield at
    at.close()
    monkeypatch.undo()
    settings.current.cache_clear()
    close_connections()


def fetch(at: DockerPlace, address: str):
    """Run a step that publishes a day."""
    words = ("python", "-m", "tac.fetch", address, "--date", "2023-03-01")
    return at.run(*words, output=address)


def use_plain_files(home: Path) -> dict[str, str]:
    (home / ".aws" / "credentials").write_text(f"[mine]\n{CREDENTIALS}")
    return {"AWS_PROFILE": "mine"}


def use_files_elsewhere(home: Path) -> dict[str, str]:
    (home / "elsewhere").write_text(f"[default]\n{CREDENTIALS}")
    return {"AWS_SHARED_CREDENTIALS_FILE": str(home / "elsewhere")}


def use_a_helper(home: Path) -> dict[str, str]:
    keys = {"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY}
    (home / "helper").write_text(f"#!/bin/sh\necho '{json.dumps(keys)}'\n")
    (home / "helper").chmod(0o755)
    (home / ".aws" / "config").write_text(f"[default]\ncredential_process = {home}/helper\n")
    return {}


@pytest.mark.parametrize("use", [use_plain_files, use_files_elsewhere, use_a_helper])
def test_keys_that_boto3_finds_here_are_the_containers(s3, bucket, use):
    s3.set(**use(s3.path))
    close_connections()

    verdict = fetch(s3, bucket.address("day.parquet"))

    assert verdict.reason is Reason.DONE, s3.words
    assert "day.parquet" in bucket.list_keys()


def test_keys_that_a_cloud_gives_its_containers_are_the_steps(s3, bucket):
    keys = {"AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": ""}
    body = json.dumps({**keys, "Expiration": "2999-01-01T00:00:00Z"}).encode()
    with running_proxy(bucket.server.endpoint) as giver:
        giver.fault = lambda request: Answer(200, body)
        s3.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{giver.endpoint}/")
        close_connections()

        verdict = fetch(s3, bucket.address("day.parquet"))
        again = fetch(s3, bucket.address("other.parquet"))

    assert (verdict.reason, again.reason) == (Reason.DONE, Reason.DONE), s3.words
    assert {"day.parquet", "other.parquet"} <= set(bucket.list_keys())
    assert len(giver.requests) == 1


def test_a_failed_provider_of_keys_is_reported_before_anything_starts(s3, bucket):
    process = "credential_process = sh -c 'echo log in first >&2; exit 1'"
    (s3.path / ".aws" / "config").write_text(f"[default]\n{process}\n")
    close_connections()

    verdict = fetch(s3, bucket.address("day.parquet"))

    assert message(verdict) == (
        "step/x: could not be started: credentials for S3: Error when retrieving "
        "credentials from custom-process: log in first\n"
        "Hint: log in again, or check AWS_PROFILE and ~/.aws/config"
    )


@pytest.mark.parametrize(
    "variables", [{}, {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}]
)
def test_the_settings_of_the_profile_hold_in_the_container_too(s3, bucket, variables):
    (s3.path / ".aws" / "credentials").write_text(f"[default]\n{CREDENTIALS}")
    (s3.path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\ns3 =\n  addressing_style = virtual\n"
    )
    s3.set(**variables)
    close_connections()
    script = (
        "from tac.store.s3_client import connection; m = connection().client.meta;"
        "print(m.region_name, m.config.s3)"
    )

    verdict = s3.run("python", "-c", script, bucket.address("x"))

    assert verdict.reason is Reason.DONE, s3.words
    assert s3.words == "eu-west-1 {'addressing_style': 'virtual'}\n"


@pytest.mark.parametrize("by", ["variable", "profile"])
def test_certificates_that_are_trusted_here_are_trusted_in_the_container(s3, bucket, tmp_path, by):
    certificate = tmp_path / "own.pem"
    context = server_context(certificate)
    (s3.path / ".aws" / "credentials").write_text(f"[default]\n{CREDENTIALS}")
    if by == "variable":
        s3.set(AWS_CA_BUNDLE=str(certificate))
    else:
        (s3.path / ".aws" / "config").write_text(f"[default]\nca_bundle = {certificate}\n")
    with running_proxy(bucket.server.endpoint, context) as front:
        s3.set(AWS_ENDPOINT_URL_S3=front.endpoint)
        close_connections()

        verdict = fetch(s3, bucket.address("day.parquet"))

    assert verdict.reason is Reason.DONE, s3.words
    assert "day.parquet" in bucket.list_keys()
