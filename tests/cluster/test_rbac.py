"""Who may do what: a driver what it needs and no verb more, a step nothing.

Asked of the real API server, in the name of our service accounts.
"""

import json
import re

import pytest

from tests.support.deployment import Deployment, output

# What every account may ask for, ours or not: what it is, what there is, and whether it may.
EVERYBODYS = re.compile(r"selfsubject\S+|\[/\S*\]")

TOKEN = "serviceaccounts/token"

JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "by-the-driver", "labels": {"tac/test": "rbac"}},
    "spec": {
        "backoffLimit": 0,
        "suspend": True,  # nothing has to run
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "serviceAccountName": "tac-step",
                "containers": [
                    {
                        "name": "step",
                        "image": "tac",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
                "securityContext": {
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }
        },
    },
}


def as_account(deployment: Deployment, name: str) -> str:
    return f"--as=system:serviceaccount:{deployment.namespace}:{name}"


def rights(deployment: Deployment, name: str) -> list[str]:
    """Everything that an account may do in the namespace, as the API server lists it."""
    listed = deployment.kubectl("auth", "can-i", "--list", as_account(deployment, name))
    rows = [" ".join(line.split()) for line in listed.splitlines()[1:]]
    return sorted(row for row in rows if not EVERYBODYS.match(row))


def test_a_driver_may_do_this_and_nothing_else(deployment):
    assert rights(deployment, "tac-driver") == [
        "events [] [] [list watch]",
        "jobs.batch [] [] [create get list watch patch delete]",
        "pods [] [] [get list watch]",
        "pods/log [] [] [get]",
    ]


def test_a_step_may_do_nothing(deployment):
    assert rights(deployment, "tac-step") == []


def test_a_driver_lives_through_an_attempt(deployment):
    me = as_account(deployment, "tac-driver")
    try:
        deployment.kubectl(me, "create", "-f", "-", stdin=json.dumps(JOB))
        deployment.kubectl(me, "get", "job", "by-the-driver")
        deployment.kubectl(me, "get", "jobs", "--selector", "tac/test=rbac")
        deployment.kubectl(
            me, "wait", "job/by-the-driver", "--for=condition=Suspended", "--timeout=30s"
        )
        deployment.kubectl(me, "annotate", "job", "by-the-driver", "tac/cancelled-by=test")
        deployment.kubectl(me, "get", "pods")
        deployment.kubectl(me, "logs", "luigid-0", "--tail=1")
        deployment.kubectl(me, "get", "events")
        deployment.kubectl(me, "delete", "job", "by-the-driver")
    finally:
        deployment.kubectl("delete", "job", "by-the-driver", "--ignore-not-found")


# What a driver asks for, and what the API server calls that: the object, the verb, the resource.
FORBIDDEN = [
    ("get secret tac-s3", 'secrets "tac-s3"', "get", "secrets", ""),
    ("get secrets", "secrets", "list", "secrets", ""),
    ("get configmap tac", 'configmaps "tac"', "get", "configmaps", ""),
    ("exec luigid-0 -- true", 'pods "luigid-0"', "create", "pods/exec", ""),
    ("run mine --image=tac", "pods", "create", "pods", ""),
    ("delete pod luigid-0", 'pods "luigid-0"', "delete", "pods", ""),
    ("create token tac-driver", 'serviceaccounts "tac-driver"', "create", TOKEN, ""),
    ("get deployments", "deployments.apps", "list", "deployments", "apps"),
    ("get statefulset luigid", 'statefulsets.apps "luigid"', "get", "statefulsets", "apps"),
    ("get cronjob daily", 'cronjobs.batch "daily"', "get", "cronjobs", "batch"),
]


@pytest.mark.parametrize(("words", "what", "verb", "resource", "group"), FORBIDDEN)
def test_a_driver_may_not(deployment, words, what, verb, resource, group):
    namespace = deployment.namespace
    said = deployment.refused(as_account(deployment, "tac-driver"), *words.split())
    # What stands before it is kubectl's own.
    assert said[said.index(what) :] == (
        f"{what} is forbidden: "
        f'User "system:serviceaccount:{namespace}:tac-driver" cannot {verb} '
        f'resource "{resource}" in API group "{group}" in the namespace "{namespace}"'
    )


def test_a_driver_may_not_delete_all_jobs_at_once(deployment):
    path = f"/apis/batch/v1/namespaces/{deployment.namespace}/jobs"
    said = deployment.refused(as_account(deployment, "tac-driver"), "delete", "--raw", path)
    assert 'cannot deletecollection resource "jobs"' in said


def test_a_driver_has_no_right_in_another_namespace(deployment):
    account = f"system:serviceaccount:{deployment.namespace}:tac-driver"
    said = deployment.refused(
        "--namespace", "default", as_account(deployment, "tac-driver"), "get", "jobs"
    )
    assert said == (
        f'Error from server (Forbidden): jobs.batch is forbidden: User "{account}" '
        'cannot list resource "jobs" in API group "batch" in the namespace "default"'
    )


def test_a_step_cannot_even_ask_for_jobs(deployment):
    account = f"system:serviceaccount:{deployment.namespace}:tac-step"
    said = deployment.refused(as_account(deployment, "tac-step"), "get", "jobs")
    assert said == (
        f'Error from server (Forbidden): jobs.batch is forbidden: User "{account}" cannot list '
        f'resource "jobs" in API group "batch" in the namespace "{deployment.namespace}"'
    )


def test_the_cluster_roles_give_our_accounts_nothing(deployment):
    """A ClusterRoleBinding of ours would be a right everywhere."""
    bindings = json.loads(output("kubectl", "get", "clusterrolebindings", "--output", "json"))
    ours = [
        binding["metadata"]["name"]
        for binding in bindings["items"]
        for subject in binding.get("subjects", [])
        if subject.get("namespace") == deployment.namespace
    ]
    assert ours == []
