"""Jobs that try again by themselves, and programs whose exit codes are their own."""

import re
from collections import defaultdict
from dataclasses import replace

import pytest

from tac import exits
from tac.exits import Ending, Stop, judge
from tac.kubernetes.diagnosis import verdicts
from tac.kubernetes.diagnosis.diagnose import diagnose
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage
from tac.kubernetes.diagnosis.verdicts import conclude, give_up
from tac.kubernetes.place import Place
from tac.verdict import WHERE_IT_IS_SET, Audience, Reason
from tests.support import recordings

PLACE = Place("c", "ns", "https://k.example")
LOG = "/logs/x.log"


def told(name, *, limit=0):
    """What a recorded story is taken for if its Job may fail so many pods, and has not failed."""
    story = recordings.read(name)
    for job in (story.job, story.was):
        if job is not None and limit:
            job["spec"]["backoffLimit"] = limit
            job["status"]["conditions"] = []
    return diagnose(story.job, story.pods, story.events, now=story.now, was=story.was)


def concluded(diagnosis):
    return conclude(diagnosis, ["so"], place=PLACE, log=LOG, audience=Audience.JOB_TASK)


@pytest.mark.parametrize(
    ("code", "oom", "reason", "detail"),
    [
        (0, False, Reason.DONE, "done after 1.0 s"),
        (1, False, Reason.FAILED, "failed with exit code 1 after 1.0 s: so"),
        (2, False, Reason.FAILED, "failed with exit code 2 after 1.0 s: so"),
        (65, False, Reason.FAILED, "failed with exit code 65 after 1.0 s: so"),
        (75, False, Reason.FAILED, "failed with exit code 75 after 1.0 s: so"),
        (127, False, Reason.FAILED, "failed with exit code 127 after 1.0 s: so"),
        (139, False, Reason.FAILED, "failed with exit code 139 (SIGSEGV) after 1.0 s: so"),
        (143, False, Reason.FAILED, "failed with exit code 143 (SIGTERM) after 1.0 s: so"),
        (
            137,
            False,
            Reason.KILLED,
            "killed by exit code 137 (SIGKILL) after 1.0 s, sender unknown: so",
        ),
        (
            137,
            True,
            Reason.OUT_OF_MEMORY,
            "ran out of memory, exit code 137 (SIGKILL) after 1.0 s: so",
        ),
        (1, True, Reason.OUT_OF_MEMORY, "ran out of memory, exit code 1 after 1.0 s: so"),
    ],
)
def test_exit_codes_of_others_mean_success_or_failure(code, oom, reason, detail):
    ending = Ending(exit_code=code, oom_killed=oom, seconds=1, foreign_exit_codes=True)

    verdict = judge(ending, ["so"], log=LOG)

    assert (verdict.reason, verdict.detail) == (reason, detail)
    assert verdict.succeeded == (code == 0)


def test_a_program_of_others_that_was_killed_under_a_limit_perhaps_ran_out_of_memory():
    ending = Ending(exit_code=137, memory_limit="1Gi", seconds=1, foreign_exit_codes=True)
    diagnosis = replace(told("exit-137"), job="x-1", pod="POD", ending=ending)

    verdict = concluded(diagnosis)

    assert verdict.detail == (
        "killed by exit code 137 (SIGKILL) in job/x-1 after 1.0 s, under a memory limit of 1Gi "
        "and for no reason that is given, perhaps out of memory: so"
    )
    assert verdict.remedy == (
        "if it ran out, give it more memory, in spec_schema (now 1Gi); "
        "if not, its node or a person killed it: "
        "`kubectl --context c --namespace ns events --for pod/POD`; log: /logs/x.log"
    )


def test_a_program_that_was_stopped_has_not_succeeded():
    ending = Ending(exit_code=0, stop=Stop.REQUESTED, seconds=1, foreign_exit_codes=True)

    assert judge(ending, [], log=LOG).reason is Reason.STOPPED


def test_a_failure_of_others_has_a_remedy_that_can_be_pasted():
    ending = Ending(exit_code=2, seconds=1, foreign_exit_codes=True)

    verdict = concluded(replace(told("exit-2"), job="x-1", ending=ending))

    assert verdict.message("x") == (
        "step/x: failed with exit code 2 in job/x-1 after 1.0 s: so\n"
        "Hint: `kubectl --context c --namespace ns describe job/x-1` tells more; log: /logs/x.log"
    )


@pytest.mark.parametrize(
    "story", ["evicted-disk", "evicted-api", "evicted-volume", "preempted", "pod-deleted", "exit-1"]
)
def test_a_pod_that_is_lost_is_not_the_end_of_a_job_that_makes_another(story):
    assert told(story).over

    again = told(story, limit=1)

    assert (again.stage, again.reason) == (Stage.RUNNING, None)
    assert again.detail.endswith("the Job may make another")


