"""How long a Job was at each stage, added up, and when it is given up."""

import pytest

from tac.kubernetes.attempt.timeouts import StageTimeouts
from tac.kubernetes.diagnosis.stage import Diagnosis, Stage

LIMITS = {Stage.IMAGE: 10.0, Stage.STARTING: 5.0}


@pytest.fixture
def stage_timeouts():
    return StageTimeouts(LIMITS)


def at(stage, **more):
    return Diagnosis(stage=stage, pod="p", **more)


def test_time_at_a_stage_is_added_up(stage_timeouts):
    for now in range(11):
        stage_timeouts.look(at(Stage.IMAGE), float(now))

        assert stage_timeouts.waited_seconds(at(Stage.IMAGE)) == now
        assert not stage_timeouts.is_over(at(Stage.IMAGE))

    stage_timeouts.look(at(Stage.IMAGE), 10.5)
    assert stage_timeouts.is_over(at(Stage.IMAGE))


def test_changing_between_two_stages_again_and_again_does_not_begin_anew(stage_timeouts):
    for now in range(0, 40, 2):
        stage_timeouts.look(at(Stage.IMAGE), now)
        stage_timeouts.look(at(Stage.IMAGE), now + 0.6)
        stage_timeouts.look(at(Stage.STARTING), now + 0.7)
        stage_timeouts.look(at(Stage.STARTING), now + 1)

    assert stage_timeouts.waited_seconds(at(Stage.IMAGE)) == pytest.approx(12)
    assert stage_timeouts.waited_seconds(at(Stage.STARTING)) == pytest.approx(6)


def test_progress_begins_the_time_anew(stage_timeouts):
    stage_timeouts.look(at(Stage.IMAGE), 0)
    stage_timeouts.look(at(Stage.IMAGE), 9)
    stage_timeouts.look(at(Stage.IMAGE, makes_progress=True), 9.5)
    stage_timeouts.look(at(Stage.IMAGE), 12)

    assert stage_timeouts.waited_seconds(at(Stage.IMAGE)) == 2.5


def test_another_pod_has_a_timeout_of_its_own(stage_timeouts):
    stage_timeouts.look(at(Stage.IMAGE), 0)
    stage_timeouts.look(at(Stage.IMAGE), 9)
    other = Diagnosis(stage=Stage.IMAGE, pod="q")
    stage_timeouts.look(other, 9.5)
    stage_timeouts.look(other, 12)

    assert stage_timeouts.waited_seconds(other) == 2.5


def test_what_is_hopeless_is_given_up_at_once_and_what_runs_never(stage_timeouts):
    stage_timeouts.look(at(Stage.RUNNING), 0)
    stage_timeouts.look(at(Stage.RUNNING), 1e6)

    assert stage_timeouts.is_over(at(Stage.IMAGE, permanent=True))
    assert not stage_timeouts.is_over(at(Stage.RUNNING))
