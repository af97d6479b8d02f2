"""Looks back from many moments of many series at once: recent levels, the same hour of past days.

`models/sight.py` calls it. An origin is the index of the first step that is not known yet; nothing
here may read a step at or after an origin, except `outcomes`, which is what came afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.series import FloatArray
from models.step_windows import MEASURED_SHARE_MIN, IntArray

HALF_LIVES_STEPS = (1.0, 2.0, 4.0, 12.0)
"""Memories of the recent level in steps: the last value nearly alone, to a dozen steps."""
LEVEL_HALF_LIFE_S = 1800.0
"""What everything is relative to: an hour's mean would lag a ramp, minutes are noise."""
RECENT_STEPS_MIN, RECENT_STEPS_MAX = 60, 240
"""Eight half-lives of the level, so that what is cut off weighs less than a half per cent."""
FEW_ENDS = 16
"""Up to here each stretch is copied by itself; what lies between them is then never touched."""


class Recent(NamedTuple):
    """The steps before each origin, shape (n, origins, recent), newest last, and their means.

    `means` (n, origins, memories) and `level` (n, origins) are NaN where nothing was measured.
    """

    steps: FloatArray
    means: FloatArray
    level: FloatArray

    @property
    def newest(self) -> FloatArray:
        """The last step before each origin, NaN where it was not measured."""
        return self.steps[:, :, -1]


def recent_length(step_s: int) -> int:
    """How many steps a level looks back."""
    return int(np.clip(round(8 * LEVEL_HALF_LIFE_S / step_s), RECENT_STEPS_MIN, RECENT_STEPS_MAX))


def level_half_life(step_s: int) -> float:
    """The half-life of the level in steps, at least two."""
    return max(LEVEL_HALF_LIFE_S / step_s, 1.0)


def recent(values: FloatArray, origins: IntArray, step_s: int) -> Recent:
    """What was known shortly before each origin; an origin before the first step sees nothing."""
    length = recent_length(step_s)
    steps = before(values, origins, length)
    half_lives = np.asarray((*HALF_LIVES_STEPS, level_half_life(step_s)))
    age = np.arange(length)[::-1, None]
    weights = 0.5 ** (age / half_lives)
    known = np.isfinite(steps)
    total = np.where(known, steps, 0.0) @ weights
    weight = known @ weights
    means = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
    return Recent(steps, means[:, :, :-1], means[:, :, -1])


def outcomes(values: FloatArray, origins: IntArray, first: int, stop: int) -> FloatArray:
    """The peak of steps origin + first to origin + stop - 1, shape (n, origins).

    NaN where it is not known yet or too little of it was measured.
    """
    hold = stop - first
    last = np.asarray(origins) + stop
    inside = (last <= values.shape[1]) & (np.asarray(origins) + first >= 0)
    found = np.full((values.shape[0], len(origins)), np.nan)
    if not inside.any():
        return found
    window = before(values, last[inside], hold)
    measured = np.isfinite(window)
    enough = measured.sum(axis=2) >= max(int(np.ceil(MEASURED_SHARE_MIN * hold)), 1)
    peak = np.where(measured, window, -np.inf).max(axis=2)
    found[:, inside] = np.where(enough, peak, np.nan)
    return found


def before(values: FloatArray, ends: IntArray, length: int) -> FloatArray:
    """The `length` steps before each end, shape (n, ends, length); NaN before the first step.

    In float64, however they are kept: what is read here is added up.
    """
    ends = np.asarray(ends)
    if len(ends) <= FEW_ENDS:
        return _one_by_one(values, ends, length)
    low = max(int(ends.min(initial=0)) - length, 0)
    high = max(int(ends.max(initial=0)), low)
    lead = max(low + length - max(int(ends.min(initial=0)), 0), 0)
    part = np.pad(values[:, low:high], ((0, 0), (lead, 0)), constant_values=np.nan)
    if part.shape[1] < length:
        part = np.pad(part, ((0, 0), (length - part.shape[1], 0)), constant_values=np.nan)
    place = ends - (high - part.shape[1]) - length
    windows = sliding_window_view(part, length, axis=1)[:, np.maximum(place, 0)]
    found = np.where((place >= 0)[None, :, None], windows, np.nan)
    return found.astype(np.float64, copy=False)


def _one_by_one(values: FloatArray, ends: IntArray, length: int) -> FloatArray:
    found = np.full((values.shape[0], len(ends), length), np.nan)
    for place, end in enumerate(ends.tolist()):
        known = min(end, length)
        if known > 0:
            found[:, place, length - known :] = values[:, end - known : end]
    return found
