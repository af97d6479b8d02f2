"""Ways of scaling compared at the same cost."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from predictor.simulation.frontier import Point, frontier, violation_at

ALONE = Point(100.0, 50.0)
POINTS = st.lists(st.builds(Point, st.floats(50, 500), st.floats(0, 500)), min_size=1, max_size=12)


def test_a_setting_that_another_one_beats_is_not_on_the_frontier() -> None:
    dear_and_bad = Point(130.0, 40.0)

    assert frontier([ALONE, dear_and_bad, Point(120.0, 10.0)]) == (ALONE, Point(120.0, 10.0))


def test_between_two_settings_lies_what_a_mixture_of_both_would_come_to() -> None:
    hull = frontier([ALONE, Point(120.0, 10.0)])

    assert violation_at(hull, 110.0) == 30.0
    assert violation_at(hull, 500.0) == 10.0
    assert math.isinf(violation_at(hull, 99.0))


@given(points=POINTS, cost=st.floats(50, 500))
def test_no_single_setting_is_better_than_the_frontier(points: list[Point], cost: float) -> None:
    hull = frontier(points)
    affordable = [one.violation_minutes for one in points if one.pod_hours <= cost]

    if affordable:
        assert violation_at(hull, cost) <= min(affordable) * (1 + 1e-9) + 1e-9


@given(points=POINTS)
def test_paying_more_never_brings_more_violation(points: list[Point]) -> None:
    hull = frontier(points)

    assert all(low.violation_minutes >= high.violation_minutes for low, high in pairwise(hull))
