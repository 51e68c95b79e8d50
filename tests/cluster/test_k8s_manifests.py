"""What is in k8s/, as the real API server sees it: valid, restricted, selecting what it means."""

import json
from typing import Any

import pytest

from tests.support.deployment import (
    Deployment,
    new_namespace,
    output,
    run,
    write_overlay,
)

OVERLAYS = ("minikube", "ci", "eks")


@pytest.fixture(scope="module")
def namespace(cluster, tmp_path_factory):
    """A namespace as k8s/base makes it, with nothing in it."""
    name = new_namespace()
    overlay = write_overlay(tmp_path_factory.mktemp("overlay"), "minikube", name)
    output("kubectl", "apply", "-k", overlay, "-l", "app.kubernetes.io/component=namespace")
    yield name
    output("kubectl", "delete", "namespace", name, "--wait=false")


@pytest.fixture
def objects(namespace, tmp_path):
    """What the API server makes of an overlay, without keeping any of it."""

    def dry_run(overlay: str) -> list[dict[str, Any]]:
        folder = write_overlay(tmp_path / overlay, overlay, namespace)
        ended = run("kubectl", "apply", "-k", folder, "--dry-run=server", "--output", "json")
        assert (ended.code, ended.err) == (0, "")
        found: list[dict[str, Any]] = json.loads(ended.out)["items"]
        return found

    return dry_run


