"""Each pattern of what servers write: a reply that it matches, one that it must not, its source."""

import ast
import inspect
import re
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

from tac.kubernetes.client import errors as client_errors
from tac.kubernetes.diagnosis import server_words
from tac.runners.docker import engine_words
from tests.support import recordings

SOURCE = re.compile(r"\b[\w./-]+\.(?:go|c)\b")

NO_QUOTA_NUMBERS = "exceeded quota: memory"
AUTOSCALED = "pod didn't trigger scale-up: {}"  # as in written/autoscaler-cannot.json

# Names of recorded stories, or replies in full where no cluster here gave one: each of the first
# holds what the pattern is for, and none of the second.
DIAGNOSIS = {
    "CREATE_PREFIX": ("quota-too-small", "unschedulable-memory"),
    "QUOTA_EXCEEDED": ("quota-used-up", "quota-wants-requests"),
    "QUOTA_AMOUNTS": ("quota-used-up", [NO_QUOTA_NUMBERS]),
    "QUOTA_WANTS_REQUESTS": ("quota-wants-requests", "quota-too-small"),
    "LIMIT_RANGE": ("limit-range", "quota-too-small"),
    "POD_SECURITY": ("pod-security", "run-as-root"),
    "SERVICE_ACCOUNT": ("missing-service-account", "missing-secret"),
    "NO_PRIORITY_CLASS": ("missing-priority", "preempted"),
    "NEVER_ADMITTED": ("pod-security", "missing-service-account"),
    "NODES_AVAILABLE": ("unschedulable-selector", "quota-too-small"),
    "NEXT_NODE_COUNT": (
        ["0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory."],
        "unschedulable-memory",
    ),
    "INSUFFICIENT": ("unschedulable-memory", "unschedulable-selector"),
    "INSUFFICIENT_MEMORY": ("unschedulable-memory", "unschedulable-processors"),
    "INSUFFICIENT_CPU": ("unschedulable-processors", "unschedulable-memory"),
    "HELD_BY_OTHER_PODS": (
        [
            "0/2 nodes are available: 2 Too many pods.",
            "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod "
            "ports.",
            "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.",
            "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints.",
            "0/2 nodes are available: 2 node(s) exceed max volume count.",
            "0/2 nodes are available: 2 node(s) had no available disk.",
        ],
        "unschedulable-selector",
    ),
    "NODE_MISMATCH": ("unschedulable-selector", "unschedulable-memory"),
    "VOLUME_CLAIM": ("unschedulable-volume", "unschedulable-memory"),
    "SCALE_UP_REASONS": ("karpenter-brings-a-node", "autoscaler-cannot"),
    "NO_SCALE_UP_REASON": ("autoscaler-cannot", "autoscaler-brings-a-node"),
    "KARPENTER": ("karpenter-cannot", "unschedulable-memory"),
    "NO_SCALE_UP_PREFIX": ("karpenter-cannot", "autoscaler-brings-a-node"),
    "NEXT_NODE_GROUP": ("autoscaler-at-its-largest", ["incompatible requirements, key a, b"]),
    "NO_NODE_GROUP_FITS": (
        [
            AUTOSCALED.format("1 Insufficient nvidia.com/gpu"),
            AUTOSCALED.format("1 node(s) didn't match Pod's node affinity/selector"),
            AUTOSCALED.format("1 node(s) didn't match node selector"),
            AUTOSCALED.format("1 node(s) had untolerated taint {gpu: true}"),
            AUTOSCALED.format("1 node(s) had taint {gpu: true}, that the pod didn't tolerate"),
            "Failed to schedule pod, did not tolerate taint (taint=gpu=true:NoSchedule)",
            "Failed to schedule pod, incompatible requirements, key zone, zone In [a] not in "
            "zone In [b]",
            "Failed to schedule pod, no instance type satisfied resources",
            "Failed to schedule pod, no instance type has enough resources",
            "Failed to schedule pod, no instance type met the scheduling requirements or had a "
            "required offering",
        ],
        [AUTOSCALED.format("1 max node group size reached, 1 in backoff after failed scale-up")],
    ),
    "NODE_GROUP_AT_LIMIT": ("karpenter-at-its-limit", "karpenter-cannot"),
    "IMAGE_REASONS": ("image-pull-back-off", "missing-secret"),
    "PERMANENT_IMAGE_REASONS": ("invalid-image-name", "image-pull-back-off"),
    "IMAGE_EVENT_REASONS": ("pulling", "missing-secret-volume"),
    "IMAGE_REFUSED": (
        [
            "manifest unknown: manifest unknown",
            "pull access denied, repository does not exist or may require authorization",
            "server message: insufficient_scope: authorization failed",
            "image-unauthorized",
            "image-denied",
            "image-not-found",
        ],
        "registry-broken",
    ),
    "IMAGE_CREDENTIALS": ("image-unauthorized", "image-not-found"),
    "INVALID_IMAGE": ("invalid-image-name", "image-not-found"),
    "NEVER_PULLED": ("err-image-never-pull", "err-image-pull"),
    "TURN_REASONS": ("init-runs", "missing-secret"),
    "CRASH_LOOP_REASON": ("crash-loop", "image-pull-back-off"),
    "ROOT_CA_CONFIG_MAP": (
        [
            'MountVolume.SetUp failed for volume "kube-api-access-x7v5c" : '
            'configmap "kube-root-ca.crt" not found'
        ],
        "missing-config-map",
    ),
    "NOT_FOUND": ("missing-secret-volume", "image-not-found"),
    "NO_KEY": ("missing-secret-key", "missing-secret"),
    "RUNS_AS_ROOT": ("run-as-root", "pod-security"),
    "NO_COMMAND": (["failed to generate spec: no command specified"], "missing-program"),
    "NEVER_CONFIGURED": ("missing-config-map", "missing-program"),
    "ABOUT_A_SECRET": (
        ["couldn't find key nothing in Secret flights/keys"],
        [
            "couldn't find key nothing in ConfigMap secret-flights/settings",
            "missing-config-map",
        ],
    ),
    "ABOUT_A_CONFIG_MAP": (
        ["couldn't find key nothing in ConfigMap flights/settings"],
        "missing-secret",
    ),
    "WAITING_FORM": ("image-not-found", "missing-secret"),
    "NOT_STARTED_REASONS": ("missing-program", "exit-1"),
    "RUNTIME_PREFIX": ("missing-program", "missing-secret"),
    "END_UNKNOWN_REASONS": (
        [
            "ContainerStatusUnknown",
            "Unknown",
        ],  # https://github.com/kubernetes/kubernetes/pull/104577
        "exit-137",
    ),
    "OWN_DISK_LIMIT": (
        [
            'Container main exceeded its local ephemeral storage limit "10Mi". ',
            "evicted-disk",
            "evicted-volume",
        ],
        ["The node was low on resource: ephemeral-storage. Threshold quantity: 1, available: 0."],
    ),
}
CLIENT = {
    "_QUOTA_EXCEEDED": ("quota-used-up", "quota-wants-requests"),
    "_NO_RIGHT": (
        ['pods is forbidden: User "u" cannot list resource "pods" in API group ""'],
        "pod-security",
    ),
}
PULL_DENIED = (
    "pull access denied for 127.0.0.1:5999/403/x, repository does not exist or may require "
    "'docker login': denied: denied"
)
DOCKER = {
    "NO_CONTAINER": (["No such container: x-1"], ["No such image: tac:none"]),
    "REGISTRY_UNAUTHORIZED": (
        [
            "unauthorized: authentication required",
            "failed to resolve reference: unexpected status from HEAD request to "
            "http://127.0.0.1:5999/v2/401/x/manifests/y: 401 Unauthorized",
        ],
        [PULL_DENIED],
    ),
    "NO_BIND_SOURCE": (
        ['invalid mount config for type "bind": bind source path does not exist: /x'],
        ['invalid mount config for type "bind": field Target must not be empty'],
    ),
    "LOG_BUFFER_OPTION": (
        ["logger: max-buffer-size option is only supported with 'mode=non-blocking'"],
        ["unknown log opt 'max-size' for none log driver"],
    ),
    "NO_SPACE": (["OSError: [Errno 28] No space left on device"], ["[Errno 13] Permission denied"]),
    "NO_PROCESS": (
        [
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            "RuntimeError: can't start new thread",
            "OpenBLAS blas_thread_init: pthread_create failed for thread 3 of 4",
            "sh: 1: Cannot fork",
        ],
        ["OSError: [Errno 28] No space left on device"],
    ),
}
TABLES: dict[ModuleType, dict[str, tuple[Any, Any]]] = {
    server_words: DIAGNOSIS,
    client_errors: CLIENT,
    engine_words: DOCKER,
}
ROWS = [(module, name, *texts) for module, table in TABLES.items() for name, texts in table.items()]
MODULES = pytest.mark.parametrize("module", TABLES, ids=["diagnosis", "client", "docker"])


