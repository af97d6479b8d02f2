"""Quantiles of single steps that go with the quantiles of their window's peak.

`models/ensemble.py` calls it where it puts its own peak in the place of the cascade's. It must
never let a step go beyond the highest quantile of the peak.
"""

from __future__ import annotations

import numpy as np

from models.row_blocks import row_blocks
from models.series import FloatArray


def with_peak(steps: FloatArray, before: FloatArray, peak: FloatArray) -> FloatArray:
    """Steps (n, levels, h) that were forecast beside a peak of quantiles `before` (n, levels),
    moved to where the same probabilities lie in another one, `peak` (n, levels).

    Quantile mapping (Panofsky and Brier, "Some Applications of Statistics to Meteorology", 1958): a
    value takes the quantile that it had of the one distribution from the other. Where the two
    differ most in the tails, as on a flat load with bursts, a common factor would take the tail's
    change to the middle. Nothing is known below the lowest quantile: there its own factor holds.
    """
    blocks = row_blocks(len(peak))
    return np.concatenate([_moved(steps[some], before[some], peak[some]) for some in blocks])


def _moved(steps: FloatArray, before: FloatArray, peak: FloatArray) -> FloatArray:
    rows, levels, ahead = steps.shape
    value = steps.reshape(rows, levels * ahead)
    knots = range(levels)
    lower = sum((before[:, k, None] < value).astype(np.int8) for k in knots)
    upto = sum((before[:, k, None] <= value).astype(np.int8) for k in knots) - 1
    # Between two quantiles; on one, or on several of the same number: there a step keeps its own.
    own = np.repeat(np.arange(levels, dtype=np.int8), ahead)[None]
    below = np.maximum(np.minimum(np.maximum(own, lower), upto), 0)
    above = np.maximum(below, np.minimum(lower, levels - 1))
    left, right = (np.take_along_axis(before, at, axis=1) for at in (below, above))
    apart = right - left
    share = np.where(apart > 0, (value - left) / np.where(apart > 0, apart, 1.0), 1.0)
    low, high = (np.take_along_axis(peak, at, axis=1) for at in (below, above))
    least, lowest = before[:, :1], peak[:, :1]
    under = np.minimum(value, least) / np.where(least > 0, least, 1.0) * lowest
    moved = np.where(value < least, under, low + share * (high - low))
    # Rounding must neither lift a step above the whole peak nor make two of them cross.
    bounded = np.minimum(moved, peak[:, -1:]).reshape(steps.shape)
    return np.maximum.accumulate(bounded, axis=1)
