"""The whole message about every kind of story: what happened, and what a person can do."""

from dataclasses import replace

import pytest

from tac.exits import Ending, Stop
from tac.kubernetes.diagnosis.stage import STAGE_TIMEOUT_SECONDS, Stage
from tac.kubernetes.diagnosis.verdicts import conclude, give_up
from tac.kubernetes.place import Place
from tac.retry import BUDGETS
from tac.verdict import Phase, Reason
from tests.support import recordings
from tests.support.recordings import always_the_same

LOG = "/logs/x.log"
PLACE = Place("dc", "flights", "https://k.example")
KUBECTL = "kubectl --context dc --namespace flights"
AGAIN = "run the same command again: what is finished is kept"
ACTOR = "docker.io/library/actor:tac"
NO_NODE = "step/x: no node could run the pod of job/story-1 for 300 s (limit 300 s): "
NO_POD = "step/x: no pod can be created for job/story-1: "
NOT_STARTED = "step/x: job/story-1 cannot be started: "
EVENTS = f"`{KUBECTL} events --for"

OVER = {
    "succeeded": (Phase.FINISHED, Reason.DONE, "step/x: done after T s"),
    "native-sidecar": (Phase.FINISHED, Reason.DONE, "step/x: done after T s"),
    "exit-1": (
        Phase.FINISHED,
        Reason.BUG,
        "step/x: failed with exit code 1 in job/story-1 after T s: this\n"
        "Hint: a bug of the step; log: /logs/x.log",
    ),
    "exit-75": (
        Phase.FINISHED,
        Reason.TRY_AGAIN,
        "step/x: failed temporarily, exit code 75 in job/story-1 after T s: this\n"
        "Hint: run the same command again a little later; log: /logs/x.log",
    ),
    "exit-143": (
        Phase.RUNNING,
        Reason.STOPPED,
        "step/x: stopped by exit code 143 (SIGTERM) in job/story-1, which did not come from tac, "
        f"after T s: this\nHint: {AGAIN}",
    ),
    "exit-137": (
        Phase.RUNNING,
        Reason.KILLED,
        "step/x: killed by exit code 137 (SIGKILL) in job/story-1 after T s, sender unknown: "
        f"this\nHint: its node or a person killed it: {EVENTS} pod/POD`; log: {LOG}",
    ),
    "oom-killed": (
        Phase.RUNNING,
        Reason.OUT_OF_MEMORY,
        "step/x: ran out of memory, exit code 137 (SIGKILL) in job/story-1 after T s: this\n"
        "Hint: give it more memory, in its task or by TAC_MEMORY (now 64Mi); log: /logs/x.log",
    ),
    "oom-killed-child": (
        Phase.FINISHED,
        Reason.OUT_OF_MEMORY,
        "step/x: ran out of memory, exit code 1 in job/story-1 after T s: this\n"
        "Hint: give it more memory, in its task or by TAC_MEMORY (now 64Mi); log: /logs/x.log",
    ),
    "sidecar-fails": (
        Phase.FINISHED,
        Reason.UNKNOWN_EXIT,
        "step/x: ended with exit code 4 in container/proxy of job/story-1, which has no meaning "
        "here, after T s: this\n"
        "Hint: steps end with 0, 1, 2, 65, 75 or 143; log: /logs/x.log",
    ),
    "missing-program": (
        Phase.PENDING,
        Reason.CANNOT_START,
        'step/x: could not be started in job/story-1: exec: "/nothing": stat /nothing: no such '
        f"file or directory\nHint: build the program into the image '{ACTOR}', name another "
        "(`--image`), or fix the command at the top of /logs/x.log",
    ),
    "refused-by-node": (
        Phase.RUNNING,
        Reason.EVICTED,
        "step/x: evicted after T s: job/story-1: node/NODE: Pod was rejected: Node didn't have "
        "enough resource: memory, requested: 4398046511104, used: 0, capacity: 25171644416\n"
        f"Hint: `kubectl --context dc describe node NODE` shows what it lacks; {AGAIN}",
    ),
    "evicted-api": (
        Phase.RUNNING,
        Reason.EVICTED,
        "step/x: evicted after T s: job/story-1: node/NODE: Eviction API: evicting\n"
        f"Hint: `kubectl --context dc describe node NODE` shows what it lacks; {AGAIN}",
    ),
    "preempted": (
        Phase.RUNNING,
        Reason.PREEMPTED,
        "step/x: preempted by a pod of higher priority after T s: job/story-1: node/NODE: "
        "default-scheduler: preempting to accommodate a higher priority pod\n"
        "Hint: add a node, or give the pods another priorityClassName in TAC_KUBERNETES_POD_PATCH",
    ),
    "evicted-disk": (
        Phase.RUNNING,
        Reason.OUT_OF_DISK,
        "step/x: used more disk than it may after T s: job/story-1: node/NODE: Pod ephemeral "
        "local storage usage exceeds the total limit of containers 10Mi.\n"
        "Hint: raise its limit in TAC_KUBERNETES_POD_PATCH, or let it write less; log: /logs/x.log",
    ),
    "deadline": (
        Phase.RUNNING,
        Reason.DEADLINE,
        "step/x: took longer than it may, stopped after T s: job/story-1: "
        "its activeDeadlineSeconds is 2\n"
        "Hint: raise the limit, or give it less to do at once; log: /logs/x.log",
    ),
    "cancelled": (
        Phase.RUNNING,
        Reason.CANCELLED,
        f"step/x: cancelled by host-7 after T s: job/story-1 was deleted\nHint: {AGAIN}",
    ),
    "pod-deleted": (
        Phase.RUNNING,
        Reason.LOST,
        "step/x: lost after T s: pod/POD was deleted, by whom is not known\n"
        "Hint: another driver or a person deleted it; log: /logs/x.log",
    ),
    "job-deleted-pod-gone": (
        Phase.RUNNING,
        Reason.LOST,
        "step/x: lost after T s: job/story-1 was deleted, by whom is not known\n"
        "Hint: another driver or a person deleted it; log: /logs/x.log",
    ),
    "node-lost": (
        Phase.RUNNING,
        Reason.NODE_LOST,
        "step/x: lost with its node after T s: job/story-1: node/NODE: it does not answer, its "
        "pod was to terminate by TIME\n"
        f"Hint: `kubectl --context dc describe node NODE` shows since when; {AGAIN}",
    ),
}


