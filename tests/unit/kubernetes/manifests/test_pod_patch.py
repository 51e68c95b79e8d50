"""What a patch makes of a pod template; tests/cluster/test_manifests.py asks kubectl the same."""

import copy
import re
from typing import Any

import pytest

from tac.kubernetes.manifests.pod_patch import PodPatch

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"a": "1", "b": "2"}},
    "spec": {
        "containers": [
            {"name": "step", "env": [{"name": name, "value": name} for name in "ABC"]},
            {"name": "other", "ports": [{"containerPort": 53, "name": "dns"}]},
        ],
        "tolerations": [{"key": "ours"}],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    },
}


def patched(content):
    return PodPatch("pod.yaml", content).apply(TEMPLATE)


def changed(**spec):
    return {"metadata": TEMPLATE["metadata"], "spec": {**TEMPLATE["spec"], **spec}}


def env_after(*items):
    """The variables of `step` after a patch of them, in one word: `ABb` is A unchanged, B to b."""
    result = patched({"spec": {"containers": [{"name": "step", "env": list(items)}]}})
    (step,) = [each for each in result["spec"]["containers"] if each["name"] == "step"]
    return "".join(
        each["name"] if each["name"] == each["value"] else each["name"] + each["value"]
        for each in step["env"]
    )


def test_a_patch_leaves_the_template_as_it_was():
    before = copy.deepcopy(TEMPLATE)

    patched({"spec": {"containers": [{"name": "step", "env": [{"name": "A", "value": "x"}]}]}})
    patched([{"op": "add", "path": "/spec/containers/0/env/0", "value": {"name": "N"}}])

    assert before == TEMPLATE


@pytest.mark.parametrize("nothing", [{}, [], {"spec": {}}, {"spec": {"containers": []}}])
def test_an_empty_patch_changes_nothing(nothing):
    assert patched(nothing) == TEMPLATE


STEP, OTHER = TEMPLATE["spec"]["containers"]


@pytest.mark.parametrize(
    ("patch", "spec"),
    [
        ({"nodeSelector": {"pool": "batch"}}, {"nodeSelector": {"pool": "batch"}}),
        (
            {"affinity": {"nodeAffinity": None, "podAffinity": {}}},
            {"affinity": {"podAffinity": {}}},
        ),
        ({"affinity": {"$patch": "delete"}}, {}),
        ({"tolerations": [{"key": "theirs"}]}, {"tolerations": [{"key": "theirs"}]}),
        (
            {"containers": [{"name": "step", "tty": True}]},
            {"containers": [{**STEP, "tty": True}, OTHER]},
        ),
        (
            {"containers": [{"name": "step", "env": None}]},
            {"containers": [{"name": "step"}, OTHER]},
        ),
        (
            {"containers": [{"name": "new", "image": "x", "env": [{"name": "X", "value": None}]}]},
            {"containers": [{"name": "new", "image": "x", "env": [{"name": "X"}]}, STEP, OTHER]},
        ),
        ({"containers": [{"name": "other", "$patch": "delete"}]}, {"containers": [STEP]}),
        (
            {"containers": [{"$patch": "replace"}, {"name": "new"}]},
            {"containers": [{"name": "new"}]},
        ),
        (
            {"containers": [{"$patch": "replace", "name": "other"}, {"name": "step"}]},
            {"containers": [{"name": "step"}]},
        ),
        (
            {"containers": [{"name": "other", "ports": [{"containerPort": 53, "name": "x"}]}]},
            {
                "containers": [
                    STEP,
                    {"name": "other", "ports": [{"containerPort": 53, "name": "x"}]},
                ]
            },
        ),
        (
            {"volumes": [{"name": "tmp", "emptyDir": None, "hostPath": {"path": "/x"}}]},
            {"volumes": [{"name": "tmp", "hostPath": {"path": "/x"}}]},
        ),
        (
            {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]},
            {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]},
        ),
        (
            {"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["s3"]}]},
            {"hostAliases": [{"ip": "192.0.2.1", "hostnames": ["s3"]}]},
        ),
    ],
)
def test_a_strategic_merge_patch_goes_into_mappings_and_into_lists_that_have_a_key(patch, spec):
    assert patched({"spec": patch}) == changed(**spec)


@pytest.mark.parametrize(
    ("patch", "labels"),
    [
        ({"b": None, "c": "3"}, {"a": "1", "c": "3"}),
        ({"$patch": "replace", "c": "3"}, {"c": "3"}),
        ({"$patch": "delete"}, {}),
    ],
)
def test_a_mapping_is_merged_replaced_or_emptied(patch, labels):
    assert patched({"metadata": {"labels": patch}})["metadata"] == {"labels": labels}


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ("A", "AaBC"),
        ("C", "ABCc"),
        ("CA", "BCcAa"),
        ("X", "XxABC"),
        ("BX", "ABbXxC"),
        ("XB", "XxABbC"),
        ("XCY", "XxABCcYy"),
        ("-B", "AC"),
        ("-BB", "BbAC"),
        ("AA", "AaBC"),
    ],
)
def test_merged_lists_have_the_order_that_the_api_server_gives_them(given, after):
    items = [
        {"name": name, "$patch": "delete"} if sign else {"name": name, "value": name.lower()}
        for sign, name in re.findall("(-?)([A-Z])", given)
    ]

    assert env_after(*items) == after


def test_a_json_patch_operates_on_the_pod_template():
    operations = [
        {"op": "test", "path": "/spec/containers/0/name", "value": "step"},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": {"name": "D", "value": "D"}},
        {"op": "remove", "path": "/spec/containers/1"},
        {"op": "add", "path": "/spec/tolerations/-", "value": {"key": "theirs"}},
    ]

    assert patched(operations) == changed(
        containers=[{"name": "step", "env": [{"name": name, "value": name} for name in "ABCD"]}],
        tolerations=[{"key": "ours"}, {"key": "theirs"}],
    )
