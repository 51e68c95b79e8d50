"""What an API server's answer means; the replies are recorded, from Kubernetes 1.36."""

import json

import pytest

from tac.errors import (
    ApiError,
    ApiUnavailable,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
)
from tac.kubernetes.client.errors import RequestInfo, error_of, read_status, status_of
from tac.kubernetes.place import Place

PLACE = Place("one", "ns", "https://one.example")
LIST = RequestInfo(PLACE, "list", "Pod", "pods")
LOG = RequestInfo(PLACE, "log", "Pod", "pods", "p")

CONTINUE_IS_OLD = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {"continue": "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYVx1MDAwMCJ9"},
    "status": "Failure",
    "message": "The provided continue parameter is too old to display a consistent list result.",
    "reason": "Expired",
    "code": 410,
}
WATCH_IS_OLD = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "The resourceVersion for the provided watch is too old.",
    "reason": "Expired",
    "code": 410,
}
KUBELET_KNOWS_NO_POD = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "the server could not find the requested resource ( pods/log p)",
    "reason": "NotFound",
    "details": {"name": "p", "kind": "pods/log"},
    "code": 404,
}
NO_POD = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": 'pods "p" not found',
    "reason": "NotFound",
    "details": {"name": "p", "kind": "pods"},
    "code": 404,
}


UNAUTHORIZED = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "Unauthorized",
    "reason": "Unauthorized",
    "code": 401,
}
NO_RIGHT = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": 'pods is forbidden: User "u" cannot list resource "pods" in API group "" in the '
    'namespace "ns"',
    "reason": "Forbidden",
    "details": {"kind": "pods"},
    "code": 403,
}
TERMINATING = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": 'jobs.batch "x" is forbidden: unable to create new content in namespace ns because '
    "it is being terminated",
    "reason": "Forbidden",
    "details": {
        "name": "x",
        "group": "batch",
        "kind": "jobs",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace ns is being terminated",
                "field": "metadata.namespace",
            }
        ],
    },
    "code": 403,
}


def answered(asked, told):
    return error_of(asked, read_status(told["code"], json.dumps(told).encode()))


def test_a_page_that_is_too_old_and_a_watch_that_is():
    page = answered(LIST, CONTINUE_IS_OLD)
    event = error_of(RequestInfo(PLACE, "watch", "Pod", "pods"), status_of(WATCH_IS_OLD))

    assert isinstance(page, Expired)
    assert isinstance(event, Expired)
    assert (page.status, page.reason, event.status) == (410, "Expired", 410)
    assert str(page) == (
        "pods in namespace ns: not listed: The provided continue parameter is too old to display "
        "a consistent list result."
    )


def test_a_kubelet_that_does_not_know_a_pod_yet_does_not_mean_that_it_is_not_found():
    not_yet, gone = answered(LOG, KUBELET_KNOWS_NO_POD), answered(LOG, NO_POD)

    assert type(not_yet) is ApiUnavailable
    assert str(not_yet) == (
        "pod/p in namespace ns: its log was not read: the API server https://one.example of "
        "context 'one' cannot answer now: the server could not find the requested resource "
        "( pods/log p)"
    )
    assert type(gone) is NotFound


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (400, Invalid, 1),
        (401, Unauthorized, 2),
        (403, Forbidden, 2),
        (404, NotFound, 1),
        (405, ApiError, 1),
        (408, ApiUnavailable, 75),
        (409, Conflict, 1),
        (410, Expired, 1),
        (422, Invalid, 1),
        (429, ApiUnavailable, 75),
        (500, ApiUnavailable, 75),
        (503, ApiUnavailable, 75),
        (504, ApiUnavailable, 75),
    ],
)
def test_each_number_is_an_error_of_its_kind(code, kind, exit_code):
    error = answered(LIST, {"kind": "Status", "message": "m", "code": code})

    assert (type(error), error.exit_code) == (kind, exit_code)


@pytest.mark.parametrize(
    ("reply", "message", "hint"),
    [
        (
            UNAUTHORIZED,
            "pods in namespace ns: not listed: the API server https://one.example of context "
            "'one' rejected the credentials (401 Unauthorized)",
            "log in again, or fix the context's user: `kubectl --context one auth whoami`",
        ),
        (
            {**UNAUTHORIZED, "message": "token expired"},
            "pods in namespace ns: not listed: the API server https://one.example of context "
            "'one' rejected the credentials (401 Unauthorized): token expired",
            "log in again, or fix the context's user: `kubectl --context one auth whoami`",
        ),
        (
            NO_RIGHT,
            'pods in namespace ns: not listed: pods is forbidden: User "u" cannot list resource '
            '"pods" in API group "" in the namespace "ns"',
            "ask for the right: `kubectl --context one --namespace ns auth can-i list pods`",
        ),
    ],
    ids=["unauthorized", "unauthorized-with-a-reason", "forbidden"],
)
def test_rejected_credentials_are_not_a_missing_right(reply, message, hint):
    error = answered(LIST, reply)

    assert (error.message, error.hint) == (message, hint)


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 422])
@pytest.mark.parametrize("body", [b"", b"\xff", b"null", b"[]", b'{"kind": "Pod"}'])
def test_only_a_status_counts_as_the_servers_word(code, body):
    error = error_of(LIST, read_status(code, body))

    assert type(error) is ApiError
    assert error.status == code
    assert error.hint == "does an API server answer at https://one.example?"


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, None), ("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_when_to_come_back(header, seconds):
    error = error_of(LIST, read_status(503, b"<html>", header))

    assert isinstance(error, ApiUnavailable)
    assert error.retry_after_seconds == seconds


def test_a_long_answer_is_cut():
    error = answered(LIST, {"kind": "Status", "message": "m" * 2000, "code": 422})

    assert str(error) == f"pods in namespace ns: not listed: {'m' * 499}…"


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (
            NO_RIGHT,
            "ask for the right: `kubectl --context one --namespace ns auth can-i list pods`",
        ),
        (
            TERMINATING,
            "wait until the namespace is gone and make it again, or name another",
        ),
        (
            {**NO_RIGHT, "message": "exceeded quota: q"},
            "`kubectl --context one --namespace ns describe quota`",
        ),
        ({**NO_RIGHT, "message": 'violates PodSecurity "restricted:latest": …'}, None),
    ],
)
def test_a_refusal_says_whom_to_ask(reply, hint):
    assert answered(LIST, reply).hint == hint


def test_inside_a_pod_no_context_is_named():
    asked = RequestInfo(Place("in-cluster", "ns", "https://10.0.0.1"), "list", "Pod", "pods")
    told = {"kind": "Status", "message": 'User "u" cannot list', "code": 403}

    assert answered(asked, told).hint == (
        "ask for the right: `kubectl --namespace ns auth can-i list pods`"
    )
