"""The frontier of each way of scaling as coordinates for a drawing.

`page.py` puts it into the page. It must never leave a point out that the figures hold.
"""

from __future__ import annotations

import math

import msgspec

from predictor.simulation.figures import NAMES, ArmFigures, SimulationResult
from predictor.simulation.frontier import Point, frontier_of

WIDTH, HEIGHT = 1132, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 1112, 28, 376
_COLOURS = (
    "#c1440e", "#2b7bba", "#9b6fd0", "#b8860b", "#008080", "#d63384", "#6c757d", "#795548",
    "#3f51b5", "#7cb342",
)  # fmt: skip
_OURS, _ALONE = "#0b6e4f", "#1b1f24"
_GRID_LINES = 5


class Dot(msgspec.Struct, frozen=True):
    """One setting."""

    x: float
    y: float
    title: str


class ArmDrawing(msgspec.Struct, frozen=True):
    """One way of scaling: its settings, and the line through those that none of its own beats."""

    name: str
    colour: str
    is_ours: bool
    line: str
    dots: tuple[Dot, ...]


class GridLine(msgspec.Struct, frozen=True):
    """A thin line with its number."""

    x1: float
    y1: float
    x2: float
    y2: float
    text_x: float
    text_y: float
    anchor: str
    label: str


class FrontierDrawing(msgspec.Struct, frozen=True):
    """All of the drawing."""

    height: int
    grid: tuple[GridLine, ...]
    arms: tuple[ArmDrawing, ...]


class _Scale(msgspec.Struct, frozen=True):
    low: float
    high: float
    first: float
    last: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.first + share * (self.last - self.first), 1)


def frontier_drawing(result: SimulationResult) -> FrontierDrawing | None:
    """The drawing; None where there is nothing to compare."""
    names = list(dict.fromkeys(one.arm for one in result.arms))
    if len(names) < 2:
        return None
    hours = [one.pod_hours for one in result.arms]
    minutes = max(one.violation_minutes for one in result.arms)
    spread = (max(hours) - min(hours)) or max(hours, default=1.0) or 1.0
    across = _Scale(min(hours) - 0.03 * spread, max(hours) + 0.03 * spread, _LEFT, _RIGHT)
    up = _Scale(0.0, 1.05 * minutes or 1.0, _BOTTOM, _TOP)
    colours = iter(_COLOURS * (len(names) // len(_COLOURS) + 1))
    chosen = {"ours": _OURS, "hpa": _ALONE}
    return FrontierDrawing(
        HEIGHT,
        (*_down(across), *_across(up)),
        tuple(_arm(name, chosen.get(name) or next(colours), result, across, up) for name in names),
    )


def _arm(
    name: str, colour: str, result: SimulationResult, across: _Scale, up: _Scale
) -> ArmDrawing:
    hull = frontier_of(result, name) if name != "hpa" else ()
    line = " ".join(f"{across.at(one.pod_hours)},{up.at(one.violation_minutes)}" for one in hull)
    dots = tuple(_dot(one, across, up) for one in result.arms if one.arm == name)
    return ArmDrawing(NAMES.get(name, name), colour, name == "ours", line, dots)


def _dot(arm: ArmFigures, across: _Scale, up: _Scale) -> Dot:
    point = Point(arm.pod_hours, arm.violation_minutes)
    title = f"{arm.label}: {point.violation_minutes:,.1f} min, {point.pod_hours:,.1f} pod-hours"
    return Dot(across.at(point.pod_hours), up.at(point.violation_minutes), title)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers inside, some five of them."""
    rough = (high - low) / _GRID_LINES
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough)
    first = math.ceil(low / step)
    return [step * number for number in range(first, math.floor(high / step) + 1)]


def _down(across: _Scale) -> list[GridLine]:
    return [
        GridLine(x, _TOP, x, _BOTTOM, x, _BOTTOM + 18, "middle", f"{value:,g}")
        for value in _ticks(across.low, across.high)
        for x in [across.at(value)]
    ]


def _across(up: _Scale) -> list[GridLine]:
    return [
        GridLine(_LEFT, y, _RIGHT, y, _LEFT - 8, y + 4, "end", f"{value:,g}")
        for value in _ticks(up.low, up.high)
        for y in [up.at(value)]
    ]
