"""What a real API server says of our manifests, and whether it patches a pod as we do."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tac.kubernetes.manifests.pod_patch import MERGE_KEYS, PodPatch

MANIFESTS = sorted(
    (Path(__file__).parents[1] / "unit/kubernetes/manifests/step_job").glob("*.yaml")
)
LEAST = next(path for path in MANIFESTS if path.stem == "least")
SECONDS = 60


def kubectl(*words: str, given: object = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", *words],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def answer(*words: str, given: object = None) -> Any:
    """What the API server makes of it, without a word of warning."""
    done = kubectl(*words, "--output=json", given=given)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture
def restricted(api_namespace: str) -> str:
    """A namespace that takes only pods of the strictest level, and says so of Jobs too."""
    levels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn")]
    answer("label", "namespace", api_namespace, "--overwrite", *levels)
    answer("create", "serviceaccount", "tac-step", "--namespace", api_namespace)
    return api_namespace


def pod_of(job: Any) -> dict[str, Any]:
    template = job["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        **template,
        "metadata": {**template["metadata"], "name": "x"},
    }


def lost(sent: Any, got: Any, where: str = "") -> list[str]:
    """The places of what was sent that are not as they were sent."""
    if isinstance(sent, dict) and isinstance(got, dict):
        return [
            place
            for key, value in sent.items()
            for place in lost(value, got.get(key), f"{where}/{key}")
        ]
    if isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got):
        return [
            place
            for number, pair in enumerate(zip(sent, got, strict=True))
            for place in lost(*pair, f"{where}/{number}")
        ]
    return [] if sent == got else [where]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_the_api_server_takes_each_job_as_it_is_and_its_pod_as_restricted(restricted, path):
    job = read(path)
    create = ["create", "--namespace", restricted, "--filename=-", "--dry-run=server"]

    got = answer(*create, "--validate=strict", given=job)
    answer(*create, given=pod_of(job))

    assert lost(job, got) == []


def test_a_pod_with_more_rights_is_refused_there(restricted):
    pod = pod_of(read(LEAST))
    del pod["spec"]["securityContext"]["runAsNonRoot"]

    done = kubectl("create", "--namespace", restricted, "--filename=-", given=pod)

    assert 'pods "x" is forbidden: violates PodSecurity "restricted:latest"' in done.stderr


def test_the_keys_that_merge_lists_are_those_of_the_api(cluster):
    definitions = json.loads(cluster.kubectl("get", "--raw", "/openapi/v2"))["definitions"]
    found: dict[str, set[str | None]] = {}
    seen = set()
    ahead = ["io.k8s.api.core.v1.PodTemplateSpec"]
    while ahead:
        name = ahead.pop()
        seen.add(name)
        for field, what in definitions[name].get("properties", {}).items():
            inner = what.get("items") or what.get("additionalProperties") or what
            if what.get("type") == "array" and "$ref" in inner:
                found.setdefault(field, set()).add(what.get("x-kubernetes-patch-merge-key"))
            ahead += {inner.get("$ref", "").rpartition("/")[2]} - seen - {""}

    merged = {field: keys for field, keys in found.items() if keys != {None}}
    assert merged == {field: {key} for field, key in MERGE_KEYS.items()}


OTHER = {
    "name": "other",
    "image": "other",
    "ports": [{"containerPort": 53, "protocol": name} for name in ("TCP", "UDP")],
    "env": [{"name": name, "value": name} for name in "ABCD"],
}
STRATEGIC = """
- {}
- {metadata: {labels: {team: flights, tac/step: null}, annotations: {a: b}}}
- {metadata: {labels: {$patch: replace, a: b}}}
- {spec: {nodeSelector: {pool: batch}, priorityClassName: low, enableServiceLinks: null}}
- {spec: {tolerations: [{key: spot, operator: Exists}]}}
- {spec: {securityContext: {$patch: delete}}}
- {spec: {securityContext: {runAsUser: 1, seccompProfile: null}}}
- {spec: {affinity: {nodeAffinity: null, podAffinity: {}}}}
- {spec: {affinity: {$patch: replace, podAffinity: {}}}}
- {spec: {containers: []}}
- {spec: {containers: [{name: proxy, image: envoy}]}}
- {spec: {containers: [{name: z, image: z}, {name: step, tty: true}, {name: y, image: y}]}}
- {spec: {containers: [{name: other, $patch: delete}]}}
- {spec: {containers: [{name: z, image: z}, {$patch: replace}, {name: y, image: y}]}}
- {spec: {initContainers: [{name: i, image: i, restartPolicy: Always}]}}
- {spec: {containers: [{name: step, envFrom: [{secretRef: {name: more}}]}]}}
- {spec: {containers: [{name: step, resources: {limits: {cpu: "2", memory: null}}}]}}
- {spec: {containers: [{name: step, ports: [{containerPort: 1}]}, {name: other}]}}
- {spec: {containers: [{name: other, ports: [{containerPort: 53, hostPort: 5}]}]}}
- {spec: {containers: [{name: other, env: [{name: C, value: c}, {name: A, value: a}]}]}}
- {spec: {containers: [{name: other, env: [{name: X, value: x}, {name: C, value: c}]}]}}
- {spec: {containers: [{name: other, env: [{name: B, $patch: delete}, {name: B}]}]}}
- {spec: {containers: [{name: other, env: [{name: B, value: x}, {name: B, value: y}]}]}}
- {spec: {containers: [{name: other, env: [{name: A, value: null, valueFrom:
    {fieldRef: {fieldPath: metadata.name}}}]}]}}
