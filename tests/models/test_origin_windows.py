from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.origin_windows import before, outcomes, recent, recent_length
from models.series import FloatArray

RATES = st.one_of(st.just(math.nan), st.floats(0, 1e6))


def some_values(rows: int = 2, steps: int = 24) -> st.SearchStrategy[FloatArray]:
    sizes = st.tuples(st.integers(1, rows), st.integers(1, steps))
    return sizes.flatmap(lambda shape: arrays(np.float64, shape, elements=RATES))


def window_of(row: FloatArray, begin: int, end: int) -> list[float]:
    return [row[at] if 0 <= at < len(row) else math.nan for at in range(begin, end)]


@given(some_values(), st.integers(1, 30), st.data())
def test_steps_before_an_end_are_those_a_plain_loop_finds(
    values: FloatArray, length: int, data: st.DataObject
) -> None:
    ends = data.draw(st.lists(st.integers(-9, values.shape[1]), min_size=1, max_size=12))

    found = before(values, np.array(ends), length)

    for row, series in enumerate(values):
        for place, end in enumerate(ends):
            wanted = window_of(series, end - length, end)
            np.testing.assert_array_equal(found[row, place], wanted)


@given(some_values(), st.integers(0, 5), st.integers(1, 8), st.data())
def test_outcome_is_the_peak_of_a_window_that_is_over_and_mostly_measured(
    values: FloatArray, first: int, hold: int, data: st.DataObject
) -> None:
    origins = data.draw(st.lists(st.integers(0, values.shape[1] + 3), min_size=1, max_size=12))

    found = outcomes(values, np.array(origins), first, first + hold)

    for row, series in enumerate(values):
        for place, origin in enumerate(origins):
            window = window_of(series, origin + first, origin + first + hold)
            known = [value for value in window if not math.isnan(value)]
            over = origin + first + hold <= len(series)
            enough = over and len(known) >= max(math.ceil(0.8 * hold), 1)
            np.testing.assert_equal(found[row, place], max(known) if enough else math.nan)


@pytest.mark.parametrize("step_s", [10, 60, 300])
def test_steady_demand_has_that_level_in_every_memory_and_across_gaps(step_s: int) -> None:
    values = np.full((1, 400), 7.0)
    values[0, 100:140:3] = np.nan

    seen = recent(values, np.array([1, 5, 141, 400]), step_s)

    assert seen.means == pytest.approx(7.0)
    assert seen.level == pytest.approx(7.0)


def test_levels_before_the_first_measurement_are_unknown_not_zero() -> None:
    values = np.full((1, 400), np.nan)
    values[0, 300:] = 0.0

    seen = recent(values, np.array([0, 300, 301]), 60)

    assert np.isnan(seen.level[0]).tolist() == [True, True, False]
    assert seen.level[0, 2] == 0.0


def test_a_level_looks_back_a_bounded_number_of_steps_whatever_the_step() -> None:
    assert [recent_length(step_s) for step_s in (1, 60, 300, 3600)] == [240, 240, 60, 60]
