"""How long a Job was at each stage, added up, and when it is given up."""

import pytest

from tac.kubernetes.patience import Patience
from tac.kubernetes.stages import Diagnosis, Stage

LIMITS = {Stage.IMAGE: 10.0, Stage.STARTING: 5.0}


@pytest.fixture
def patience():
    return Patience(LIMITS)


def at(stage, **more):
    return Diagnosis(stage=stage, pod="p", **more)


def test_time_at_a_stage_is_added_up(patience):
    for now in range(11):
        patience.look(at(Stage.IMAGE), float(now))

        assert patience.waited_seconds(at(Stage.IMAGE)) == now
        assert not patience.is_over(at(Stage.IMAGE))

    patience.look(at(Stage.IMAGE), 10.5)
    assert patience.is_over(at(Stage.IMAGE))


def test_changing_between_two_stages_again_and_again_does_not_begin_anew(patience):
    for now in range(0, 40, 2):
        patience.look(at(Stage.IMAGE), now)
        patience.look(at(Stage.IMAGE), now + 0.6)
        patience.look(at(Stage.STARTING), now + 0.7)
        patience.look(at(Stage.STARTING), now + 1)

    assert patience.waited_seconds(at(Stage.IMAGE)) == pytest.approx(12)
    assert patience.waited_seconds(at(Stage.STARTING)) == pytest.approx(6)


def test_room_that_is_being_made_begins_the_time_anew(patience):
    patience.look(at(Stage.IMAGE), 0)
    patience.look(at(Stage.IMAGE), 9)
    patience.look(at(Stage.IMAGE, scaling=True), 9.5)
    patience.look(at(Stage.IMAGE), 12)

    assert patience.waited_seconds(at(Stage.IMAGE)) == 2.5


def test_another_pod_has_patience_of_its_own(patience):
    patience.look(at(Stage.IMAGE), 0)
    patience.look(at(Stage.IMAGE), 9)
    other = Diagnosis(stage=Stage.IMAGE, pod="q")
    patience.look(other, 9.5)
    patience.look(other, 12)

    assert patience.waited_seconds(other) == 2.5


def test_what_is_hopeless_is_given_up_at_once_and_what_runs_never(patience):
    patience.look(at(Stage.RUNNING), 0)
    patience.look(at(Stage.RUNNING), 1e6)

    assert patience.is_over(at(Stage.IMAGE, hopeless=True))
    assert not patience.is_over(at(Stage.RUNNING))
