"""The files of k8s/: one object each, named by its kind, and nothing that belongs to a secret."""

import configparser
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "k8s"
FILES = sorted(FOLDER.rglob("*.yaml"))
OBJECTS = [path for path in FILES if path.name != "kustomization.yaml"]


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER))


@pytest.mark.parametrize("path", OBJECTS, ids=name_of)
def test_a_file_holds_one_object_and_is_called_by_its_kind(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^---", text, re.MULTILINE) == []
    assert [kind.lower() for kind in re.findall(r"^kind: (\w+)$", text, re.MULTILINE)] == [
        path.stem
    ]


def test_every_object_belongs_to_a_kustomization():
    named = {
        (kustomization.parent / line).resolve()
        for kustomization in FOLDER.rglob("kustomization.yaml")
        for line in re.findall(r"^  - ([\w./-]+)$", kustomization.read_text(), re.MULTILINE)
    }
    assert [name_of(path) for path in OBJECTS if path not in named] == []


def test_no_secret_is_written_down():
    assert [name_of(path) for path in FILES if re.search(r"^kind: Secret$", path.read_text())] == []


def test_an_image_is_never_pulled_anew_and_has_a_tag():
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for image in re.findall(r"^\s+image: (\S+)$", text, re.MULTILINE):
            assert ":" in image, f"{name_of(path)}: {image}"
            assert "imagePullPolicy: IfNotPresent" in text, name_of(path)


def test_each_line_of_eks_that_must_be_changed_says_so():
    text = (FOLDER / "overlays/eks/kustomization.yaml").read_text(encoding="utf-8")
    examples = [
        line
        for line in text.splitlines()
        if re.search(r"111122223333|amzn-s3-demo|us-east-1|newTag|gp3", line)
    ]
    assert examples != []
    assert [line for line in examples if not line.endswith(" # yours")] == []
    assert text.count(" # yours") == len(examples)


def test_luigid_reads_a_file_that_can_be_read():
    parser = configparser.ConfigParser()
    parser.read(FOLDER / "base/luigid/luigi.cfg", encoding="utf-8")
    assert parser.sections() == ["scheduler"]
    state = parser["scheduler"]["state_path"]
    manifest = (FOLDER / "base/luigid/statefulset.yaml").read_text(encoding="utf-8")
    assert f"mountPath: {Path(state).parent}}}" in manifest
