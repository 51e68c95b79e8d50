"""Which pods wait for their turn, and which for what will never come."""

import pytest

from tac.kubernetes.diagnosis.capacity import fits_after_termination


def pod(node="", phase="", **requests):
    return {
        "spec": {
            **({"nodeName": node} if node else {}),
            "initContainers": [{"name": "init", "resources": {"requests": {"cpu": "9"}}}],
            "containers": [
                {"name": "step", "resources": {"requests": requests}},
                {"name": "bare"},
            ],
        },
        "status": {"phase": phase} if phase else {},
    }


CPU = "Insufficient cpu"
MEMORY = "1 Insufficient memory; no preemption victims found for incoming pod"
GPU = {"nvidia.com/gpu": "1"}


@pytest.mark.parametrize(
    ("wanted", "refusal", "others"),
    [
        (pod(cpu="500m"), CPU, [pod("a", cpu="1")]),
        (pod(cpu="1"), CPU, [pod("a", "Running", cpu="500m"), pod("a", cpu="0.5")]),
        (pod(cpu="500m", memory="900Gi"), CPU, [pod("a", cpu="500m", memory="1Mi")]),
        (pod(memory="1Gi"), MEMORY, [pod("a", memory="1024Mi")]),
        (pod(memory="1G"), MEMORY, [pod("b", memory="1"), pod("a", memory="1Gi")]),
        (pod(**GPU), "Insufficient nvidia.com/gpu", [pod("a", **GPU)]),
        (pod(cpu="9"), "Too many pods", [pod("a")]),
        (pod(), "2 node(s) didn't match pod anti-affinity rules", [pod("a")]),
    ],
)
def test_a_pod_fits_once_what_runs_terminates(wanted, refusal, others):
    assert fits_after_termination(wanted, [wanted, *others], refusal)


@pytest.mark.parametrize(
    ("wanted", "refusal", "others"),
    [
        (pod(cpu="500m"), CPU, []),
        (pod(cpu="500m"), CPU, [pod(cpu="1"), pod("a", "Succeeded", cpu="1")]),
        (pod(cpu="1"), CPU, [pod("a", cpu="500m"), pod("b", cpu="500m")]),
        (pod(memory="900Gi"), MEMORY, [pod("a", memory="1Gi", cpu="2")]),
        (pod(memory="2Gi", cpu="1"), f"{CPU}; {MEMORY}", [pod("a", memory="1Gi", cpu="2")]),
        (pod(), "2 node(s) didn't match Pod's node affinity/selector", [pod("a", cpu="9")]),
        (pod(), "1 node(s) had untolerated taint(s)", [pod("a", cpu="9")]),
        (pod(), "", [pod("a", cpu="9")]),
    ],
)
def test_a_pod_does_not_fit_even_once_what_runs_terminates(wanted, refusal, others):
    assert not fits_after_termination(wanted, [wanted, *others], refusal)
