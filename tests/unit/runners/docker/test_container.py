import re

import pytest

from tac.errors import ConfigError
from tac.request import RunRequest
from tac.runners.docker import DockerRunner
from tac.runners.docker.container import (
    ContainerDefaults,
    ContainerInputs,
    EngineFeatures,
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
    return RunRequest("average-5d2f8a3b9c1e", ARGV, **values)


def test_a_command_becomes_a_container_with_no_more_rights_than_it_needs(tmp_path):
    inputs = ContainerInputs(
        (Mount("/s", "/s", writable=True), Mount("/in", "/in")), {"AWS_CONFIG_FILE": "/c"}
    )
    defaults = ContainerDefaults(
        image="tac",
        user="1000:100",
        groups=["27"],
        memory="1Gi",
        cpu="0.5",
        pids=2048,
        tmp_bytes=1 << 30,
        build="1.2.3+0123456789ab",
    )

    container = build_container(command(tmp_path), ARGV, defaults, inputs)

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
            "TAC_DRIVER_VERSION=1.2.3+0123456789ab",
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
            "GroupAdd": ["27"],
            "Mounts": [
                {"Type": "bind", "Source": "/s", "Target": "/s", "ReadOnly": False},
                {"Type": "bind", "Source": "/in", "Target": "/in", "ReadOnly": True},
            ],
            "Tmpfs": {"/tmp": "size=1073741824"},
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {
                "Type": "json-file",
                "Config": {
                    "max-size": "512m",
                    "max-file": "2",
                    "compress": "false",
                    "mode": "blocking",
                },
            },
            "PidsLimit": 2048,
            "Memory": 1 << 30,
            "MemorySwap": 1 << 30,
            "NanoCpus": 500_000_000,
        },
    }


def test_what_is_not_limited_is_not_sent(tmp_path):
    built = build_container(
        command(tmp_path), ARGV, ContainerDefaults(image="tac", user="0:0"), ContainerInputs()
    )

    host = built.manifest["HostConfig"]
    assert (host["Tmpfs"], "PidsLimit" in host, "Memory" in host) == ({"/tmp": ""}, False, False)


def test_a_label_has_the_s3_endpoint_of_the_output(tmp_path):
    defaults = ContainerDefaults(image="tac", user="0:0", s3_endpoint_url="http://s3:8333")

    built = build_container(command(tmp_path, output="s3://b/x"), ARGV, defaults, ContainerInputs())

    labels = built.manifest["Labels"]
    assert (labels["tac/output"], labels["tac/s3-endpoint"]) == ("s3://b/x", "http://s3:8333")


def test_the_limits_of_a_command_win(tmp_path):
    defaults = ContainerDefaults(image="tac", user="0:0", memory="1Gi", cpu="1")

    container = build_container(
        command(tmp_path, memory="64Mi", cpu="2"), ARGV, defaults, ContainerInputs()
    )

    limits = container.manifest["HostConfig"]
    assert (container.memory, limits["Memory"], limits["NanoCpus"]) == (
        "64Mi",
        64 << 20,
        2_000_000_000,
    )


@pytest.mark.parametrize(
    ("features", "cpu", "expected"),
    [
        (EngineFeatures(), "64", {"NanoCpus": 64_000_000_000}),
        (EngineFeatures(cpus=2), "64", {"NanoCpus": 2_000_000_000}),
        (EngineFeatures(cpus=2), "1.5", {"NanoCpus": 1_500_000_000}),
        (EngineFeatures(cpus=2), "1m", {"NanoCpus": 10_000_000}),
        (EngineFeatures(cpus=2, limits_cpu=False), "1", {}),
    ],
)
def test_processors_are_limited_as_far_as_the_engine_can(tmp_path, features, cpu, expected):
    defaults = ContainerDefaults(image="tac", user="0:0", cpu=cpu, features=features)

    host = build_container(command(tmp_path), ARGV, defaults, ContainerInputs()).manifest[
        "HostConfig"
    ]

    assert {name: host[name] for name in ("NanoCpus",) if name in host} == expected


def test_an_engine_that_cannot_limit_processors_is_warned_of_once(caplog):
    runner = DockerRunner()
    runner._features = EngineFeatures(limits_cpu=False)

    for _ in range(2):
        runner._warn_if_no_limit("unix:///d.sock")

    assert caplog.messages == [
        "docker engine at unix:///d.sock: cannot limit processors, so each step may use all of "
        "them; a rootless one can where systemd delegates `cpu` to users"
    ]


def test_selinux_lets_a_container_see_the_users_files(tmp_path):
    defaults = ContainerDefaults(image="tac", user="0:0", features=EngineFeatures(selinux=True))

    built = build_container(command(tmp_path), ARGV, defaults, ContainerInputs())

    assert built.manifest["HostConfig"]["SecurityOpt"] == ["no-new-privileges", "label=disable"]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, EngineFeatures()),
        (
            {
                "NCPU": 2,
                "CpuCfsPeriod": True,
                "CpuCfsQuota": True,
                "SecurityOptions": ["name=seccomp,profile=default"],
            },
            EngineFeatures(cpus=2),
        ),
        (
            {
                "NCPU": 4,
                "CpuCfsPeriod": False,
                "CpuCfsQuota": False,
                "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
            },
            EngineFeatures(rootless=True, limits_cpu=False, cpus=4),
        ),
        (
            {"NCPU": 8, "SecurityOptions": ["name=selinux", "name=userns"]},
            EngineFeatures(selinux=True, host_users=True, cpus=8),
        ),
        ({"SecurityOptions": None}, EngineFeatures()),
    ],
)
def test_the_features_of_an_engine_are_parsed(info, expected):
    assert EngineFeatures.from_info(info) == expected