def conclusion(found, tail=("reading", "Error: this"), **more):
    return conclude(found, tail, place=PLACE, log=LOG, **more)


@pytest.mark.parametrize("story", OVER)
def test_what_is_over_has_a_verdict_that_names_the_job_and_a_remedy(story):
    phase, reason, message = OVER[story]
    verdict = conclusion(recordings.read(story).diagnose(later_seconds=60))

    assert (verdict.phase, verdict.reason) == (phase, reason)
    assert always_the_same(verdict.message("x")) == message


def test_the_verdict_counts_the_seconds_of_the_container_or_else_those_that_are_given():
    found = recordings.read("job-deleted-pod-gone").diagnose()

    verdict = conclusion(replace(found, ending=Ending(seconds=7.0)))

    assert verdict.seconds == 7.0
    assert verdict.sentence("x").startswith("step/x: lost after 7.0 s: ")


def test_what_a_step_says_in_braces_is_no_field_of_a_message():
    found = recordings.read("exit-2").diagnose()

    verdict = conclusion(found, ("Error: no {key}", "Hint: mend {this}"))

    assert verdict.message("x") == (
        "step/x: cannot be done as asked, exit code 2 in job/story-1: no {key}\nHint: mend {this}"
    )


def test_a_container_without_a_memory_limit_was_killed_for_its_nodes_lack_of_memory():
    found = recordings.read("oom-killed").diagnose()
    ending = Ending(exit_code=137, oom_killed=True, image=ACTOR)

    assert conclusion(replace(found, ending=ending)).remedy == (
        "its node had no memory left for it: ask for what it needs, in its task or by TAC_MEMORY; "
        "log: /logs/x.log"
    )


