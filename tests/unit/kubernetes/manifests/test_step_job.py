"""The Job of a step, whole: each manifest is a file in manifests/."""

import re
from pathlib import Path

import pytest
import yaml

import tac
from tac import names
from tac.errors import ConfigError
from tac.kubernetes.manifests.pod_patch import PodPatch
from tac.kubernetes.manifests.step_job import (
    Terms,
    Work,
    apply_patch,
    build_job,
    numbered,
    terms_of,
    work_digest,
)
from tac.settings import Settings

MANIFESTS = Path(__file__).parent / "step_job"

OUTPUT = "s3://tac/flights/2023-03-01.parquet"
WORK = Work("fetch-data-5d2f8a3b9c1e", ("python", "-m", "tac.fetch", OUTPUT), output=OUTPUT)
BUILD = "1.2.3+0123456789ab"
TERMS = Terms(image="tac", build=BUILD)

ALL_WORK = Work(
    WORK.name,
    (*WORK.argv, "--source", "https://host/$(DAY) $$.parquet"),
    {
        "AWS_ACCESS_KEY_ID": "hush",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:8333",
        "AWS_REGION": "of-this-machine",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "HTTPS_PROXY": "http://of-this-network",
        "OMP_NUM_THREADS": "1",
        "TZ": "UTC",
    },
    output=OUTPUT,
    memory="2GB",
    cpu="500m",
)
ALL_TERMS = Terms(
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


def changed(terms, **more):
    return Terms(**{**terms.__dict__, **more})


@pytest.mark.parametrize(
    ("name", "work", "terms"),
    [
        ("least", WORK, TERMS),
        ("everything-set", ALL_WORK, ALL_TERMS),
        ("patched", WORK, changed(TERMS, pod_patch=PATCH)),
    ],
)
def test_a_command_becomes_a_job_with_no_more_rights_than_it_needs(name, work, terms):
    assert numbered(build_job(work, terms), 2) == manifest(name)


def test_nothing_secret_is_in_a_manifest_or_in_what_an_error_may_show():
    assert "hush" not in f"{build_job(ALL_WORK, ALL_TERMS)} {ALL_WORK!r}"


SIGNED = "https://bob:{0}@host/{{date}}.parquet?X-Amz-Date={0}&X-Amz-Signature={0}&versionId=3"


def test_what_is_signed_anew_or_has_another_password_is_the_same_job():
    once, again = (
        Work("fetch-x", ("python", SIGNED.format(each)), output=OUTPUT) for each in ("a", "b")
    )
    other = Work("fetch-x", ("python", SIGNED.format("a").replace("=3", "=4")), output=OUTPUT)

    assert work_digest(once, TERMS) == work_digest(again, TERMS) != work_digest(other, TERMS)


def test_no_annotation_holds_a_secret_of_an_address():
    job = build_job(Work("fetch-x", ("python", SIGNED.format("hush"))), TERMS)

    assert job["metadata"]["annotations"]["tac/command"] == (
        "python 'https://***@host/{date}.parquet?***'"
    )


def test_numbering_an_attempt_leaves_the_manifest_as_it_was():
    job = build_job(WORK, TERMS)

    first, second = numbered(job, 1), numbered(job, 2)

    assert job == build_job(WORK, TERMS)
    assert [each["metadata"]["name"] for each in (first, second)] == [
        "fetch-data-5d2f8a3b9c1e-1",
        "fetch-data-5d2f8a3b9c1e-2",
    ]


def test_a_job_without_labels_of_its_own_is_numbered_too():
    job = numbered({"metadata": {"name": "a"}, "spec": {"template": {"metadata": {}}}}, 1)

    assert job == {
        "metadata": {"name": "a-1", "labels": {"tac/attempt": "1"}},
        "spec": {"template": {"metadata": {"labels": {"tac/attempt": "1"}}}},
    }


def test_names_and_labels_of_the_longest_family_are_what_kubernetes_takes():
    name = names.log_name("Ä_" + "VeryLong" * 30, "id", OUTPUT, "image")

    job = numbered(build_job(Work(name, ("true",)), TERMS), 99_999)

    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", job["metadata"]["name"])
    for value in job["metadata"]["labels"].values():
        assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value)


