"""The Job of a step, whole: each manifest is a file in manifests/."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import tac
from tac import names
from tac.errors import ConfigError
from tac.kubernetes.manifests.defaults import numbered
from tac.kubernetes.manifests.pod_patch import PodPatch
from tac.kubernetes.manifests.step_job import (
    PodSettings,
    apply_patch,
    build_pod,
    build_step_job,
    work_digest,
)
from tac.request import RunRequest

MANIFESTS = Path(__file__).parent / "step_job"

OUTPUT = "s3://tac/flights/2023-03-01.parquet"
WORK = RunRequest(
    "fetch-data-5d2f8a3b9c1e",
    ("python", "-m", "tac.fetch", OUTPUT),
    {},
    Path("/logs/fetch-data.log"),
    output=OUTPUT,
)
BUILD = "1.2.3+0123456789ab"
PODS = PodSettings(image="tac", build=BUILD)

ALL_WORK = replace(
    WORK,
    argv=(*WORK.argv, "--source", "https://host/$(DAY) $$.parquet"),
    environment={
        "AWS_ACCESS_KEY_ID": "hush",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:8333",
        "AWS_REGION": "of-this-machine",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "HTTPS_PROXY": "http://of-this-network",
        "OMP_NUM_THREADS": "1",
        "TZ": "UTC",
    },
    memory="2GB",
    cpu="500m",
)
ALL_PODS = PodSettings(
    image="registry.example/tac:1.2.3",
    config_map="tac-s3",
    secret="tac-keys",
    service_account="tac-step",
    s3_endpoint_url="http://s3.tac.svc:8333",
    memory="1Gi",
    cpu="2",
    stop_grace_seconds=2.5,
    build=BUILD,
)
OWN = {"containers": [{"name": "gpu", "image": "own:1", "command": ["train"]}]}
PATCH = PodPatch(
    "pod.yaml",
    {
        "metadata": {"labels": {"team": "flights"}, "annotations": {"example/keep": "true"}},
        "spec": {
            "nodeSelector": {"pool": "batch"},
            "tolerations": [
                {"key": "spot", "operator": "Exists"},
                {
                    "key": "node.kubernetes.io/not-ready",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 5,
                },
            ],
            "containers": [
                {"name": "step", "resources": {"limits": {"ephemeral-storage": "1Gi"}}},
                {
                    "name": "proxy",
                    "image": "proxy",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                },
            ],
        },
    },
)


@pytest.fixture(autouse=True)
def version(monkeypatch):
    monkeypatch.setattr(tac, "__version__", "1.2.3")


def manifest(name):
    return yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8"))


def work(name, argv, **more):
    return replace(WORK, name=name, argv=argv, output="", **more)


def pod_of(job):
    return job["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("name", "request_", "pods"),
    [
        ("least", WORK, PODS),
        ("everything-set", ALL_WORK, ALL_PODS),
        ("patched", WORK, replace(PODS, pod_patch=PATCH)),
    ],
)
def test_a_command_becomes_a_job_with_no_more_rights_than_it_needs(name, request_, pods):
    assert numbered(build_step_job(request_, pods), 2) == manifest(name)


def test_nothing_secret_is_in_a_manifest_or_in_what_an_error_may_show():
    assert "hush" not in f"{build_step_job(ALL_WORK, ALL_PODS)} {ALL_WORK!r}"


SIGNED = "https://bob:{0}@host/{{date}}.parquet?X-Amz-Date={0}&X-Amz-Signature={0}&versionId=3"


def test_what_is_signed_anew_or_has_another_password_is_the_same_job():
    once, again = (replace(WORK, argv=("python", SIGNED.format(each))) for each in ("a", "b"))
    other = replace(WORK, argv=("python", SIGNED.format("a").replace("=3", "=4")))

    assert work_digest(once, PODS) == work_digest(again, PODS) != work_digest(other, PODS)


def test_no_annotation_holds_a_secret_of_an_address():
    job = build_step_job(work("fetch-x", ("python", SIGNED.format("hush"))), PODS)

    assert job["metadata"]["annotations"]["tac/command"] == (
        "python 'https://***@host/{date}.parquet?***'"
    )


def test_a_job_that_is_kept_has_no_annotation_by_which_a_sweep_would_delete_it():
    kept = build_step_job(replace(WORK, keep=True), PODS)["metadata"]["annotations"]

    assert kept == {
        name: value
        for name, value in build_step_job(WORK, PODS)["metadata"]["annotations"].items()
        if name != names.OUTPUT
    }


def test_numbering_an_attempt_leaves_the_manifest_as_it_was():
    job = build_step_job(WORK, PODS)

    first, second = numbered(job, 1), numbered(job, 2)

    assert job == build_step_job(WORK, PODS)
    assert [each["metadata"]["name"] for each in (first, second)] == [
        "fetch-data-ba5eae5a9edf-1",
        "fetch-data-ba5eae5a9edf-2",
    ]


def test_a_job_without_labels_of_its_own_is_numbered_too():
    job = numbered({"metadata": {"name": "a"}, "spec": {"template": {"metadata": {}}}}, 1)

    assert job == {
        "metadata": {"name": "a-1", "labels": {"tac/attempt": "1"}},
        "spec": {"template": {"metadata": {"labels": {"tac/attempt": "1"}}}},
    }


def test_names_and_labels_of_the_longest_family_are_what_kubernetes_takes():
    name = names.log_name("Ä_" + "VeryLong" * 30, "id", OUTPUT, "image")

    job = numbered(build_step_job(work(name, ("true",)), PODS), 99_999)

    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", job["metadata"]["name"])
    for value in job["metadata"]["labels"].values():
        assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value)


@pytest.mark.parametrize(
    ("request_", "pods"),
    [
        (WORK, replace(PODS, image="tac:2")),
        (WORK, replace(PODS, s3_endpoint_url="http://elsewhere")),
        (WORK, replace(PODS, config_map="elsewhere")),
        (replace(WORK, argv=(*WORK.argv, "more")), PODS),
        (replace(WORK, output="s3://tac/other"), PODS),
        (replace(WORK, pod=OWN), PODS),
    ],
)
def test_whatever_tells_work_apart_changes_its_digest(request_, pods):
    assert work_digest(request_, pods) != work_digest(WORK, PODS)


def test_nothing_else_changes_the_digest():
    other = replace(WORK, name="other-name", environment={"TZ": "UTC"}, memory="1Gi", cpu="2")
    pods = replace(PODS, secret="s", service_account="a", memory="2Gi", pod_patch=PATCH)

    assert work_digest(other, pods) == work_digest(WORK, PODS)


@pytest.mark.parametrize(
    ("memory", "cpu", "resources"),
    [
        ("", "", {}),
        ("1Gi", "", {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
        ("", "1.5", {"requests": {"cpu": "1.5"}}),
    ],
)
def test_memory_is_limited_and_processors_are_asked_for(memory, cpu, resources):
    job = build_step_job(WORK, replace(PODS, memory=memory, cpu=cpu))

    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == resources


def test_a_step_always_has_a_moment_to_end():
    job = build_step_job(WORK, replace(PODS, stop_grace_seconds=0.0))

    assert job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 1


@pytest.mark.parametrize(
    ("text", "manifest_text"),
    [
        ("plain $HOME", "plain $HOME"),
        ("$(HOME)", "$$(HOME)"),
        ("echo $$", "echo $$$"),
        ("$$(HOME)", "$$$$(HOME)"),
    ],
)
def test_kubernetes_fills_nothing_into_a_command(text, manifest_text):
    job = build_step_job(work("x-1", ("sh", "-c", text)), PODS)

    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-c", manifest_text]
    assert job["metadata"]["annotations"]["tac/command"] == f"sh -c '{text}'"


def test_tolerations_that_are_no_list_are_left_to_the_api_server():
    patch = PodPatch("pod.json", [{"op": "replace", "path": "/spec/tolerations", "value": "x"}])

    job = build_step_job(WORK, replace(PODS, pod_patch=patch))

    assert job["spec"]["template"]["spec"]["tolerations"] == "x"


@pytest.mark.parametrize("number", ["many", "-1Gi"])
def test_a_limit_that_is_no_amount_is_an_error(number):
    with pytest.raises(ConfigError) as caught:
        build_step_job(WORK, replace(PODS, memory=number))

    assert str(caught.value) == f"memory: '{number}' is not an amount"


def test_a_patched_job_leaves_the_one_it_was_made_of_alone():
    template = build_step_job(WORK, PODS)["spec"]["template"]

    apply_patch(template, PATCH)

    assert template == build_step_job(WORK, PODS)["spec"]["template"]


LABEL = (
    "pod.yaml: template.metadata.labels: tac/step is changed by the patch, and tac finds its "
    "pods by it",
    "add labels of other names",
)
POLICY = (
    "pod.yaml: template.spec.restartPolicy: is changed by the patch, and tac counts pods",
    "leave it out: tac itself tries a step again",
)
GONE = (
    "pod.yaml: template.spec.containers: 'step' is removed by the patch",
    "change it by its name, or put others beside it",
)
IMAGE = (
    "pod.yaml: template.spec.containers[step].{}: is changed by the patch, and tells one work "
    "from another",
    "name the image by TAC_IMAGE (`--image`); the command is the task's",
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"metadata": {"labels": {"tac/step": "other"}}}, LABEL),
        ({"metadata": {"labels": {"tac/step": None}}}, LABEL),
        ([{"op": "remove", "path": "/metadata/labels/tac~1step"}], LABEL),
        ({"spec": {"restartPolicy": "OnFailure"}}, POLICY),
        ([{"op": "remove", "path": "/spec"}], POLICY),
        ({"spec": {"containers": [{"name": "step", "$patch": "delete"}]}}, GONE),
        ([{"op": "replace", "path": "/spec/containers", "value": {"name": "step"}}], GONE),
        ([{"op": "replace", "path": "/spec/containers/0", "value": "step"}], GONE),
        ({"spec": {"containers": [{"name": "step", "image": "x"}]}}, IMAGE),
        ({"spec": {"containers": [{"name": "step", "command": ["x"]}]}}, IMAGE),
        ({"spec": {"containers": [{"name": "step", "args": ["x"]}]}}, IMAGE),
    ],
)
def test_a_patch_that_removes_what_tac_needs_is_refused(content, said):
    with pytest.raises(ConfigError) as caught:
        build_step_job(WORK, replace(PODS, pod_patch=PodPatch("pod.yaml", content)))

    part = next((word for word in ("image", "command", "args") if word in str(content)), "")
    assert (caught.value.message, caught.value.hint) == (said[0].format(part), said[1])


def test_a_job_of_a_users_own_may_be_patched_freely():
    template = {"spec": {"containers": [{"name": "own", "image": "a"}]}}
    patch = PodPatch("pod.yaml", {"spec": {"containers": [{"name": "own", "image": "b"}]}})

    assert apply_patch(template, patch) == {"spec": {"containers": [{"name": "own", "image": "b"}]}}


# A task that overrides `spec_schema`.


def own_pod(**more):
    return pod_of(build_step_job(replace(WORK, pod=OWN, **more), PODS))


def test_a_pod_of_the_tasks_own_is_sent_as_it_is():
    pod = own_pod()

    assert pod["containers"] == OWN["containers"]
    assert pod.keys() == {"containers", "restartPolicy", "tolerations"}
    assert OWN == {"containers": [{"name": "gpu", "image": "own:1", "command": ["train"]}]}


def test_a_pod_of_the_tasks_own_is_one_attempt_with_labels_a_deadline_and_more_memory():
    request = replace(WORK, pod=OWN, labels={"team": "flights"}, memory="2GB")
    job = build_step_job(replace(request, active_deadline_seconds=60), PODS)

    assert job["metadata"]["labels"]["team"] == "flights"
    assert job["spec"]["template"]["metadata"]["labels"]["team"] == "flights"
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 60)
    assert pod_of(job)["containers"][0]["resources"] == {"limits": {"memory": "2G"}}


def test_the_image_of_a_pod_of_the_tasks_own_tells_its_job_apart():
    other = {"containers": [{**OWN["containers"][0], "image": "own:2"}]}
    names_ = {
        build_step_job(replace(WORK, pod=pod, memory=memory), PODS)["metadata"]["name"]
        for pod in (OWN, other)
        for memory in ("", "1Gi", "2Gi")  # what an attempt is given tells nothing apart
    }

    assert len(names_) == 2


def test_labels_of_the_patch_stay_with_a_pod_of_the_tasks_own():
    job = build_step_job(replace(WORK, pod=OWN), replace(PODS, pod_patch=PATCH))

    assert job["spec"]["template"]["metadata"]["labels"]["team"] == "flights"
    assert pod_of(job)["containers"] == OWN["containers"]


def test_the_pod_that_the_settings_describe_can_be_changed_and_handed_back():
    given = build_pod(WORK, replace(PODS, pod_patch=PATCH))

    job = build_step_job(replace(WORK, pod=given), replace(PODS, pod_patch=PATCH))

    assert pod_of(job) == pod_of(build_step_job(WORK, replace(PODS, pod_patch=PATCH)))


def test_a_pod_that_starts_its_container_again_is_refused():
    with pytest.raises(ConfigError) as caught:
        build_step_job(replace(WORK, pod={**OWN, "restartPolicy": "OnFailure"}), PODS)

    assert (caught.value.message, caught.value.hint) == (
        "fetch-data-5d2f8a3b9c1e: spec_schema.restartPolicy: is 'OnFailure', and tac counts pods",
        "leave it out: tac itself tries a step again",
    )
