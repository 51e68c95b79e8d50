"""Where the marks of a chart go: numbers in, SVG coordinates out.

Pure. Colours and fonts are the style sheet's, so that a chart follows dark mode and print, and its
text has the size of the page's on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tac.flights.page_scores import Bin

WIDTH, HEIGHT = 360, 330
"""The coordinates of a chart; a phone shows them at about one pixel each."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 338, 10, 282
_SMALLEST_DOT, _LARGEST_DOT = 3.5, 9.0


@dataclass(frozen=True)
class Axis:
    """A straight scale from data to coordinates."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the coordinate of a value."""
        part = (value - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self, step: float) -> list[tuple[float, str]]:
        """Return the coordinates of every `step`, with the label in percent."""
        count = int((self.high - self.low) / step + 1e-9)
        values = [self.low + step * number for number in range(count + 1)]
        return [(self.at(value), f"{value:.0%}".replace("%", " %")) for value in values]


@dataclass(frozen=True)
class Frame:
    """The two axes of a chart, and the marks on them."""

    x: Axis
    y: Axis
    step: float

    @property
    def x_ticks(self) -> list[tuple[float, str]]:
        """The marks of the horizontal axis."""
        return self.x.ticks(self.step)

    @property
    def y_ticks(self) -> list[tuple[float, str]]:
        """The marks of the vertical axis."""
        return self.y.ticks(self.step)

    @property
    def diagonal(self) -> tuple[float, float, float, float]:
        """The line on which both axes say the same."""
        return self.x.start, self.y.start, self.x.end, self.y.end


@dataclass(frozen=True)
class Dot:
    """One bin of a calibration chart, with the bar of its interval."""

    x: float
    y: float
    radius: float
    low: float
    high: float
    title: str


@dataclass(frozen=True)
class CalibrationChart:
    """What was forecast against what happened."""

    frame: Frame
    dots: list[Dot]


@dataclass(frozen=True)
class Curve:
    """One line of a chart, as the points of an SVG polyline, and its name in the style sheet."""

    name: str
    points: str


@dataclass(frozen=True)
class RocChart:
    """Late flights found against false alarms."""

    frame: Frame
    curves: list[Curve]


def build_frame(highest: float, step: float) -> Frame:
    """Lay out a square of shares from 0 to the first `step` at or above `highest`."""
    top = min(max(-(-highest // step), 1) * step, 1.0)
    return Frame(Axis(0.0, top, _LEFT, _RIGHT), Axis(0.0, top, _BOTTOM, _TOP), step)


def build_calibration_chart(bins: Sequence[Bin]) -> CalibrationChart:
    """Draw one dot a bin, its size by the number of flights."""
    highest = max((max(one.interval[1], one.expected) for one in bins), default=1.0)
    frame = build_frame(highest, 0.1 if highest <= 0.6 else 0.2)  # noqa: PLR2004 # room for six labels
    most = max((one.flights for one in bins), default=1)
    return CalibrationChart(frame, [_dot(frame, one, most) for one in bins])


def _dot(frame: Frame, one: Bin, most: int) -> Dot:
    low, high = one.interval
    radius = _SMALLEST_DOT + (_LARGEST_DOT - _SMALLEST_DOT) * (one.flights / most) ** 0.5
    title = (
        f"forecast {one.expected:.0%}, happened {one.share:.0%}:"
        f" {one.late} of {one.flights} flights"
    ).replace("%", " %")
    return Dot(
        x=frame.x.at(one.expected),
        y=frame.y.at(one.share),
        radius=round(radius, 1),
        low=frame.y.at(low),
        high=frame.y.at(high),
        title=title,
    )


def build_roc_chart(curves: Iterable[tuple[str, list[tuple[float, float]]]]) -> RocChart:
    """Draw one line a model."""
    frame = build_frame(1.0, 0.2)
    return RocChart(frame, [Curve(name, _polyline(frame, points)) for name, points in curves])


def _polyline(frame: Frame, points: list[tuple[float, float]]) -> str:
    return " ".join(f"{frame.x.at(x):g},{frame.y.at(y):g}" for x, y in points)
