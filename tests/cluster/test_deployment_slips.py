"""k8s/deploy.sh in wrong hands, or in the wrong place: it says so, and changes nothing."""

import json
import re
from pathlib import Path

import pytest

from tests.support.deployment import run


def test_nothing_is_removed_by_a_slip(deployment, cluster):
    ended = deployment.do("remove")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f"k8s/deploy.sh: remove: deletes namespace {deployment.namespace} of context "
        f"{cluster.context}, and the results in its S3",
        "Hint: remove --with-data",
    ]


@pytest.mark.parametrize("words", [("apply",), ("remove", "--with-data")])
def test_the_namespace_of_another_overlay_is_left_alone(deployment, words):
    script = Path("k8s/deploy.sh").resolve()
    options = ("--namespace", "tac-test-none", "--overlay", deployment.overlay)

    ended = run(script, *options, *words)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f"k8s/deploy.sh: {deployment.overlay}: is of namespace {deployment.namespace}, "
        "not tac-test-none",
        f"Hint: --namespace {deployment.namespace}, or `namespace: tac-test-none` "
        "in an overlay of your own",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("apply", "--overlay", "k8s/overlays/eks"),
        ("remove", "--with-data", "--context", "other"),
        ("status", "--context", "other"),
        ("dashboard", "--context", "other"),
        ("s3", "8333", "--context", "other"),
        ("cancel", "one", "--context", "other"),
    ],
)
def test_options_behind_the_verb_are_not_passed_over(deployment, words):
    ended = deployment.do(*words)

    option = next(word for word in words if word in {"--overlay", "--context"})
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f"k8s/deploy.sh: {words[0]}: what is {option}?",
        f"Hint: options stand before the verb: k8s/deploy.sh --context C {words[0]}",
    ]


@pytest.mark.parametrize(
    "word",
    [
        *("https://me:hush@host/{date}.csv", "--source=HTTPS://hush@host/x.csv"),
        *("https://me:hu/sh@host/x.csv", "https://host/x.csv?a=b&X-Amz-Signature=hush"),
        *("https://host/x.csv?sig=hush", "http://me:hush@luigid:8082"),
    ],
)
def test_a_secret_never_becomes_the_name_or_the_command_of_a_driver(deployment, word):
    ended = deployment.do("run", "Report", "--date", "2023-03-01", "--source", word)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "k8s/deploy.sh: run: an address has a password or a key in it, and whoever may read Jobs"
        " reads it",
        'Hint: docs/kubernetes.md, "A source that wants a password", says where to put it',
    ]


@pytest.mark.parametrize(
    ("verb", "what"),
    [("run", "cronjob/daily"), ("dashboard", "service/luigid"), ("s3", "service/s3")],
)
def test_where_nothing_is_deployed_it_says_so(cluster, verb, what):
    ended = run(Path("k8s/deploy.sh").resolve(), "--namespace", "default", verb)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f"k8s/deploy.sh: namespace default: has no {what}",
        "Hint: apply deploys it; --namespace and --context choose another place",
    ]


def test_a_driver_that_is_not_there_is_not_cancelled(deployment):
    step = {"app.kubernetes.io/managed-by": "tac"}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "kept", "labels": step}}
    pod = {"restartPolicy": "Never", "containers": [{"name": "step", "image": "none"}]}
    job["spec"] = {"suspend": True, "template": {"spec": pod}}
    deployment.kubectl("create", "-f", "-", stdin=json.dumps(job))

    slip, nobody = deployment.do("cancel", "run-typo"), deployment.do("cancel")

    assert (slip.code, slip.out) == (2, "")
    assert slip.err.splitlines() == [
        f"k8s/deploy.sh: namespace {deployment.namespace}: has no job/run-typo",
        "Hint: status lists what is there; --namespace and --context choose another place",
    ]
    assert nobody.code == 0, nobody.err
    assert nobody.err.splitlines()[0] == "no driver runs here"
    assert re.match(r'job\.batch "kept" deleted', nobody.out), nobody.out


def test_another_verb_is_refused_and_help_lists_them():
    script = Path("k8s/deploy.sh").resolve()
    refused, helped = run(script, "deploy"), run(script, "--help")

    assert (refused.code, refused.err.splitlines()) == (
        2,
        ["k8s/deploy.sh: there is no verb 'deploy'", "Hint: k8s/deploy.sh --help lists them"],
    )
    assert helped.code == 0
    verbs = re.findall(r"^  (\w+) ", helped.out, re.MULTILINE)
    assert verbs == ["apply", "run", "status", "logs", "dashboard", "s3", "cancel", "remove"]