def replies(named):
    return recordings.read(named).said() if named in recordings.names() else [named]


def matches(words, text):
    if isinstance(words, tuple):
        return server_words.matches_any(words, text)
    if isinstance(words, re.Pattern):
        return words.sub("", text) != text
    return text in words if isinstance(words, frozenset) else text == words


def names_in(module):
    kinds = (re.Pattern,) if module is client_errors else (re.Pattern, frozenset, str, tuple)
    return {
        name
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("__") and isinstance(value, kinds)
    }


@pytest.mark.parametrize(
    ("module", "name", "yes", "no"), ROWS, ids=[f"{row[0].__name__[4:]}.{row[1]}" for row in ROWS]
)
def test_a_pattern_matches_what_the_server_said_and_nothing_else(module, name, yes, no):
    words = getattr(module, name)

    for named in [yes] if isinstance(yes, str) else yes:
        assert [text for text in replies(named) if matches(words, text)], named
    for named in [no] if isinstance(no, str) else no:
        assert not [text for text in replies(named) if matches(words, text)], named


@MODULES
def test_every_pattern_has_a_row(module):
    assert names_in(module) == TABLES[module].keys()


@MODULES
def test_every_pattern_names_the_file_that_it_was_read_in(module):
    body = ast.parse(inspect.getsource(module)).body
    told = {
        ast.unparse(before.targets[0]): ast.unparse(after)
        for before, after in pairwise(body)
        if isinstance(before, ast.Assign) and isinstance(after, ast.Expr)
    }
    combined = {name for name in names_in(module) if isinstance(getattr(module, name), tuple)}

    assert {name for name, text in told.items() if SOURCE.search(text)} == (
        names_in(module) - combined
    )
