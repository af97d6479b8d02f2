"""Sums over many stretches of the same rows, from one running sum.

`models/outage.py`, `models/past_surprises.py` and `models/day_statistics.py` call it. It must never
be given NaN, which would be carried on to the end of its row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray
from models.step_windows import IntArray


def sums_before(values: NDArray[np.generic]) -> FloatArray:
    """The sum of all steps before each step, shape (n, steps + 1), in float64."""
    found = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, dtype=np.float64, out=found[:, 1:])
    return found


def sums_between(values: NDArray[np.generic], start: IntArray, stop: IntArray) -> FloatArray:
    """The sum of the steps [start, stop) of every row, for stretches (m,), shape (n, m)."""
    total = sums_before(values)
    return np.asarray(total[:, stop] - total[:, start])