def test_the_name_differs_for_different_work_only(tmp_path):
    def name(*argv, attempt=1, **more):
        defaults = ContainerDefaults(**{"image": "tac", "user": "0:0", **more})
        return build_container(
            command(tmp_path, attempt=attempt), argv, defaults, ContainerInputs()
        ).name

    same = name(*ARGV)
    assert name(*ARGV, user="7:7", memory="1Gi", pids=7, tmp_bytes=8) == same
    assert name(*ARGV, attempt=2) == same[:-1] + "2"
    signed = "https://bob:{0}@host/x.parquet?X-Amz-Date={0}&X-Amz-Signature={0}"
    assert name(signed.format("a")) == name(signed.format("b")) != same
    others = [
        name(*ARGV, "more"),
        name(*ARGV, image="tac:2"),
        name(*ARGV, s3_endpoint_url="http://s3"),
    ]
    assert len({same, *others}) == 4
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", same)


def test_a_container_gets_no_variable_that_is_secret_or_of_this_machine_alone(tmp_path):
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
        "TAC_SOURCE_AUTHORIZATION": "hush",
        "TZ": "UTC",
    }
    defaults = ContainerDefaults(image="tac", user="0:0", s3_endpoint_url="http://as-seen-there")

    built = build_container(
        command(tmp_path, environment=environment), ARGV, defaults, ContainerInputs()
    )

    assert built.manifest["Env"] == [
        "AWS_ENDPOINT_URL_S3=http://as-seen-there",
        "AWS_REGION=eu-central-1",
        "HOME=/tmp",
        "OMP_NUM_THREADS=1",
        "TZ=UTC",
        "http_proxy=http://proxy",
    ]
    assert "hush" not in repr(built)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {}),
        ({"network": "host"}, {"NetworkMode": "host"}),
        ({"features": EngineFeatures(host_users=True)}, {"UsernsMode": "host"}),
        (
            {"s3_endpoint_url": "http://host.docker.internal:8333"},
            {"ExtraHosts": ["host.docker.internal:host-gateway"]},
        ),
    ],
)
def test_the_network_and_the_users_are_the_engines_own_unless_they_must_not_be(
    tmp_path, more, expected
):
    defaults = ContainerDefaults(image="tac", user="0:0", **more)

    host = build_container(command(tmp_path), ARGV, defaults, ContainerInputs()).manifest[
        "HostConfig"
    ]

    names = ("NetworkMode", "UsernsMode", "ExtraHosts")
    assert {name: host[name] for name in names if name in host} == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        ({"http_proxy": "http://p"}, {"no_proxy": "host.docker.internal"}),
        (
            {"HTTP_PROXY": "http://p", "NO_PROXY": "a,b"},
            {"no_proxy": "a,b,host.docker.internal", "NO_PROXY": "a,b"},
        ),
        ({"http_proxy": "http://p", "no_proxy": "a"}, {"no_proxy": "a,host.docker.internal"}),
    ],
)
def test_s3_on_this_machine_is_reached_without_a_proxy(tmp_path, environment, expected):
    defaults = ContainerDefaults(
        image="tac", user="0:0", s3_endpoint_url="http://host.docker.internal:8333"
    )

    built = build_container(
        command(tmp_path, environment=environment), ARGV, defaults, ContainerInputs()
    )

    told = dict(each.split("=", 1) for each in built.manifest["Env"])
    assert {name: told[name] for name in told if name.lower() == "no_proxy"} == expected


@pytest.mark.parametrize("host", ["127.0.0.1:8333", "localhost:8333", "[::1]:8333"])
def test_an_address_of_s3_that_leads_a_container_to_itself_is_refused(host):
    defaults = ContainerDefaults(image="tac", user="0:0", s3_endpoint_url=f"http://{host}")

    with pytest.raises(ConfigError) as caught:
        check_endpoint(defaults)

    assert (caught.value.message, caught.value.hint) == (
        f"S3's address, http://{host}: in a container it is the container itself",
        "set TAC_CONTAINER_S3_ENDPOINT_URL to its address as containers see it, "
        "such as http://host.docker.internal:8333, or TAC_DOCKER_NETWORK=host",
    )


@pytest.mark.parametrize(
    "defaults",
    [
        ContainerDefaults(image="tac", user="0:0"),
        ContainerDefaults(image="tac", user="0:0", s3_endpoint_url="http://s3.local:8333"),
        ContainerDefaults(
            image="tac", user="0:0", s3_endpoint_url="http://127.0.0.1:8333", network="host"
        ),
    ],
)
def test_every_other_address_of_s3_is_taken(defaults):
    check_endpoint(defaults)


def test_a_task_may_say_image_labels_and_variables_of_its_own_and_takes_none_of_tacs(tmp_path):
    own = command(
        tmp_path,
        image="own:1",
        labels={"team": "flights", "tac/step": "mine"},
        variables={"MODE": "quick", "HOME": "/root"},
    )
    defaults = ContainerDefaults(image="tac", user="1000:100")

    container = build_container(own, ARGV, defaults, ContainerInputs())

    assert container.manifest["Image"] == "own:1"
    assert container.manifest["Labels"]["team"] == "flights"
    assert container.manifest["Labels"]["tac/step"] == "average-5d2f8a3b9c1e"
    assert container.manifest["Env"] == ["HOME=/tmp", "MODE=quick", "OMP_NUM_THREADS=1"]
    assert (
        container.work != build_container(command(tmp_path), ARGV, defaults, ContainerInputs()).work
    )
