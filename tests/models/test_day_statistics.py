from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.day_statistics import FEW_ORIGINS, day_statistics
from models.series import FloatArray
from models.step_windows import IntArray

RATES = st.one_of(st.just(math.nan), st.floats(0, 1000, allow_subnormal=False))
VALUES = st.tuples(st.integers(1, 2), st.integers(1, 40)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=RATES)
)


def by_hand(values: FloatArray, origins: IntArray, day: int) -> FloatArray:
    found = np.full((len(values), len(origins), 3), np.nan)
    for row, series in enumerate(values):
        for place, origin in enumerate(origins):
            past = series[max(origin - day, 0) : origin]
            past = past[np.isfinite(past)]
            if len(past):
                found[row, place] = past.mean(), past.std(), past.max()
    return found


@given(VALUES, st.integers(1, 15), st.data())
def test_the_day_before_is_what_a_plain_loop_finds_for_few_origins_and_for_many(
    values: FloatArray, day: int, data: st.DataObject
) -> None:
    some = st.integers(0, values.shape[1])
    drawn = data.draw(st.lists(some, min_size=FEW_ORIGINS + 1, max_size=2 * FEW_ORIGINS))

    for origins in (np.array(drawn), np.array(drawn[:FEW_ORIGINS])):
        found = day_statistics(values, origins, day)
        # A spread comes from a difference of squares: no more than half the digits are left.
        np.testing.assert_allclose(found, by_hand(values, origins, day), rtol=1e-9, atol=1e-4)


@given(VALUES, st.integers(1, 15), st.data())
def test_what_comes_at_or_after_an_origin_changes_nothing(
    values: FloatArray, day: int, data: st.DataObject
) -> None:
    origin = data.draw(st.integers(0, values.shape[1]))
    later = values.copy()
    later[:, origin:] = 9e9
    for count in (1, FEW_ORIGINS + 1):
        origins = np.linspace(0, origin, count).astype(np.int64)
        np.testing.assert_array_equal(
            day_statistics(values, origins, day), day_statistics(later, origins, day)
        )
