"""Past demand as one series: moments, stretches, periods, gaps."""

from __future__ import annotations

import math

import numpy as np

from predictor.arms.arm import Scene
from predictor.arms.known_demand import KnownDemand, filled, in_periods, pods_for
from tests.arms.arm_scenes import MONDAY_S, a_learnt


def a_split() -> tuple[KnownDemand, Scene]:
    """1 to 4 learnt, an unknown step, 6 and 7 seen: steps of ten minutes from Monday."""
    learnt = a_learnt(np.array([1.0, 2.0, 3.0, 4.0]))
    scene = Scene(MONDAY_S + 4200, np.array([6.0, 7.0]), MONDAY_S + 4200, 600, 1, 1, 1)
    return KnownDemand(learnt), scene


def test_a_stretch_reaches_back_into_what_was_learnt() -> None:
    known, scene = a_split()
    expected = [np.nan, 1.0, 2.0, 3.0, 4.0, np.nan, 6.0, 7.0]
    np.testing.assert_array_equal(known.last(scene, 8 * 600 + 599), expected)


def test_a_moment_has_the_rate_of_the_last_step_that_had_ended() -> None:
    known, scene = a_split()
    asked = [MONDAY_S + second for second in (599, 600, 1199, 3600, 4200)]
    found = [known.at(scene, time_s) for time_s in asked]
    np.testing.assert_array_equal(found, [np.nan, 1.0, 1.0, 6.0, 7.0])
    assert math.isnan(known.at(scene, MONDAY_S + 4800.0))


def test_periods_end_on_their_own_multiples_and_count_what_is_known() -> None:
    values = np.array([9.0, 1.0, np.nan, 3.0, 5.0, np.nan, np.nan, 8.0])
    means, end_s = in_periods(values, 4860, 60, 120)
    peaks, _ = in_periods(values, 4860, 60, 120, peak=True)
    assert end_s == 4800
    np.testing.assert_array_equal(means, [1.0, 4.0, np.nan])
    np.testing.assert_array_equal(peaks, [1.0, 5.0, np.nan])


def test_a_gap_takes_the_value_before_it() -> None:
    assert filled(np.array([np.nan, 2.0, np.nan, np.nan, 5.0])).tolist() == [2.0, 2.0, 2.0, 5.0]
    assert filled(np.array([np.nan])).size == 0


def test_pods_are_whole_and_unknown_demand_needs_none() -> None:
    assert [pods_for(rate, 10.0) for rate in (0.0, 0.1, 10.0, 10.1, math.nan, math.inf)] == [
        0,
        1,
        1,
        2,
        0,
        0,
    ]
