"""The Job of a pod that a task describes, whole: each manifest is a file in foreign/."""

import copy
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from luigi.freezing import recursively_freeze

import tac
from tac.errors import ConfigError
from tac.kubernetes.manifests.defaults import numbered
from tac.kubernetes.manifests.pod_spec_job import build_pod_spec_job, set_memory
from tac.request import RunRequest

MANIFESTS = Path(__file__).parent / "pod_spec_job"

POD = {"containers": [{"name": "pi", "image": "perl", "command": ["perl", "-wle", "print 3"]}]}
ALL_OF_A_POD = {
    "restartPolicy": "OnFailure",
    "initContainers": [{"name": "first", "image": "perl"}],
    "containers": [*POD["containers"], {"name": "beside", "image": "perl", "env": ()}],
    "tolerations": [
        {"key": "spot", "operator": "Exists"},
        {
            "key": "node.kubernetes.io/unreachable",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 5,
        },
    ],
    "terminationGracePeriodSeconds": 5,
    "hostNetwork": False,
}
LEAST = RunRequest(
    "pi",
    (),
    {},
    Path("/logs/pi.log"),
    identity=("Pi_3_f4fe3360f0", "/out/pi"),
    pod=POD,
    backoff_limit=6,
)
ALL = replace(
    LEAST,
    name="Pi of_3",
    pod=ALL_OF_A_POD,
    labels={"team": "flights", "example.com/day": date(2023, 3, 1), "run": 7, "empty": ""},
    backoff_limit=2,
    active_deadline_seconds=3600,
)


@pytest.fixture(autouse=True)
def version(monkeypatch):
    monkeypatch.setattr(tac, "__version__", "1.2.3")


def manifest(name):
    return yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8"))


def changed(**more):
    return replace(LEAST, **more)


def name_of(asked):
    return build_pod_spec_job(asked)["metadata"]["name"]


def refusal(asked):
    with pytest.raises(ConfigError) as caught:
        build_pod_spec_job(asked)
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize(("name", "asked"), [("least", LEAST), ("all", ALL)])
def test_a_pod_becomes_a_job_that_is_found_again(name, asked):
    assert numbered(build_pod_spec_job(asked), 2) == manifest(name)


def test_what_was_given_stays_as_it_is():
    pod, labels = copy.deepcopy(ALL_OF_A_POD), dict(ALL.labels)

    job = build_pod_spec_job(changed(pod=pod, labels=labels))
    job["spec"]["template"]["spec"]["containers"][0]["command"].append("more")

    assert (pod, labels) == (ALL_OF_A_POD, dict(ALL.labels))


def test_a_pod_that_luigi_has_frozen_is_the_same_pod():
    frozen = changed(pod=recursively_freeze(ALL_OF_A_POD))

    assert build_pod_spec_job(frozen) == build_pod_spec_job(changed(pod=ALL_OF_A_POD))


@pytest.mark.parametrize(
    "other",
    [
        changed(name="po"),
        changed(identity=("Pi_4_f4fe3360f0", "/out/pi")),
        changed(identity=("Pi_3_f4fe3360f0", "/out/other")),
        changed(pod={"containers": [{**POD["containers"][0], "image": "perl:5"}]}),
    ],
    ids=["name", "task", "output", "pod"],
)
def test_other_work_has_another_name(other):
    assert name_of(other) != name_of(LEAST)


def test_the_same_work_has_the_same_name_whatever_is_said_beside_it():
    order = {"containers": [dict(reversed(POD["containers"][0].items()))]}

    assert name_of(changed(pod=order, labels={"a": "b"}, backoff_limit=1)) == name_of(LEAST)


@pytest.mark.parametrize("name", ["Ä_" + "VeryLong" * 30, "", "7", "---"])
def test_every_name_becomes_one_that_kubernetes_takes(name):
    job = numbered(build_pod_spec_job(changed(name=name)), 99_999)

    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", job["metadata"]["name"])
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", job["metadata"]["labels"]["tac/step"])


FINDS = ("tac finds its Jobs by it", "choose another name for it")
IS_NO_VALUE = "63 letters, digits, - _ and . at most, a letter or a digit at both ends"
IS_NO_NAME = "63 letters, digits, - _ and . at most, a domain and a slash before them"


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("luigi_task_id", "x", *FINDS),
        ("app.kubernetes.io/managed-by", "luigi", *FINDS),
        ("tac/work", "x", *FINDS),
        ("tac/of-the-future", "x", *FINDS),
        ("day", "1 March", "'1 March' is no value of a label", IS_NO_VALUE),
        ("day", "-1", "'-1' is no value of a label", IS_NO_VALUE),
        ("long", "x" * 64, f"'{'x' * 64}' is no value of a label", IS_NO_VALUE),
        ("two words", "x", "is no name of a label", IS_NO_NAME),
        ("", "x", "is no name of a label", IS_NO_NAME),
        ("UPPER.example/x", "x", "is no name of a label", IS_NO_NAME),
    ],
)
def test_a_label_that_cannot_be_is_refused_by_name(key, value, message, hint):
    assert refusal(changed(labels={key: value})) == (f"pi: label {key!r}: {message}", hint)


def test_labels_that_are_only_customary_are_the_users():
    own = {"app.kubernetes.io/name": "mine", "spawned_by": "me"}

    labels = build_pod_spec_job(changed(labels=own))["metadata"]["labels"]

    assert own.items() <= labels.items()


def test_a_pod_that_cannot_be_sent_is_refused_by_the_place_of_what_is_wrong():
    nothing = (
        "pi: spec_schema has no containers",
        'write it like {"containers": [{"name": …, "image": …, "command": […]}]}',
    )
    day = [{"name": "pi", "args": ["x", date(2023, 3, 1)]}]

    assert refusal(changed(pod={})) == nothing
    assert refusal(changed(pod={"containers": []})) == nothing
    assert refusal(changed(pod={"containers": day})) == (
        "pi: spec_schema.containers[0].args[1]: datetime.date(2023, 3, 1) is a date, "
        "which a manifest cannot hold",
        "write it as text or as a number",
    )


def test_a_password_in_a_pod_that_is_described_tells_no_job_apart():
    def with_url(url):
        container = {**POD["containers"][0], "command": ["curl", url]}
        return changed(pod={"containers": [container]})

    names = [
        name_of(with_url(url))
        for url in ("http://me:a@host/x?sig=a", "http://me:b@host/x?sig=b", "http://me:a@host/y")
    ]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    ("resources", "grown"),
    [
        (None, {"limits": {"memory": "2Gi"}}),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "2Gi"}}),
        (
            {"limits": {"memory": "1Gi", "nvidia.com/gpu": 1}, "requests": {"memory": "1Gi"}},
            {"limits": {"memory": "2Gi", "nvidia.com/gpu": 1}, "requests": {"memory": "2Gi"}},
        ),
        (
            {"limits": {"memory": "1Gi"}, "requests": {"memory": "512Mi", "cpu": "1"}},
            {"limits": {"memory": "2Gi"}, "requests": {"memory": "512Mi", "cpu": "1"}},
        ),
    ],
)
def test_more_memory_is_the_first_containers_limit_and_a_request_that_was_as_large(
    resources, grown
):
    first = {"name": "a"} if resources is None else {"name": "a", "resources": resources}
    pod = {"containers": [first, {"name": "b"}]}

    set_memory(pod, "2Gi")

    assert pod == {"containers": [{"name": "a", "resources": grown}, {"name": "b"}]}