def pod_templates(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pods that these objects make, by name."""
    found = {}
    for each in objects:
        spec = each.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is not None:
            found[each["metadata"]["name"]] = template
    return found


def settings_of(objects: list[dict[str, Any]]) -> dict[str, str]:
    [found] = [
        each["data"]
        for each in objects
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "tac"
    ]
    return dict(found)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_valid_as_it_stands_and_gives_no_warning(overlay):
    """Its own namespace may be missing; what is in it is judged below, in another."""
    ended = run("kubectl", "apply", "-k", f"k8s/overlays/{overlay}", "--dry-run=server")
    refusals = [line for line in ended.err.splitlines() if 'namespaces "tac" not found' not in line]
    assert refusals == []


@pytest.mark.parametrize(
    ("overlay", "volumes", "store"),
    [("minikube", 0, "s3://tac/flights"), ("ci", 2, "s3://tac/flights"), ("eks", 0, None)],
)
def test_an_overlay_passes_the_api_server(objects, overlay, volumes, store):
    found = objects(overlay)
    kinds = [each["kind"] for each in found]
    assert kinds.count("PersistentVolume") == volumes
    assert kinds.count("StatefulSet") == (2 if store else 1)
    assert settings_of(found)["TAC_STORE"] == (store or "s3://amzn-s3-demo-bucket/flights")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_admitted_as_restricted(objects, namespace, overlay):
    templates = pod_templates(objects(overlay))
    assert templates.keys() >= {"daily", "luigid"}
    for name, template in templates.items():
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": template["metadata"]["labels"]},
            "spec": template["spec"] | {"serviceAccountName": "default", "serviceAccount": ""},
        }
        ended = run(
            *("kubectl", "--namespace", namespace, "create", "-f", "-", "--dry-run=server"),
            stdin=json.dumps(pod),
        )
        assert (ended.err, ended.out) == ("", f"pod/{name} created (server dry run)\n")


def test_a_pod_that_may_become_root_is_refused(namespace):
    """Otherwise the test above would show nothing."""
    ended = run("kubectl", "--namespace", namespace, "run", "root", "--image=tac")
    assert ended.code == 1
    assert ended.err.startswith(
        'Error from server (Forbidden): pods "root" is forbidden: '
        'violates PodSecurity "restricted:latest": '
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_has_a_token_but_the_driver(objects, overlay):
    tokens = {
        name: (
            template["spec"].get("serviceAccountName", "default"),
            template["spec"]["automountServiceAccountToken"],
        )
        for name, template in pod_templates(objects(overlay)).items()
    }
    assert tokens.pop("daily") == ("tac-driver", True)
    assert set(tokens.values()) == {("default", False)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_steps_run_the_image_of_the_driver(objects, overlay):
    found = objects(overlay)
    driver = pod_templates(found)["daily"]["spec"]["containers"][0]["image"]
    assert settings_of(found)["TAC_IMAGE"] == driver


@pytest.mark.parametrize("overlay", ["minikube", "ci", "eks"])
def test_the_image_of_the_steps_follows_the_overlays_own(overlay):
    """As it stands, without what the tests write over it."""
    text = output("kubectl", "kustomize", f"k8s/overlays/{overlay}")
    images = {line.split("image: ")[1] for line in text.splitlines() if " image: " in line}
    [steps] = [line.split(": ", 1)[1] for line in text.splitlines() if "TAC_IMAGE:" in line]
    assert steps in images
    assert {image for image in images if "weed" not in image} == {steps}


def test_with_roles_no_secret_is_named(objects):
    text = json.dumps(objects("eks"))
    settings = settings_of(objects("eks"))
    assert "tac-s3" not in text
    assert (settings["TAC_KUBERNETES_SECRET"], settings["TAC_KUBERNETES_CONFIG_MAP"]) == ("", "")
    roles = {
        each["metadata"]["name"]: each["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
        for each in objects("eks")
        if each["kind"] == "ServiceAccount"
    }
    assert roles == {
        "tac-driver": "arn:aws:iam::111122223333:role/tac-driver",
        "tac-step": "arn:aws:iam::111122223333:role/tac-step",
    }


def test_no_key_stands_in_a_manifest(objects):
    for overlay in OVERLAYS:
        kinds = {each["kind"] for each in objects(overlay)}
        assert "Secret" not in kinds
    assert settings_of(objects("minikube"))["TAC_KUBERNETES_SECRET"] == "tac-s3"


# The network plugin of `make cluster` enforces no policy, so what is tested is whom each selects:
# the API server itself applies the labels of the policies to the pods that are there.


@pytest.fixture(scope="module")
def strangers(deployment: Deployment):
    """Two pods beside ours: one without a label, one that is ours but no driver; and a driver."""
    pods = {
        "stranger": {},
        "step": {"app.kubernetes.io/managed-by": "tac", "app.kubernetes.io/component": "step"},
        "driver": driver_labels(deployment),
    }
    for name, labels in pods.items():
        deployment.kubectl("create", "-f", "-", stdin=json.dumps(never_scheduled(name, labels)))
    yield
    deployment.kubectl("delete", "pod", *pods)


def driver_labels(deployment: Deployment) -> dict[str, str]:
    template = deployment.read("cronjob", "daily")["spec"]["jobTemplate"]["spec"]["template"]
    labels: dict[str, str] = template["metadata"]["labels"]
    return labels


def never_scheduled(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "schedulerName": "nobody",
            "containers": [
                {
                    "name": "x",
                    "image": "tac",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    }


def selector(labels: dict[str, Any]) -> str:
    assert labels.keys() <= {"matchLabels"}
    return ",".join(f"{key}={value}" for key, value in labels.get("matchLabels", {}).items())


def policy(
    deployment: Deployment, name: str
) -> tuple[list[str], list[tuple[list[str], list[str]]]]:
    """The pods that a policy guards, and for each rule who may come and to which ports."""
    spec = deployment.read("networkpolicy", name)["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    rules = []
    for rule in spec.get("ingress", []):
        [source] = rule["from"]
        assert source.keys() == {"podSelector"}, "no other namespace, no address"
        ports = [f"{port['protocol']} {port['port']}" for port in rule["ports"]]
        rules.append((deployment.pods(selector(source["podSelector"])), ports))
    return deployment.pods(selector(spec["podSelector"])), rules


def without_runs(pods: list[str]) -> list[str]:
    """Leave out the drivers that other tests have run."""
    return [pod for pod in pods if not pod.startswith("run-")]


def test_no_pod_is_reached_without_a_policy_that_allows_it(deployment, strangers):
    guarded, rules = policy(deployment, "nobody")
    assert without_runs(guarded) == ["driver", "luigid-0", "s3-0", "step", "stranger"]
    assert rules == []


def test_only_drivers_reach_luigid(deployment, strangers):
    guarded, rules = policy(deployment, "luigid")
    assert guarded == ["luigid-0"]
    assert [(without_runs(pods), ports) for pods, ports in rules] == [(["driver"], ["TCP http"])]


def test_only_pods_of_the_namespace_reach_s3_and_only_its_own_port(deployment, strangers):
    guarded, rules = policy(deployment, "s3")
    assert guarded == ["s3-0"]
    assert [(without_runs(pods), ports) for pods, ports in rules] == [
        (["driver", "luigid-0", "s3-0", "step", "stranger"], ["TCP http"])
    ]


@pytest.mark.parametrize(("service", "port"), [("luigid", 8082), ("s3", 8333)])
def test_a_service_leads_to_its_pod(deployment, service, port):
    slices = deployment.read("endpointslices", "-l", f"kubernetes.io/service-name={service}")
    [found] = slices["items"]
    assert [each["targetRef"]["name"] for each in found["endpoints"]] == [f"{service}-0"]
    assert [each["port"] for each in found["ports"]] == [port]
