"""What Kubernetes, its autoscalers and container runtimes write, as far as a diagnosis reads it.

The API has no field for these, only a sentence or a word for people. Each pattern names the file it
was read in, of kubernetes/kubernetes where no other repository is named, and has a row in
tests/unit/kubernetes/diagnosis/test_server_words.py: a reply that it matches, and one that it must
not. Conditions and reasons that are part of the API stand where they are asked for. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def matches_any(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    """Whether a text holds what one of these stands for."""
    return any(pattern.search(text) for pattern in patterns)


# No pod: an admission plugin refused it, and the Job controller says so in an event.

CREATE_PREFIX = re.compile(r"Error creating: (?:pods \S+ is forbidden: )?")
"""pkg/controller/controller_utils.go; staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go"""

QUOTA_EXCEEDED = re.compile(r"exceeded quota")
"""staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go"""

QUOTA_AMOUNTS = re.compile(r"exceeded quota: [^,]+, requested: (\S+), .*limited: (\S+)")
"""staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go"""

QUOTA_WANTS_REQUESTS = re.compile(r"must specify")
"""pkg/quota/v1/evaluator/core/pods.go"""

LIMIT_RANGE = re.compile(r"(?:maximum|minimum) \S+ usage per")
"""plugin/pkg/admission/limitranger/admission.go"""

POD_SECURITY = re.compile(r"violates PodSecurity")
"""staging/src/k8s.io/pod-security-admission/admission/admission.go"""

SERVICE_ACCOUNT = re.compile(r"service ?account")
"""plugin/pkg/admission/serviceaccount/admission.go"""

NO_PRIORITY_CLASS = re.compile(r"no PriorityClass")
"""plugin/pkg/admission/priority/admission.go"""

NEVER_ADMITTED = (QUOTA_WANTS_REQUESTS, LIMIT_RANGE, POD_SECURITY, NO_PRIORITY_CLASS)
"""What the next try meets again; a quota changes, and a service account may be made a bit late."""

# Unschedulable: the scheduler's FailedScheduling, and the condition PodScheduled.

NODES_AVAILABLE = re.compile(r"\d+/\d+ nodes are available: ")
"""pkg/scheduler/framework/types.go"""

NEXT_NODE_COUNT = re.compile(r", (?=\d+ )")
"""pkg/scheduler/framework/types.go: `2 Insufficient memory, 1 node(s) had …`"""

INSUFFICIENT = re.compile(r"Insufficient ([\w./-]+)")
"""pkg/scheduler/framework/plugins/noderesources/fit.go"""

INSUFFICIENT_MEMORY = re.compile(r"Insufficient memory")
"""pkg/scheduler/framework/plugins/noderesources/fit.go"""

INSUFFICIENT_CPU = re.compile(r"Insufficient cpu")
"""pkg/scheduler/framework/plugins/noderesources/fit.go"""

HELD_BY_OTHER_PODS = re.compile(
    r"Too many pods|didn't have free ports|anti-affinity|topology spread|max volume count"
    r"|no available disk"
)
"""What another pod's end changes, where it is not a resource that is counted:
pkg/scheduler/framework/plugins/noderesources/fit.go, nodeports/node_ports.go,
interpodaffinity/filtering.go, podtopologyspread/plugin.go, nodevolumelimits/csi.go and
volumerestrictions/volume_restrictions.go"""

NODE_MISMATCH = re.compile(r"node affinity|node selector|taint|tolerat")
"""pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go and
tainttoleration/taint_toleration.go"""

VOLUME_CLAIM = re.compile(r"persistentvolumeclaim")
"""pkg/scheduler/framework/plugins/volumebinding/volume_binding.go"""

# Autoscalers, in events of the pod.

SCALE_UP_REASONS = frozenset({"TriggeredScaleUp", "Nominated"})
"""kubernetes/autoscaler: processors/status/eventing_scale_up_processor.go;
kubernetes-sigs/karpenter: pkg/controllers/provisioning/scheduling/events.go"""

NO_SCALE_UP_REASON = "NotTriggerScaleUp"
"""kubernetes/autoscaler: processors/status/eventing_scale_up_processor.go"""

KARPENTER = "karpenter"
"""The component of Karpenter's own FailedScheduling;
kubernetes-sigs/karpenter: pkg/events/recorder.go"""

NO_SCALE_UP_PREFIX = re.compile(
    r"pod didn't trigger scale-up[^:]*:\s*|Failed to schedule pod, ", re.IGNORECASE
)
"""kubernetes/autoscaler: processors/status/eventing_scale_up_processor.go;
kubernetes-sigs/karpenter: pkg/controllers/provisioning/scheduling/events.go"""

NEXT_NODE_GROUP = re.compile(r", (?=\d+ )|; ")
"""kubernetes/autoscaler: processors/status/eventing_scale_up_processor.go;
kubernetes-sigs/karpenter: pkg/controllers/provisioning/scheduling/scheduler.go"""

NO_NODE_GROUP_FITS = re.compile(
    r"Insufficient \S+|didn't match Pod's node affinity|didn't match node selector"
    r"|untolerated taint|that the pod didn't tolerate|did not tolerate|incompatible requirements"
    r"|no instance type satisfied|no instance type has enough resources"
    r"|no instance type met the scheduling requirements"
)
"""What is true of every node that an autoscaler could add. All else, such as a group at its largest
or in backoff, changes when another's work ends.
kubernetes/autoscaler: core/scaleup/orchestrator/skippedreasons.go, simulator/clustersnapshot;
kubernetes-sigs/karpenter: pkg/controllers/provisioning/scheduling/nodeclaim.go"""

NODE_GROUP_AT_LIMIT = re.compile(r"exceed limits|limits? exceeded", re.IGNORECASE)
"""kubernetes/autoscaler: core/scaleup/orchestrator/skippedreasons.go;
kubernetes-sigs/karpenter: pkg/controllers/provisioning/scheduling/scheduler.go"""

# The image: what the kubelet says that a container waits for.

IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""pkg/kubelet/images/types.go"""

