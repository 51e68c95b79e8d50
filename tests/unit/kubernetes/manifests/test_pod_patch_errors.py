"""Which patches cannot be read or do not fit, and what is said of them."""

import pytest

from tac.errors import ConfigError
from tac.kubernetes.manifests.pod_patch import PodPatch
from tac.runners.kubernetes import read_pod_patch

TEMPLATE = {
    "spec": {
        "containers": [{"name": "step"}, {"name": "other", "ports": [{"containerPort": 53}]}],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    },
}


def patched(content):
    return PodPatch("pod.yaml", content).apply(TEMPLATE)


PARTS = "a patch begins with `metadata` or `spec`, those of the pods"
LISTS = "lists count from 0 and end with `-`, as in /spec/containers/0/env/-"
MERGED = "has no {}, by which Kubernetes merges this list"
GIVE = "give each item its {}, or put `$patch: replace` beside them"
DIRECTIVES = "`$patch` is replace or delete; a null deletes a field"
NULL = "a null deletes a field"


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ({"kind": "Pod", "apiVersion": "v1"}, "apiVersion, kind: no part of a pod template", PARTS),
        ([{"op": "add", "path": "/kind", "value": 1}], "kind: no part of a pod template", PARTS),
        ([{"op": "add", "path": "", "value": 1}], "the whole: no part of a pod template", PARTS),
        (
            {"spec": {"containers": [{"name": "step"}, {"image": "x"}]}},
            f"template.spec.containers[1]: {MERGED.format('name')}",
            GIVE.format("name"),
        ),
        (
            {"spec": {"containers": [{"name": "step", "volumeMounts": []}, "other"]}},
            f"template.spec.containers[1]: {MERGED.format('name')}",
            GIVE.format("name"),
        ),
        (
            {"spec": {"containers": [{"name": "other", "ports": [{"name": "x"}]}]}},
            f"template.spec.containers[other].ports[0]: {MERGED.format('containerPort')}",
            GIVE.format("containerPort"),
        ),
        (
            {"spec": {"$patch": "merge"}},
            "template.spec: `$patch: merge` is not understood",
            DIRECTIVES,
        ),
        (
            {"spec": {"volumes": [{"name": "tmp", "$retainKeys": ["name"]}]}},
            "template.spec.volumes[0]: `$retainKeys: ['name']` is not understood",
            DIRECTIVES,
        ),
        ({"spec": "x"}, "template.spec: is no mapping: 'x'", NULL),
        (
            {"spec": {"containers": {"name": "step"}}},
            "template.spec.containers: is no list: {'name': 'step'}",
            NULL,
        ),
        (
            [{"op": "test", "path": "/spec", "value": 1}],
            'operation 1 {"op": "test", "path": "/spec", "value": 1}: '
            "the pod template differs there",
            LISTS,
        ),
        (
            [
                {"op": "remove", "path": "/spec/volumes"},
                {"op": "add", "path": "/spec/containers/step/tty", "value": True},
            ],
            'operation 2 {"op": "add", "path": "/spec/containers/step/tty", "value": true}: '
            "leads nowhere in the pod template",
            LISTS,
        ),
        (
            [{"op": "remove", "path": "/spec/nodeName"}],
            'operation 1 {"op": "remove", "path": "/spec/nodeName"}: '
            "leads nowhere in the pod template",
            LISTS,
        ),
        (
            [{"op": "append", "path": "/spec"}],
            'operation 1 {"op": "append", "path": "/spec"}: Unknown operation \'append\'',
            LISTS,
        ),
        (
            ["spec"],
            'operation 1 "spec": Document is expected to be sequence of operations, got a sequence '
            "of strings.",
            LISTS,
        ),
    ],
)
def test_a_patch_that_does_not_fit_names_the_place_in_it(content, message, hint):
    with pytest.raises(ConfigError) as caught:
        patched(content)

    assert (caught.value.message, caught.value.hint) == (f"pod.yaml: {message}", hint)


@pytest.mark.parametrize(
    ("name", "text", "content"),
    [
        (
            "pod.yaml",
            "spec:\n  nodeSelector: {pool: batch}\n",
            {"spec": {"nodeSelector": {"pool": "batch"}}},
        ),
        ("pod.json", '{\n\t"spec": {}\n}', {"spec": {}}),
        ("patch", "- {op: remove, path: /spec/x}\n", [{"op": "remove", "path": "/spec/x"}]),
    ],
)
def test_a_patch_is_read_from_yaml_and_json(tmp_path, name, text, content):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")

    assert read_pod_patch(str(path)) == PodPatch(str(path), content)


def test_no_patch_is_read_where_none_is_named():
    assert read_pod_patch("") is None


QUOTES = 'put a date, and whatever else is to be text, into quotes: "2023-03-01"'
KINDS = "a mapping is a strategic merge patch of the pod template, a list a JSON patch of it"


@pytest.mark.parametrize(
    ("name", "data", "message", "hint"),
    [
        (
            "pod.yaml",
            b"spec: [\n",
            "is no YAML: while parsing a flow node expected the node content, but found "
            "'<stream end>' in \"<unicode string>\", line 2, column 1: ^",
            KINDS,
        ),
        (
            "pod.json",
            b"spec: 1",
            "is no JSON: Expecting value: line 1 column 1 (char 0)",
            KINDS,
        ),
        (
            "pod.yaml",
            b"metadata: {annotations: {day: 2023-03-01}}",
            "holds what the API cannot be sent: Object of type date is not JSON serializable",
            QUOTES,
        ),
        (
            "pod.yaml",
            b"spec: &all [*all]",
            "holds what the API cannot be sent: Circular reference detected",
            QUOTES,
        ),
        ("pod.yaml", b"# nothing yet\n", "holds None, which is no patch", KINDS),
        ("pod.yaml", b"just words", "holds 'just words', which is no patch", KINDS),
        (
            "pod.yaml",
            b"\xff",
            "cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: "
            "invalid start byte",
            "save it as UTF-8",
        ),
    ],
)
def test_a_file_that_holds_no_patch_is_an_error_that_names_it(tmp_path, name, data, message, hint):
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises(ConfigError) as caught:
        read_pod_patch(str(path))

    assert (caught.value.message, caught.value.hint) == (
        f"{path}: {message}",
        hint,
    )


def test_a_file_that_is_not_there_is_an_error_that_names_the_setting(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_pod_patch(f"{tmp_path}/none.yaml")

    assert (caught.value.message, caught.value.hint) == (
        f"{tmp_path}/none.yaml: cannot be read: No such file or directory",
        "TAC_KUBERNETES_POD_PATCH names it; unset it to change nothing",
    )
