"""A metric's number as the HPA takes it: tolerance, and the most of the scale-down window."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.arms.trigger import Held, asked_by_trigger


@pytest.mark.parametrize(
    ("value", "replicas", "asked"),
    [
        pytest.param(45.0, 47, 47, id="45 wanted and 47 there: within tolerance, 47 stay"),
        pytest.param(45.0, 42, 42, id="45 wanted and 42 there: within tolerance, 42 stay"),
        pytest.param(45.0, 40, 45, id="beyond tolerance it is what was wanted"),
        pytest.param(44.2, 20, 45, id="parts of a pod are a pod"),
        pytest.param(0.0, 5, 0, id="zero asks for nothing"),
        pytest.param(math.nan, 5, 0, id="no value asks for nothing"),
    ],
)
def test_a_trigger_asks_within_the_tolerance_of_the_hpa(
    value: float, replicas: int, asked: int
) -> None:
    assert asked_by_trigger(value, 1.0, replicas) == asked


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(0, 300))
def test_what_was_asked_is_held_for_the_window(asked: list[int], window_s: int) -> None:
    held = Held(window_s)
    found = [held.most(15.0 * place, count) for place, count in enumerate(asked)]
    back = window_s // 15
    assert found == [max(asked[max(place - back, 0) : place + 1]) for place in range(len(asked))]
