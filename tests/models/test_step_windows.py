from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.step_windows import step_windows, uniform_horizon, window_peaks
from tests.models.series_builders import a_horizon


@pytest.mark.parametrize(
    ("lead_s", "hold_s", "first", "stop"),
    [
        pytest.param(120, 600, 2, 12, id="whole steps"),
        pytest.param(45, 30, 0, 2, id="a window within two steps touches both"),
        pytest.param(0, 0, 0, 1, id="an empty window still has one step"),
        pytest.param(60, 0, 1, 2, id="an empty window lies where it begins"),
        pytest.param(0.1 * 600, 0.2 * 600 + 1e-12, 1, 3, id="float dust touches no further step"),
    ],
)
def test_window_is_every_step_it_touches(
    lead_s: float, hold_s: float, first: int, stop: int
) -> None:
    found = step_windows(uniform_horizon(1, lead_s, hold_s), 1, 60)

    assert (found.first[0], found.stop[0]) == (first, stop)


@pytest.mark.parametrize("lead_s", [-1.0, float("nan"), float("inf"), 1e6])
def test_impossible_horizon_is_refused_by_its_row(lead_s: float) -> None:
    horizon = a_horizon(3)
    horizon.lead_s[1] = lead_s

    with pytest.raises(ValueError, match="row 1"):
        step_windows(horizon, 3, 60)


def test_horizon_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="for 3 rows"):
        step_windows(a_horizon(2), 3, 60)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40), st.integers(1, 45))
def test_peak_is_the_highest_step_of_each_whole_window(values: list[float], hold: int) -> None:
    found = window_peaks(np.array([values]), hold)[0]

    for start in range(len(values)):
        if start + hold <= len(values):
            assert found[start] == max(values[start : start + hold])
        else:
            assert np.isnan(found[start])


def test_window_with_a_gap_of_more_than_a_fifth_has_no_peak() -> None:
    one_gap, three_gaps = np.ones(10), np.ones(10)
    one_gap[4], three_gaps[4:7] = np.nan, np.nan

    assert window_peaks(one_gap[None], 10)[0, 0] == 1.0
    assert np.isnan(window_peaks(three_gaps[None], 10)[0, 0])