def test_a_job_that_has_failed_as_often_as_it_may_has_failed():
    assert told("job-gave-up").ending.exit_code == 1

    story = recordings.read("job-gave-up")
    without_pods = diagnose(story.job, (), (), now=story.now)

    assert without_pods == Diagnosis(
        stage=Stage.ENDED,
        reason=Reason.FAILED,
        detail="its backoffLimit is 1",
        job=without_pods.job,
    )
    verdict = concluded(replace(without_pods, job="x-1"))
    assert verdict.message("x") == (
        "step/x: failed as often as it may after 0.0 s: job/x-1: its backoffLimit is 1\n"
        "Hint: `kubectl --context c --namespace ns describe job/x-1`; log: /logs/x.log"
    )


def test_who_cancels_a_job_that_tries_again_has_cancelled_it():
    assert told("cancelled", limit=3).reason is Reason.CANCELLED


@pytest.mark.parametrize("initial", [True, False], ids=["init", "main"])
def test_a_container_that_is_restarted_is_waited_for(initial):
    story = recordings.read("crash-loop")
    [pod] = story.pods
    if initial:
        spec, status = pod["spec"], pod["status"]
        spec["initContainers"] = [{**spec["containers"][0], "name": "init"}]
        status["initContainerStatuses"] = [{**status["containerStatuses"][0], "name": "init"}]
        status["containerStatuses"][0] |= {
            "state": {"waiting": {"reason": "PodInitializing"}},
            "lastState": {},
        }

    found = diagnose(story.job, story.pods, story.events, now=story.now)

    assert found.stage is (Stage.STARTING if initial else Stage.RUNNING)
    assert found.detail == "failed with exit code 1, is started again in a while"
    assert not found.permanent
    assert found.makes_progress or not initial


JOB_TASK = WHERE_IT_IS_SET[Audience.JOB_TASK]


def templates():
    """Every remedy that a KubernetesJobTask may be given, with its fields."""
    yield from (text for table in verdicts._REMEDIES.values() for _, text in table)
    yield from (text for _, text in verdicts._CUT_SHORT.values())
    yield from verdicts._REMEDIES_OF_ITS_END.values()
    yield from (verdicts._NO_MEMORY, verdicts._NOT_IN_IMAGE[Audience.JOB_TASK], exits._MORE_MEMORY)


@pytest.mark.parametrize("template", [*templates()])
def test_no_remedy_for_a_job_task_names_what_only_steps_have(template):
    facts = defaultdict(lambda: "x", JOB_TASK)

    for text in (template, template.format_map(facts)):
        assert not re.search("TAC_|--image|pod patch|top of", text)


def test_each_audience_has_a_word_for_all_that_remedies_name():
    assert {frozenset(words) for words in WHERE_IT_IS_SET.values()} == {frozenset(JOB_TASK)}
    assert {*WHERE_IT_IS_SET} == {*Audience}


@pytest.mark.parametrize(
    ("story", "remedy"),
    [
        (
            "quota-wants-requests",
            "set or lower the memory in spec_schema and the processors in spec_schema, "
            "or raise the quota: `kubectl --context c --namespace ns describe resourcequota`",
        ),
        (
            "limit-range",
            "change the memory in spec_schema or the processors in spec_schema (now 64Mi): "
            "`kubectl --context c --namespace ns describe limitrange`",
        ),
        (
            "unschedulable-memory",
            "lower the memory in spec_schema (now 4Ti) or add a node: "
            "`kubectl --context c describe nodes`",
        ),
        ("invalid-image-name", "spec_schema names another"),
        (
            "missing-secret",
            "create it, or name another in spec_schema: "
            "`kubectl --context c --namespace ns get secrets`",
        ),
    ],
)
def test_a_job_task_that_does_not_start_is_mended_in_its_description(story, remedy):
    ended = give_up(told(story), place=PLACE, waited_seconds=1, audience=Audience.JOB_TASK)

    assert ended.remedy == remedy


@pytest.mark.parametrize(
    ("story", "remedy"),
    [
        ("oom-killed", "give it more memory, in spec_schema (now 64Mi); log: /logs/x.log"),
        (
            "missing-program",
            "build the program into the image 'docker.io/library/actor:tac', name another "
            "in spec_schema, or fix the command in spec_schema",
        ),
        ("evicted-disk", "raise its limit in spec_schema, or let it write less; log: /logs/x.log"),
        (
            "preempted",
            "add a node, or give the pods another priorityClassName in spec_schema",
        ),
    ],
)
def test_a_job_task_that_failed_is_mended_in_its_description(story, remedy):
    assert concluded(told(story)).remedy == remedy
