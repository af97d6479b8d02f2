"""Keeps a quantile honest online: shifts it up after a miss and down, by less, after a cover.

`models/quantile_mix.py` calls it for each member and for their mix. It must never use an outcome
before its window was over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.row_state import RowState
from models.series import FloatArray

TAIL_GAIN_MAX = 5.0
"""A far quantile is missed rarely; its steps are as much larger as its misses are rarer, up to
this."""
MAGNITUDE_MEMORY = 0.01
MAGNITUDE_MAX = 5.0
"""Distances are about one where the scale is right; a burst must not make every later step huge."""


@dataclass(frozen=True, slots=True)
class Tracker(RowState):
    """Conformal quantile tracking (Angelopoulos, Candes and Tibshirani, "Conformal PID Control for
    Time Series Prediction", 2023, the P part; Gibbs and Candes, "Adaptive Conformal Inference Under
    Distribution Shift", 2021, for its coverage under drift).

    `shift` (n, ..., levels) is added to a quantile in units of its row's scale. Steps are a share
    `rate` of `magnitude` (n, ...), the mean distance of outcomes from the median in that unit.
    """

    shift: FloatArray
    magnitude: FloatArray
    weight: FloatArray

    def learn(
        self, missed_by: FloatArray, levels: FloatArray, rate: float | FloatArray, median: int
    ) -> Tracker:
        """Take in (outcome - quantile) / scale (n, ..., levels) of quantiles without the shift;
        a row of NaN changes nothing. Axes before the last spread as numpy's do, `rate` too."""
        known = np.asarray(np.isfinite(missed_by).all(axis=-1))
        distance = np.minimum(np.abs(missed_by[..., median]), MAGNITUDE_MAX)
        memory = np.where(known, 1.0 - MAGNITUDE_MEMORY, 1.0)
        added = np.where(known, MAGNITUDE_MEMORY, 0.0)
        magnitude = memory * self.magnitude + added * np.where(known, distance, 0.0)
        weight = memory * self.weight + added
        gain = np.minimum(1.0 / np.sqrt(levels * (1.0 - levels)), TAIL_GAIN_MAX)
        step = rate * (magnitude / np.where(weight > 0, weight, 1.0))[..., None] * gain
        above = (missed_by > self.shift).astype(np.float64)
        moved = self.shift + step * (above - (1.0 - levels))
        return Tracker(np.where(known[..., None], moved, self.shift), magnitude, weight)


def new_tracker(shape: tuple[int, ...], levels: int) -> Tracker:
    """No shift yet; `shape` is (n, ...)."""
    return Tracker(np.zeros((*shape, levels)), np.zeros(shape), np.zeros(shape))
