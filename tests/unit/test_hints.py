"""The commands in hints are pasted into a shell: what stands in them from elsewhere is quoted."""

import errno
from pathlib import Path

import pytest

from tac import verdict
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage
from tac.kubernetes.diagnosis.verdicts import conclude
from tac.kubernetes.place import Place
from tac.store import files_errors
from tac.verdict import Reason

PATH = Path("/a b/$(touch x)/it's;c")
FOLDER = "'/a b/$(touch x)'"
FILE = """'/a b/$(touch x)/it'"'"'s;c'"""
PLACE = Place("a context", "n; touch x", "https://one.example")


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, f"free disk space: `df -h {FOLDER}`"),
        (errno.EACCES, f"`ls -ld {FOLDER} {FILE}`"),
        (errno.ENOTDIR, f"`ls -ld {FOLDER}`"),
        (errno.EPIPE, f"`ls -ld {FOLDER}`"),
    ],
)
def test_paths_are_quoted(number, hint):
    assert files_errors.explained(OSError(number, "x"), PATH).hint == hint


def test_a_missing_file_is_looked_for_by_a_quoted_path(tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()

    error = files_errors.missing(folder / "x")

    assert error.hint == f"make it first; `ls '{folder}'` shows what exists"


def test_an_image_is_quoted():
    ended = verdict.no_image("tac:1; touch x", "denied")

    assert ended.remedy == (
        "`docker build --tag 'tac:1; touch x' .` makes it from a checkout; `--image` names another"
    )


def test_what_stands_in_a_kubeconfig_is_quoted():
    kubectl = "kubectl --context 'a context'"

    assert PLACE.kubectl_here == f"{kubectl} --namespace 'n; touch x'"


def test_what_an_api_server_calls_its_objects_is_quoted():
    diagnosis = Diagnosis(stage=Stage.ENDED, reason=Reason.EVICTED, node="a;touch x", detail="y")

    ended = conclude(diagnosis, [], place=PLACE, log="x.log")

    assert ended.remedy == (
        "`kubectl --context 'a context' describe node 'a;touch x'` shows what it lacks; "
        "run the same command again: what is finished is kept"
    )
