"""Whom the S3 of k8s/ listens to, where no network plugin keeps anybody away from its pod."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support import grpc

S3, GRPC = 8333, 18333

# Addresses are in the byte order of the machine, and 0A is the state of a socket that listens:
# https://docs.kernel.org/networking/proc_net_tcp.html
LISTENING = """
import ipaddress, json, pathlib, sys
found = {}
for name in ("tcp", "tcp6"):
    for line in pathlib.Path("/proc/net", name).read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        address, port = local.split(":")
        parts = [address[at:at + 8] for at in range(0, len(address), 8)]
        whole = b"".join(int(part, 16).to_bytes(4, sys.byteorder) for part in parts)
        if state == "0A":
            found[int(port, 16)] = str(ipaddress.ip_address(whole))
print(json.dumps(found))
"""

# A port that a network policy keeps away does not answer, not even by a refusal.
REACHED = """
import json, socket, sys
host, *ports = sys.argv[1:]
found = []
for port in map(int, ports):
    try:
        socket.create_connection((host, port), timeout=3).close()
        found.append(port)
    except OSError:
        pass
print(json.dumps(found))
"""

USER = grpc.field(1, "stranger") + grpc.field(3, "Admin")
KEYS = grpc.field(1, "strangers-key") + grpc.field(2, "strangers-secret")
PUT = "/messaging_pb.SeaweedS3IamCache/PutIdentity"
PUT_USER = grpc.field(1, USER + grpc.field(2, KEYS))
CALLS = [
    ("/messaging_pb.SeaweedS3IamCache/ListPolicies", b""),
    (PUT, grpc.field(1, grpc.field(1, "without-keys-and-rights"))),
    (
        "/s3_lifecycle_pb.SeaweedS3LifecycleInternal/LifecycleDelete",
        grpc.field(1, "tac") + grpc.field(2, "nothing"),
    ),
]


def python(deployment, pod: str, script: str, *words: object, container: str = "") -> Any:
    """Run a script in a pod, and return what it prints."""
    choice = ("--container", container) if container else ()
    return json.loads(
        deployment.kubectl("exec", pod, *choice, "--", "python3", "-c", script, *words)
    )


@pytest.fixture(scope="module")
def listening(deployment) -> dict[int, str]:
    """The ports that anything in the pod listens on, and at which address."""
    found = python(deployment, "s3-0", LISTENING, container="bucket")
    return {int(port): address for port, address in found.items()}


def test_only_s3_listens_beyond_its_pod(listening):
    beyond = {port for port, address in listening.items() if address != "127.0.0.1"}

    assert beyond == {S3, GRPC}
    assert len(listening) > len(beyond)  # the others are seen, too


def test_another_pod_reaches_no_other_port(deployment, listening):
    [pod] = deployment.pods("app.kubernetes.io/name=luigid")
    address = deployment.read("pod", "s3-0")["status"]["podIP"]

    reached = python(deployment, pod, REACHED, address, *sorted(listening))

    assert S3 in reached
    assert set(reached) <= {S3, GRPC}  # where policies are enforced, the second is not reached


@pytest.mark.parametrize(("method", "message"), CALLS)
def test_the_grpc_of_s3_answers_nothing_to_who_has_no_key(deployment, method, message):
    key = deployment.secret("tac-s3")["AWS_SECRET_ACCESS_KEY"]
    with deployment.forwarded("pod/s3-0", GRPC) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        without = grpc.call(host, int(port), method, message)
        other = grpc.call(host, int(port), method, message, bearer=grpc.token("another key"))
        known = grpc.call(host, int(port), method, message, bearer=grpc.token(key))

    assert (without, other) == (None, None)
    assert known is not None  # so it was asked well


def test_no_user_of_s3_can_be_made_by_its_grpc(deployment):
    with deployment.forwarded("pod/s3-0", GRPC) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        grpc.call(host, int(port), PUT, PUT_USER)

    with (
        deployment.s3(keys=("strangers-key", "strangers-secret")) as client,
        pytest.raises(ClientError) as caught,
    ):
        client.list_buckets()
    assert caught.value.response["Error"]["Code"] == "InvalidAccessKeyId"