PERMANENT_IMAGE_REASONS = frozenset({"ErrImageNeverPull", "InvalidImageName"})
"""pkg/kubelet/images/types.go"""

IMAGE_EVENT_REASONS = frozenset({"Pulling", "Pulled", "Failed"})
"""pkg/kubelet/events/event.go"""

IMAGE_REFUSED = re.compile(
    r"not found|manifest unknown|repository does not exist|access denied|authorization failed"
    r"|unauthorized|forbidden",
    re.IGNORECASE,
)
"""What a registry answers that is well, and does not have the image or does not give it to us.
containerd/containerd: core/remotes/docker/resolver.go, authorizer.go;
distribution/distribution: registry/api/errcode/register.go"""

IMAGE_CREDENTIALS = re.compile(r"denied|authoriz|forbidden", re.IGNORECASE)
"""Of these the answers for lack of a right:
containerd/containerd: core/remotes/docker/authorizer.go"""

INVALID_IMAGE = re.compile(r"invalid reference format")
"""distribution/reference: reference.go"""

NEVER_PULLED = re.compile(r"pull policy of Never")
"""pkg/kubelet/images/image_manager.go"""

# Starting: volumes, Secrets, ConfigMaps, and the container itself.

TURN_REASONS = frozenset({"ContainerCreating", "PodInitializing"})
"""A container waits for nothing but its turn: pkg/kubelet/kubelet_pods.go"""

CRASH_LOOP_REASON = "CrashLoopBackOff"
"""pkg/kubelet/container/sync_result.go"""

ROOT_CA_CONFIG_MAP = re.compile(r"kube-root-ca\.crt")
"""Every namespace gets it, a moment after it is made:
pkg/controller/certificates/rootcacertpublisher/publisher.go"""

NOT_FOUND = re.compile(r"(?:secret|configmap) \"[^\"]+\" not found")
"""staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go"""

NO_KEY = re.compile(r"couldn't find key")
"""pkg/kubelet/kubelet_pods.go"""

RUNS_AS_ROOT = re.compile(r"has runAsNonRoot and image")
"""pkg/kubelet/kuberuntime/security_context_others.go"""

NO_COMMAND = re.compile(r"no command specified")
"""containerd/containerd: internal/cri/opts/spec_opts.go"""

NEVER_CONFIGURED = (NOT_FOUND, NO_KEY, RUNS_AS_ROOT, NO_COMMAND)
"""What the kubelet meets again however often it tries."""

ABOUT_A_SECRET = re.compile(r"\bsecret \"|in Secret |\bsecret key")
"""staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go, pkg/kubelet/kubelet_pods.go,
pkg/volume/secret/secret.go"""

ABOUT_A_CONFIG_MAP = re.compile(r"\bconfigmap \"|in ConfigMap |non-existent config key")
"""staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go, pkg/kubelet/kubelet_pods.go,
pkg/volume/configmap/configmap.go"""

WAITING_FORM = re.compile(
    r"^(?:Back-off pulling image \S+: )?(?:ErrImagePull: )?(?:rpc error: code = \w+ desc = )?"
    r"(?:failed to pull and unpack image \S+: )?(?:failed to resolve (?:image|reference \S+): )?"
    r"|(?<=image will run as root) \(pod: .*\)$"
)
"""What stands around the cause: pkg/kubelet/images/image_manager.go,
pkg/kubelet/kuberuntime/security_context_others.go;
containerd/containerd: internal/cri/server/images/image_pull.go, client/pull.go"""

# The end.

NOT_STARTED_REASONS = frozenset({"StartError", "ContainerCannotRun"})
"""The container was created, and its program could not be started in it.
containerd/containerd: internal/cri/server/helpers.go;
Mirantis/cri-dockerd: core/container_status.go"""

RUNTIME_PREFIX = re.compile(r"^.*?(?=\bexec: )", re.DOTALL)
"""containerd/containerd: internal/cri/server/container_start.go;
opencontainers/runc: libcontainer/standard_init_linux.go"""

END_UNKNOWN_REASONS = frozenset({"ContainerStatusUnknown", "Unknown"})
"""The node was restarted, or lost the container otherwise: pkg/kubelet/container/runtime.go;
containerd/containerd: internal/cri/server/restart.go"""

OWN_DISK_LIMIT = re.compile(
    r"exceeds the (?:total )?limit|exceeded its local ephemeral storage limit"
)
"""The pod went beyond a limit of its own; for what a node lacks the kubelet has other words ("The
node was low on resource: ..."): pkg/kubelet/eviction/helpers.go"""