def test_a_job_whose_exit_codes_mean_what_its_author_says_has_only_failed():
    found = recordings.read("exit-65").diagnose()
    ending = Ending(exit_code=65, image=ACTOR, foreign_exit_codes=True)

    assert conclusion(replace(found, ending=ending)).message("x") == (
        "step/x: failed with exit code 65 in job/story-1 after 0.0 s: this\n"
        f"Hint: `{KUBECTL} describe job/story-1` tells more; log: /logs/x.log"
    )


@pytest.mark.parametrize(
    ("story", "stop", "message"),
    [
        ("job-deleted-foreground", Stop.REQUESTED, "stopped on request after T s"),
        ("running", Stop.REQUESTED, "stopped on request after T s"),
        ("cancelled", Stop.REQUESTED, "stopped on request after T s"),
        (
            "pod-deleted-deaf",
            Stop.FORCED,
            "stopped on request after T s, by SIGKILL because SIGTERM did not end it",
        ),
    ],
)
def test_what_we_stopped_was_stopped_as_asked_by_whatever_it_ended(story, stop, message):
    verdict = conclusion(recordings.read(story).diagnose(), stop=stop)

    assert verdict.reason is Reason.STOPPED
    assert always_the_same(verdict.message("x")) == f"step/x: {message}\nHint: {AGAIN}"


def test_what_had_ended_before_we_could_stop_it_keeps_its_end():
    verdict = conclusion(recordings.read("succeeded-just-deleted").diagnose(), stop=Stop.REQUESTED)

    assert verdict.succeeded


WAITS = {
    "quota-too-small": f"{NO_POD}exceeded quota: memory, requested: requests.memory=64Mi, used: "
    "requests.memory=0, limited: requests.memory=10Mi\n"
    "Hint: set or lower TAC_MEMORY and TAC_CPU (now 64Mi), or raise the quota: "
    f"`{KUBECTL} describe resourcequota`",
    "quota-wants-requests": f"{NO_POD}failed quota: memory: must specify requests.memory for: "
    "main\nHint: set or lower TAC_MEMORY and TAC_CPU, or raise the quota: "
    f"`{KUBECTL} describe resourcequota`",
    "limit-range": f"{NO_POD}maximum memory usage per Container is 10Mi, but limit is 64Mi\n"
    f"Hint: change TAC_MEMORY or TAC_CPU (now 64Mi): `{KUBECTL} describe limitrange`",
    "missing-priority": f"{NO_POD}no PriorityClass with name nobody was found\n"
    "Hint: name one that is there: `kubectl --context dc get priorityclasses`",
    "missing-service-account": "step/x: no pod was created for job/story-1 for 60 s (limit 60 s): "
    "error looking up service account tac-story-missing-service-account/nobody: serviceaccount "
    '"nobody" not found\n'
    "Hint: create the service account, or name another by TAC_KUBERNETES_SERVICE_ACCOUNT: "
    f"`{KUBECTL} get serviceaccounts`",
    "suspended": "step/x: no pod was created for job/story-1 for 60 s (limit 60 s): Job suspended\n"
    f"Hint: {EVENTS} job/story-1` tells more",
    "unschedulable-memory": f"{NO_NODE}Insufficient memory\n"
    "Hint: lower TAC_MEMORY (now 4Ti) or add a node: `kubectl --context dc describe nodes`",
    "unschedulable-processors": f"{NO_NODE}Insufficient cpu\n"
    "Hint: lower TAC_CPU (now 400) or add a node: `kubectl --context dc describe nodes`",
    "unschedulable-selector": f"{NO_NODE}node(s) didn't match Pod's node affinity/selector\n"
    "Hint: fix node selector and tolerations in TAC_KUBERNETES_POD_PATCH, or label a node: "
    "`kubectl --context dc get nodes --show-labels`",
    "unschedulable-volume": f'{NO_NODE}persistentvolumeclaim "data" not found\n'
    f"Hint: `{KUBECTL} get persistentvolumeclaims` tells more",
    "autoscaler-cannot": "step/x: no node can run the pod of job/story-1: Insufficient memory; "
    "the autoscaler adds no node: 2 Insufficient memory, 1 node(s) had untolerated taint "
    "{gpu: true}\nHint: lower TAC_MEMORY (now 4Ti) or add a node: "
    "`kubectl --context dc describe nodes`",
    "image-pull-back-off": "step/x: job/story-1 did not get its image '127.0.0.1:9/nobody:made' "
    'for 600 s (limit 600 s): failed to do request: Head "https://127.0.0.1:9/v2/nobody/manifests'
    '/made": dial tcp 127.0.0.1:9: connect: connection refused\n'
    "Hint: push it to a registry that the nodes reach, load it on every node "
    "(`minikube image load 127.0.0.1:9/nobody:made`), or name another (`--image`)",
    "image-unauthorized": "step/x: job/story-1 cannot have its image "
    "'127.0.0.1:5999/401/nobody:made': unexpected status from HEAD request to "
    "http://127.0.0.1:5999/v2/401/nobody/manifests/made: 401 Unauthorized\n"
    "Hint: give the pods' service account the registry's key (imagePullSecrets), "
    "or name another image (`--image`)",
    "err-image-never-pull": "step/x: job/story-1 cannot have its image "
    "'docker.io/library/nobody:made': Container image \"docker.io/library/nobody:made\" is not "
    "present with pull policy of Never\nHint: load it on every node "
    "(`minikube image load docker.io/library/nobody:made`), or let the nodes pull it",
    "invalid-image-name": "step/x: job/story-1 cannot have its image 'No/Such:a:name': Failed to "
    'apply default image tag "No/Such:a:name": '
    "couldn't parse image name "
    '"No/Such:a:name": '
    "invalid reference format: repository name (Such) must be lowercase\n"
    "Hint: `--image` names another",
    "missing-secret": f'{NOT_STARTED}secret "keys" not found\n'
    "Hint: create it, or name another by TAC_KUBERNETES_SECRET: "
    f"`{KUBECTL} get secrets`",
    "missing-config-map": f'{NOT_STARTED}configmap "settings" not found\n'
    "Hint: create it, or name another by TAC_KUBERNETES_CONFIG_MAP: "
    f"`{KUBECTL} get configmaps`",
    "run-as-root": f"{NOT_STARTED}container has runAsNonRoot and image will run as root\n"
    "Hint: let the image name a user by number (`USER 65532` in its Dockerfile)",
}
REASONS = {
    Stage.NO_POD: Reason.NO_POD,
    Stage.SCHEDULING: Reason.UNSCHEDULABLE,
    Stage.IMAGE: Reason.NO_IMAGE,
    Stage.STARTING: Reason.CANNOT_START,
}


