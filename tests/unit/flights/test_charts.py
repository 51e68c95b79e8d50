import pytest

from tac.flights.charts import (
    HEIGHT,
    WIDTH,
    Axis,
    Curve,
    build_calibration_chart,
    build_frame,
    build_roc_chart,
)
from tac.flights.page_scores import Bin


def test_an_axis_maps_its_ends_to_its_ends():
    axis = Axis(0.0, 0.5, 300, 10)
    assert [axis.at(value) for value in (0.0, 0.25, 0.5)] == [300, 155, 10]


@pytest.mark.parametrize(
    ("highest", "step", "labels"),
    [
        (0.31, 0.1, ["0 %", "10 %", "20 %", "30 %", "40 %"]),
        (0.3, 0.1, ["0 %", "10 %", "20 %", "30 %"]),
        (0.0, 0.1, ["0 %", "10 %"]),
        (1.0, 0.2, ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]),
    ],
)
def test_a_frame_ends_at_a_whole_step(highest, step, labels):
    frame = build_frame(highest, step)
    assert [label for _, label in frame.x_ticks] == labels
    assert [label for _, label in frame.y_ticks] == labels


def test_dots_lie_at_forecast_and_outcome_within_the_chart():
    chart = build_calibration_chart([Bin(0.1, 0.15, 400, 60, 0.12), Bin(0.5, 1.0, 25, 20, 0.6)])
    assert [dot.title for dot in chart.dots] == [
        "forecast 12 %, happened 15 %: 60 of 400 flights",
        "forecast 60 %, happened 80 %: 20 of 25 flights",
    ]
    few, many = chart.dots[1], chart.dots[0]
    assert many.radius > few.radius
    for dot in chart.dots:
        assert 0 < dot.x < WIDTH
        assert 0 < dot.high <= dot.y <= dot.low < HEIGHT


def test_a_chart_without_bins_is_an_empty_frame():
    assert build_calibration_chart([]).dots == []


def test_a_curve_is_drawn_from_corner_to_corner():
    chart = build_roc_chart([("model", [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)])])
    x1, y1, x2, y2 = chart.frame.diagonal
    assert chart.curves == [Curve("model", f"{x1},{y1} {x1},{y2} {x2},{y2}")]
