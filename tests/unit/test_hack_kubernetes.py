"""The Kubernetes for tests: what its files say of versions, addresses and images is the same."""

import hashlib
import importlib.util
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "hack/kubernetes"
MODULES = {
    "kubernetes": "k8s.io/kubernetes",
    "containerd": "github.com/containerd/containerd/v2",
    "etcd": "go.etcd.io/etcd/server/v3",
    "coredns": "github.com/coredns/coredns",
    "cni": "github.com/containernetworking/plugins",
    "kwok": "sigs.k8s.io/kwok",
}


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def versions(component: str) -> dict[str, str]:
    """What a component's go.mod requires: the version by module."""
    found = re.findall(
        r"^(?:require )?\s*(\S+) (v\S+)", text(f"components/{component}/go.mod"), re.MULTILINE
    )
    return dict(found)


def load_image_module():
    spec = importlib.util.spec_from_file_location("hack_kubernetes_image", FOLDER / "image.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("component", MODULES)
def test_each_module_has_a_checksum_for_the_version_that_is_built(component):
    module = MODULES[component]
    version = versions(component)[module]
    sums = text(f"components/{component}/go.sum").splitlines()
    assert [line.split()[:2] for line in sums if line.startswith(f"{module} {version} h1:")] == [
        [module, version]
    ]


@pytest.mark.parametrize("component", MODULES)
def test_the_document_tells_the_version_that_is_built(component):
    version = versions(component)[MODULES[component]]
    document = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    assert f"| {component} | {version} |" in document


def test_the_staging_modules_are_of_the_version_of_kubernetes():
    version = versions("kubernetes")["k8s.io/kubernetes"]
    replaced = re.findall(
        r"^\s+(\S+) => (\S+) (\S+)$", text("components/kubernetes/go.mod"), re.MULTILINE
    )
    assert replaced != []
    assert replaced == [(name, name, version.replace("v1.", "v0.", 1)) for name, _, _ in replaced]


def test_the_programs_that_start_are_those_that_are_built():
    built = set(re.findall(r"^COMPONENTS=\((.*)\)$", text("names.sh"), re.MULTILINE)[0].split())
    folders = {path.name for path in (FOLDER / "components").iterdir()}
    assert built | {"kwok"} == folders


def test_pods_ask_for_names_where_coredns_answers():
    address = re.findall(r"^DNS=(\S+)$", text("names.sh"), re.MULTILINE)
    assert re.findall(r"clusterIP: (\S+)", text("coredns.yaml")) == address


def test_an_image_holds_one_program_that_starts_with_its_arguments(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    program = tmp_path / "coredns"
    program.write_bytes(b"a program")
    out = tmp_path / "image.tar"
    load_image_module().main("coredns:tac", str(out), str(program), "-conf", "/etc/Corefile")

    with tarfile.open(out) as archive:
        files = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]  # a file
            for member in archive
        }
    layer = files.pop("layer.tar")
    assert {name: json.loads(body) for name, body in files.items()} == {
        "config.json": {
            "architecture": "arm64",
            "os": "linux",
            "config": {"Entrypoint": ["/coredns", "-conf", "/etc/Corefile"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"],
            },
        },
        "manifest.json": [
            {"Config": "config.json", "RepoTags": ["coredns:tac"], "Layers": ["layer.tar"]}
        ],
    }
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        assert [(member.name, member.mode) for member in archive] == [("coredns", 0o755)]


def test_the_same_program_gives_the_same_image(tmp_path):
    program = tmp_path / "pause"
    program.write_bytes(b"a program")
    main = load_image_module().main
    for name in ("first.tar", "second.tar"):
        main("pause:tac", str(tmp_path / name), str(program))
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