def given_up(found, **more):
    waited = STAGE_TIMEOUT_SECONDS[found.stage] + 0.4
    return give_up(found, place=PLACE, waited_seconds=waited, **more)


@pytest.mark.parametrize("story", WAITS)
def test_what_is_pending_for_good_or_too_long_says_why_and_what_would_help(story):
    found = recordings.read(story).diagnose()
    verdict = given_up(found)

    assert (verdict.phase, verdict.reason) == (Phase.PENDING, REASONS[found.stage])
    assert verdict.reason not in BUDGETS
    assert verdict.message("x") == WAITS[story]


def test_a_timeout_that_was_set_is_the_limit_that_is_named():
    found = recordings.read("unschedulable-memory").diagnose()

    sentence = given_up(found, limit_seconds=30).sentence("x")

    assert sentence == (
        "step/x: no node could run the pod of job/story-1 for 300 s (limit 30 s): "
        "Insufficient memory"
    )


def test_a_pod_that_is_only_slow_is_given_up_with_the_command_that_tells_more():
    found = replace(recordings.read("missing-secret").diagnose(), detail="", permanent=False)

    assert always_the_same(given_up(found).message("x")) == (
        "step/x: job/story-1 did not start for 120 s (limit 120 s): no event explains it\n"
        f"Hint: {EVENTS} pod/POD` tells more"
    )


@pytest.mark.parametrize("story", sorted(recordings.names()))
def test_no_story_is_without_a_remedy_unless_it_went_well(story):
    found = recordings.read(story).diagnose()
    if found.over:
        verdict = conclusion(found)
        assert bool(verdict.remedy) == (verdict.reason is not Reason.DONE)
    elif found.stage in STAGE_TIMEOUT_SECONDS:
        assert given_up(found).remedy