@pytest.mark.parametrize(
    ("work", "terms"),
    [
        (WORK, changed(TERMS, image="tac:2")),
        (WORK, changed(TERMS, s3_endpoint_url="http://elsewhere")),
        (WORK, changed(TERMS, config_map="elsewhere")),
        (Work(WORK.name, (*WORK.argv, "more"), output=OUTPUT), TERMS),
        (Work(WORK.name, WORK.argv, output="s3://tac/other"), TERMS),
    ],
)
def test_whatever_tells_work_apart_changes_its_digest(work, terms):
    assert work_digest(work, terms) != work_digest(WORK, TERMS)


def test_nothing_else_changes_the_digest():
    work = Work("other-name", WORK.argv, {"TZ": "UTC"}, OUTPUT, "1Gi", "2")
    terms = changed(TERMS, secret="s", service_account="a", memory="2Gi", pod_patch=PATCH)

    assert work_digest(work, terms) == work_digest(WORK, TERMS)


def test_the_terms_are_those_of_the_settings():
    chosen = Settings(
        image="registry.example/tac:1.2.3",
        memory="1Gi",
        cpu="2",
        stop_grace_seconds=2.5,
        container_s3_endpoint_url="http://s3.tac.svc:8333",
        kubernetes_config_map="tac-s3",
        kubernetes_secret="tac-keys",
        kubernetes_service_account="tac-step",
        s3_endpoint_url="http://as-seen-here",
    )

    assert terms_of(chosen, PATCH, BUILD) == changed(ALL_TERMS, pod_patch=PATCH)


def test_a_driver_that_is_being_edited_does_not_say_which_build_it_is():
    terms = terms_of(Settings(image="tac", check_build="no"), None, BUILD)
    (container,) = build_job(WORK, terms)["spec"]["template"]["spec"]["containers"]

    assert [variable["name"] for variable in container["env"]] == ["HOME"]


@pytest.mark.parametrize(
    ("memory", "cpu", "resources"),
    [
        ("", "", {}),
        ("1Gi", "", {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
        ("", "1.5", {"requests": {"cpu": "1.5"}}),
    ],
)
def test_memory_is_limited_and_processors_are_asked_for(memory, cpu, resources):
    job = build_job(WORK, changed(TERMS, memory=memory, cpu=cpu))

    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == resources


def test_a_step_always_has_a_moment_to_end():
    job = build_job(WORK, changed(TERMS, stop_grace_seconds=0.0))

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
    job = build_job(Work("x-1", ("sh", "-c", text)), TERMS)

    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-c", manifest_text]
    assert job["metadata"]["annotations"]["tac/command"] == f"sh -c '{text}'"


def test_tolerations_that_are_no_list_are_left_to_the_api_server():
    patch = PodPatch("pod.json", [{"op": "replace", "path": "/spec/tolerations", "value": "x"}])

    job = build_job(WORK, changed(TERMS, pod_patch=patch))

    assert job["spec"]["template"]["spec"]["tolerations"] == "x"


@pytest.mark.parametrize("number", ["many", "-1Gi"])
def test_a_limit_that_is_no_amount_is_an_error(number):
    with pytest.raises(ConfigError) as caught:
        build_job(WORK, changed(TERMS, memory=number))

    assert str(caught.value) == f"memory: '{number}' is not an amount"


def test_a_patched_job_leaves_the_one_it_was_made_of_alone():
    job = build_job(WORK, TERMS)

    apply_patch(job, PATCH)

    assert job == build_job(WORK, TERMS)


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
    "pod.yaml: template.spec.containers: 'step' is gone after the patch",
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
def test_a_patch_that_takes_away_what_tac_needs_is_refused(content, said):
    with pytest.raises(ConfigError) as caught:
        build_job(WORK, changed(TERMS, pod_patch=PodPatch("pod.yaml", content)))

    part = next((word for word in ("image", "command", "args") if word in str(content)), "")
    assert (caught.value.message, caught.value.hint) == (said[0].format(part), said[1])


def test_a_job_of_somebody_elses_may_be_patched_as_they_like():
    job = {"spec": {"template": {"spec": {"containers": [{"name": "own", "image": "a"}]}}}}
    patch = PodPatch("pod.yaml", {"spec": {"containers": [{"name": "own", "image": "b"}]}})

    assert apply_patch(job, patch) == {
        "spec": {"template": {"spec": {"containers": [{"name": "own", "image": "b"}]}}}
    }
