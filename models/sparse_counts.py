"""Quantiles of few events: Poisson counts whose rate is itself uncertain.

`models/origin_run.py` and `models/ensemble.py` ask it for rows in which a step holds few events: a
continuous error says little where the outcome is 0, 1 or 2. The rate has a Gamma distribution from
the last dozen steps and the usual mean, so a step's count is negative binomial (Gamma-Poisson
conjugacy; with forgetting: Smith and Miller, "A Non-Gaussian State Space Model and Application to
Prediction of Records", 1986). It must never speak for a busy row: there it is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.series import FloatArray

KINDS = 2
"""Steady: as uncertain as the rate. Bursty: at least as wide as an exponential, for events that
come in clusters. Which of them fits a row is left to its losses."""
BURSTY_SIZE = 1.0
RECENT_STEPS = 17.8
"""What a mean with a half-life of twelve steps weighs, in steps: 1 / (1 - 0.5^(1/12))."""
USUAL_STEPS = 6.0
"""How many steps the usual mean weighs. On sparse counts of tweets 3 to 12 differ by a hundredth of
the loss."""
BUSY_COUNT = 16.0
"""More events than this in a step are as good as continuous."""
COUNTS_MAX = 128
"""No quantile is above so many events a step: eight times what is busy."""
RATE_MIN = 1e-3
"""Events a step: a row that was silent for days may still get one."""
CELLS_AT_ONCE = 2_000_000
"""Bounds memory: 16 MB for each array on the way."""


def count_quantiles(
    recent: FloatArray, usual: FloatArray, unit: FloatArray, hold: int, levels: FloatArray
) -> FloatArray:
    """Quantiles of the highest of `hold` steps, shape (..., KINDS, levels), in units of a rate.

    `recent` and `usual` (...) are mean rates of the last dozen steps and of days, `unit` (...) the
    rate of one event a step; zero, NaN or a busy row gives NaN.
    """
    shape = (*recent.shape, KINDS, len(levels))
    flat = np.full((recent.size, KINDS, len(levels)), np.nan)
    rate = (RECENT_STEPS * recent + USUAL_STEPS * usual) / (RECENT_STEPS + USUAL_STEPS)
    one = np.where(unit > 0, unit, np.nan)
    count = (rate / one).ravel()
    few = np.flatnonzero(np.isfinite(count) & (count <= BUSY_COUNT))
    at_once = CELLS_AT_ONCE // COUNTS_MAX
    wanted = levels ** (1.0 / hold)
    for begin in range(0, len(few), at_once):
        chosen = few[begin : begin + at_once]
        mean = np.maximum(count[chosen], RATE_MIN)
        size = mean * (RECENT_STEPS + USUAL_STEPS)
        for kind, of_kind in enumerate((size, np.minimum(size, BURSTY_SIZE))):
            flat[chosen, kind] = _quantiles(mean, of_kind, wanted)
    return np.asarray(flat.reshape(shape) * one[..., None, None])


def _quantiles(mean: FloatArray, size: FloatArray, levels: FloatArray) -> FloatArray:
    """The least counts whose distribution function reaches each level, shape (m, levels)."""
    below = _distribution(mean, size)
    return np.stack([(below < level - 1e-12).sum(axis=1) for level in levels], axis=1).astype(
        np.float64
    )


def _distribution(mean: FloatArray, size: FloatArray) -> NDArray[np.float64]:
    """P(count <= k) for k < COUNTS_MAX of negative binomials, shape (m, COUNTS_MAX)."""
    k = np.arange(1, COUNTS_MAX)
    share = (mean / (mean + size))[:, None]
    steps = np.empty((len(mean), COUNTS_MAX))
    steps[:, 0] = (size / (mean + size)) ** size
    steps[:, 1:] = (k - 1 + size[:, None]) / k * share
    return np.asarray(np.cumsum(np.cumprod(steps, axis=1), axis=1))
