"""Mean, spread and highest of the day before each origin, for many origins at once.

`models/sight.py` calls it. It must never read a step at or after an origin.
"""

from __future__ import annotations

import numpy as np

from models.origin_windows import before
from models.running_sums import sums_between
from models.series import FloatArray
from models.step_windows import IntArray

FEW_ORIGINS = 8
"""Up to here a day's steps are looked at one by one; beyond it running sums are quicker."""


def day_statistics(values: FloatArray, origins: IntArray, day: int) -> FloatArray:
    """Mean, standard deviation and maximum, shape (n, origins, 3); NaN where nothing is known.

    A day that reaches before the first step is as much of a day as there is. The cost grows with
    the stretch that the origins span, not with their number.
    """
    if len(origins) <= FEW_ORIGINS:
        return _of_windows(before(values, origins, day))
    low = max(int(origins.min(initial=0)) - day, 0)
    part = values[:, low : max(int(origins.max(initial=0)), low)].astype(np.float64, copy=False)
    known = np.isfinite(part)
    filled = np.where(known, part, 0.0)
    stop = np.clip(origins - low, 0, part.shape[1])
    start = np.maximum(stop - day, 0)
    count, total, squares = (
        sums_between(array, start, stop) for array in (known.astype(np.float64), filled, filled**2)
    )
    count = np.where(count > 0, count, np.nan)
    mean = total / count
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    highest = _highest(np.where(known, part, -np.inf), start, stop)
    return np.stack([mean, spread, np.where(np.isfinite(highest), highest, np.nan)], axis=2)


def _of_windows(windows: FloatArray) -> FloatArray:
    known = np.isfinite(windows)
    filled = np.where(known, windows, 0.0)
    total = known.sum(axis=2).astype(np.float64)
    count = np.where(total > 0, total, np.nan)
    mean = filled.sum(axis=2) / count
    spread = np.sqrt(np.maximum((filled**2).sum(axis=2) / count - mean**2, 0.0))
    highest = np.where(known, windows, -np.inf).max(axis=2, initial=-np.inf)
    return np.stack([mean, spread, np.where(total > 0, highest, np.nan)], axis=2)


def _highest(array: FloatArray, start: IntArray, stop: IntArray) -> FloatArray:
    """The highest between each start and stop: two overlapping runs of a power of two long."""
    found = np.full((array.shape[0], len(start)), -np.inf)
    length = stop - start
    runs, width = array, 1
    while width <= int(length.max(initial=0)):
        here = (length >= width) & (length < 2 * width)
        if here.any():
            found[:, here] = np.maximum(runs[:, start[here]], runs[:, stop[here] - width])
        runs = np.maximum(runs[:, :-width], runs[:, width:]) if runs.shape[1] > width else runs
        width *= 2
    return found
