import re

import pytest

import tac
from tac.errors import ConfigError
from tac.runners import Command
from tac.runners.docker.container import (
    Sight,
    Terms,
    build_container,
    check_endpoint,
)
from tac.runners.docker.mounts import Mount

ARGV = ("python", "-m", "tac.average", "/s/out.parquet", "/s/in.parquet")


def command(tmp_path, **more):
    values = {
        "environment": {"PATH": "/bin", "OMP_NUM_THREADS": "1"},
        "log": tmp_path / "x.log",
        "output": "/s/out.parquet",
        **more,
    }
    return Command("average-5d2f8a3b9c1e", ARGV, **values)


def test_a_command_becomes_a_container_with_no_more_rights_than_it_needs(tmp_path):
    sight = Sight(
        (Mount("/s", "/s", writable=True), Mount("/in", "/in")), {"AWS_CONFIG_FILE": "/c"}
    )
    terms = Terms(image="tac", user="1000:100", memory="1Gi", cpu="0.5")

    container = build_container(command(tmp_path), ARGV, terms, sight)

    assert container.work == "028aff888fbb"
    assert container.name == "average-5d2f8a3b9c1e-028aff888fbb-1"
    assert container.manifest == {
        "Image": "tac",
        "Entrypoint": ["python"],
        "Cmd": ["-m", "tac.average", "/s/out.parquet", "/s/in.parquet"],
        "Env": [
            "AWS_CONFIG_FILE=/c",
            "HOME=/tmp",
            "OMP_NUM_THREADS=1",
            f"TAC_DRIVER_VERSION={tac.__version__}",
        ],
        "User": "1000:100",
        "StopSignal": "SIGTERM",
        "Labels": {
            "app.kubernetes.io/managed-by": "tac",
            "tac/step": "average-5d2f8a3b9c1e",
            "tac/work": "028aff888fbb",
            "tac/attempt": "1",
            "tac/output": "/s/out.parquet",
        },
        "HostConfig": {
            "Mounts": [
                {"Type": "bind", "Source": "/s", "Target": "/s", "ReadOnly": False},
                {"Type": "bind", "Source": "/in", "Target": "/in", "ReadOnly": True},
            ],
            "Tmpfs": {"/tmp": ""},
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "json-file", "Config": {}},
            "Memory": 1 << 30,
            "MemorySwap": 1 << 30,
            "NanoCpus": 500_000_000,
        },
    }


def test_a_command_has_the_last_word_about_its_limits(tmp_path):
    terms = Terms(image="tac", user="0:0", memory="1Gi", cpu="1")

    container = build_container(command(tmp_path, memory="64Mi", cpu="2"), ARGV, terms, Sight())

    limits = container.manifest["HostConfig"]
    assert (container.memory, limits["Memory"], limits["NanoCpus"]) == (
        "64Mi",
        64 << 20,
        2_000_000_000,
    )


def test_the_name_tells_apart_what_is_different_work_and_nothing_else(tmp_path):
    def name(*argv, attempt=1, **more):
        terms = Terms(**{"image": "tac", "user": "0:0", **more})
        return build_container(command(tmp_path, attempt=attempt), argv, terms, Sight()).name

    same = name(*ARGV)
    assert name(*ARGV, user="7:7", memory="1Gi") == same
    assert name(*ARGV, attempt=2) == same[:-1] + "2"
    others = [
        name(*ARGV, "more"),
        name(*ARGV, image="tac:2"),
        name(*ARGV, s3_endpoint_url="http://s3"),
    ]
    assert len({same, *others}) == 4
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", same)


def test_a_container_is_told_nothing_that_is_secret_or_of_this_machine_alone(tmp_path):
    environment = {
        "PATH": "/usr/bin",
        "HOME": "/home/me",
        "AWS_ACCESS_KEY_ID": "hush",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_SESSION_TOKEN": "hush",
        "AWS_PROFILE": "mine",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_S3": "http://as-seen-here",
        "DATABASE_PASSWORD": "hush",
        "HTTPS_PROXY": "http://me:hush@proxy",
        "http_proxy": "http://proxy",
        "OMP_NUM_THREADS": "1",
        "TZ": "UTC",
    }
    terms = Terms(image="tac", user="0:0", s3_endpoint_url="http://as-seen-there")

    built = build_container(command(tmp_path, environment=environment), ARGV, terms, Sight())

    assert built.manifest["Env"] == [
        "AWS_ENDPOINT_URL_S3=http://as-seen-there",
        "AWS_REGION=eu-central-1",
        "HOME=/tmp",
        "OMP_NUM_THREADS=1",
        f"TAC_DRIVER_VERSION={tac.__version__}",
        "TZ=UTC",
        "http_proxy=http://proxy",
    ]
    assert "hush" not in repr(built)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {}),
        ({"network": "host"}, {"NetworkMode": "host"}),
        ({"host_users": True}, {"UsernsMode": "host"}),
        (
            {"s3_endpoint_url": "http://host.docker.internal:8333"},
            {"ExtraHosts": ["host.docker.internal:host-gateway"]},
        ),
    ],
)
def test_the_network_and_the_users_are_the_engines_own_unless_they_must_not_be(
    tmp_path, more, expected
):
    terms = Terms(image="tac", user="0:0", **more)

    host = build_container(command(tmp_path), ARGV, terms, Sight()).manifest["HostConfig"]

    names = ("NetworkMode", "UsernsMode", "ExtraHosts")
    assert {name: host[name] for name in names if name in host} == expected


@pytest.mark.parametrize("host", ["127.0.0.1:8333", "localhost:8333", "[::1]:8333"])
def test_an_address_of_s3_that_leads_a_container_to_itself_is_refused(host):
    terms = Terms(image="tac", user="0:0", s3_endpoint_url=f"http://{host}")

    with pytest.raises(ConfigError) as caught:
        check_endpoint(terms)

    assert (caught.value.message, caught.value.hint) == (
        f"S3's address, http://{host}: means the container itself in a container",
        "set TAC_CONTAINER_S3_ENDPOINT_URL to its address as containers see it, "
        "such as http://host.docker.internal:8333, or TAC_DOCKER_NETWORK=host",
    )


@pytest.mark.parametrize(
    "terms",
    [
        Terms(image="tac", user="0:0"),
        Terms(image="tac", user="0:0", s3_endpoint_url="http://s3.local:8333"),
        Terms(image="tac", user="0:0", s3_endpoint_url="http://127.0.0.1:8333", network="host"),
    ],
)
def test_every_other_address_of_s3_is_taken(terms):
    check_endpoint(terms)
