import datetime

import numpy as np
import pytest

from tac.flights.page_past import PastDay, build_past
from tac.flights.scores import ScoredDay
from tests.support.pages import DAY


def past_day(
    late: list[int],
    probability: list[float],
    baseline: list[float] | None = None,
    *,
    back: int = 1,
    without_outcome: int = 0,
) -> PastDay:
    day = ScoredDay(
        date=DAY - datetime.timedelta(days=back),
        late=np.array(late, dtype=float),
        model=np.array(probability, dtype=float),
        baseline=np.array(baseline if baseline is not None else probability, dtype=float),
        without_outcome=without_outcome,
    )
    return PastDay(day, weather="")


def test_days_are_summed_up_in_their_order():
    past = build_past(
        [
            past_day([1, 0, 0], [0.6, 0.2, 0.2], back=1, without_outcome=2),
            past_day([1, 1], [0.5, 0.5], back=2, without_outcome=1),
        ]
    )
    assert past is not None
    assert [day.date.day for day in past.days] == [27, 28]
    assert (past.flights, past.late, past.without_outcome) == (5, 3, 3)
    assert past.expected == pytest.approx(2.0)
    assert past.typical_error == pytest.approx(0.5)
    assert past.most_late == 2
    assert [str(day.auc) for day in past.days] == ["nan", "1.0"]


def test_without_days_there_is_no_past():
    assert build_past([]) is None


@pytest.mark.parametrize(
    ("late", "probability", "baseline", "comparison"),
    [
        ([1, 0], [0.9, 0.1], [0.1, 0.9], "better"),
        ([1, 0], [0.1, 0.9], [0.9, 0.1], "worse"),
        ([1, 0], [0.9, 0.1], [0.6, 0.4], "same"),
        ([1, 1], [0.9, 0.1], [0.1, 0.9], "same"),
    ],
)
def test_models_are_compared_by_how_they_sort_flights(late, probability, baseline, comparison):
    past = build_past([past_day(late, probability, baseline)])
    assert past is not None
    assert past.comparison == comparison


@pytest.mark.parametrize(
    ("late", "probability", "surprise"),
    [
        ([1, 1, 0], [0.5, 0.3, 0.1], "more"),
        ([0, 0, 0], [0.5, 0.3, 0.1], "fewer"),
        ([0, 1, 0], [0.5, 0.3, 0.2], "none"),
    ],
)
def test_the_page_says_when_more_or_fewer_were_late_than_forecast(late, probability, surprise):
    past = build_past([past_day(late, probability)])
    assert past is not None
    assert past.surprise == surprise


def test_days_on_which_all_were_late_have_no_curve():
    past = build_past([past_day([1, 1], [0.9, 0.1])])
    assert past is not None
    assert (past.roc, str(past.model.auc)) == (None, "nan")
