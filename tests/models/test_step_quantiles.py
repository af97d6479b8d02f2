"""Steps that are moved to where the same probabilities lie in another peak."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from models.row_blocks import ROWS_AT_ONCE
from models.series import FloatArray
from models.step_quantiles import with_peak

RATES = st.floats(0.0, 1e12) | st.integers(0, 3).map(float)
LEVELS, AHEAD = 7, 4


def ordered(shape: tuple[int, ...]) -> st.SearchStrategy[FloatArray]:
    return arrays(np.float64, shape, elements=RATES).map(lambda made: np.sort(made, axis=1))


def test_a_burst_that_the_peak_no_longer_fears_leaves_the_quiet_steps_where_they_are() -> None:
    """A common factor would have told 4/s of a load that stands at 10/s."""
    steps = np.full((1, LEVELS, AHEAD), 10.0)
    steps[0, -1] = 90.0
    before = np.array([[9.0, 10.0, 11.0, 20.0, 50.0, 80.0, 100.0]])
    peak = np.array([[9.0, 10.0, 11.0, 12.0, 20.0, 30.0, 40.0]])

    moved = with_peak(steps, before, peak)

    assert_allclose(moved[0, :-1], 10.0)
    assert_allclose(moved[0, -1], 35.0)


def test_a_load_that_doubles_doubles_its_steps() -> None:
    before = np.array([[10.0, 12.0, 13.0, 15.0, 17.0, 19.0, 25.0]])
    steps = np.stack([0.7 * before, 0.9 * before, before], axis=2)

    assert_allclose(with_peak(steps, before, 2.0 * before), 2.0 * steps)


def test_where_all_quantiles_are_one_number_a_step_keeps_its_own_level() -> None:
    idle = np.zeros((1, LEVELS))
    peak = np.arange(LEVELS)[None] / 10

    assert_allclose(with_peak(idle[:, :, None], idle, peak)[:, :, 0], peak)


def test_a_step_above_the_whole_peak_has_its_top() -> None:
    peak = np.arange(1.0, 8.0)[None]

    assert (with_peak(np.full((1, LEVELS, 1), 99.0), peak / 2, peak) == 7.0).all()


def test_rows_of_another_block_are_moved_as_if_they_were_alone() -> None:
    generator = np.random.default_rng(0)
    steps = np.sort(generator.gamma(2.0, size=(ROWS_AT_ONCE + 3, LEVELS, 2)), axis=1)
    before = steps.max(axis=2) + 0.1
    peak = np.sort(before * generator.uniform(0.5, 2.0, before.shape), axis=1)

    alone = with_peak(steps[-1:], before[-1:], peak[-1:])

    assert_allclose(with_peak(steps, before, peak)[-1:], alone)


@given(ordered((3, LEVELS, AHEAD)), ordered((3, LEVELS)), ordered((3, LEVELS)))
def test_steps_stay_ordered_and_within_the_peak(
    steps: FloatArray, before: FloatArray, peak: FloatArray
) -> None:
    moved = with_peak(steps, before, peak)

    assert np.isfinite(moved).all()
    assert (moved >= 0).all()
    assert (np.diff(moved, axis=1) >= 0).all()
    assert (moved <= peak[:, -1:, None]).all()