- {spec: {volumes: [{name: tmp, emptyDir: null, hostPath: {path: /x}}]}}
- {spec: {volumes: [{name: data, persistentVolumeClaim: {claimName: c}}],
    containers: [{name: step, volumeMounts: [{name: data, mountPath: /data}]}]}}
- {spec: {containers: [{name: step, volumeMounts: [{mountPath: /tmp, $patch: delete}]}],
    volumes: [{name: tmp, $patch: delete}]}}
- {spec: {imagePullSecrets: [{name: a}, {name: b}], hostAliases: [{ip: 192.0.2.1,
    hostnames: [s3]}], topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone,
    whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {a: b}}}]}}
"""
JSON = """
- []
- - {op: add, path: /spec/tolerations/-, value: {key: spot, operator: Exists}}
  - {op: test, path: /spec/containers/0/name, value: step}
  - {op: add, path: /spec/containers/0/env/0, value: {name: X, value: x}}
- - {op: move, from: /spec/containers/1, path: /spec/containers/0}
  - {op: remove, path: /spec/securityContext}
  - {op: add, path: /metadata/labels/example~1team, value: flights}
"""


def cases() -> list[Any]:
    kinds = {"strategic": yaml.safe_load(STRATEGIC), "json": yaml.safe_load(JSON)}
    return [
        pytest.param(kind, patch, id=f"{kind}-{number}")
        for kind, patches in kinds.items()
        for number, patch in enumerate(patches)
    ]


def in_template(patch: Any) -> Any:
    """The same patch of the object that the template is in."""
    if isinstance(patch, dict):
        return {"template": patch}
    paths = ("path", "from")
    return [
        {**each, **{name: f"/template{each[name]}" for name in paths if name in each}}
        for each in patch
    ]


@pytest.mark.parametrize(("kind", "patch"), cases())
def test_a_patch_makes_of_a_pod_what_kubectl_makes_of_it(api_namespace, kind, patch):
    def template(*words: str, **more: Any) -> Any:
        return answer(*words, "--namespace", api_namespace, **more)["template"]

    # The template of a Job may not be changed; that of a PodTemplate is the same, and may.
    whole = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}}
    start = read(LEAST)["spec"]["template"]
    start["spec"]["containers"].append(OTHER)
    there = template("create", "--filename=-", given={**whole, "template": start})
    given = f"--patch={json.dumps(in_template(patch))}"
    theirs = template("patch", "podtemplate/x", f"--type={kind}", given, "--dry-run=server")

    ours = {**whole, "metadata": {"name": "y"}, "template": PodPatch("", patch).apply(there)}

    # The API server adds its defaults to what is new.
    assert template("create", "--filename=-", "--dry-run=server", given=ours) == theirs
