"""Compares ways of scaling at the same cost: the least violation for so many pod-hours.

Tables, pages and the control benchmark use it. A way of scaling is a set of points, one for each of
its settings; between two of them lies what a mixture in time of both would come to, so the frontier
is the lower convex hull. HPA alone is a point of every frontier: everybody can do nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from predictor.simulation.figures import ArmFigures, SimulationResult


class Point(NamedTuple):
    """What one setting costs and what it leaves."""

    pod_hours: float
    violation_minutes: float


def point_of(arm: ArmFigures) -> Point:
    """An arm at one setting."""
    return Point(arm.pod_hours, arm.violation_minutes)


def frontier(points: Iterable[Point]) -> tuple[Point, ...]:
    """The lower convex hull from the cheapest point to the one with the least violation.

    Source: A. M. Andrew, "Another efficient algorithm for convex hulls in two dimensions" (1979).
    """
    hull: list[Point] = []
    for point in sorted(set(points)):
        while len(hull) >= 2 and _turns_up(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    lowest = min(range(len(hull)), key=lambda place: hull[place].violation_minutes)
    return tuple(hull[: lowest + 1])


def _turns_up(first: Point, middle: Point, last: Point) -> bool:
    """Whether the middle lies on or above the line between its neighbours."""
    rise = (last.violation_minutes - first.violation_minutes) * (middle.pod_hours - first.pod_hours)
    run = (middle.violation_minutes - first.violation_minutes) * (last.pod_hours - first.pod_hours)
    return run >= rise


def violation_at(hull: Sequence[Point], pod_hours: float) -> float:
    """The least violation for at most so many pod-hours; infinite below the cheapest point."""
    if pod_hours < hull[0].pod_hours:
        return float("inf")
    for low, high in pairwise(hull):
        if pod_hours < high.pod_hours:
            share = (pod_hours - low.pod_hours) / (high.pod_hours - low.pod_hours)
            return low.violation_minutes + share * (high.violation_minutes - low.violation_minutes)
    return hull[-1].violation_minutes


def frontier_of(result: SimulationResult, arm: str) -> tuple[Point, ...]:
    """All settings of an arm, with HPA alone."""
    points = [point_of(one) for one in result.arms if one.arm in (arm, "hpa")]
    return frontier(points)
