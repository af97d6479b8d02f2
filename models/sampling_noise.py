"""What counting only a sample of the requests adds to the uncertainty of a forecast.

`models/past_errors.py` and `models/ensemble_fit.py` measure how much of it the past errors hold
already, `models/level_model.py` and `models/ensemble.py` widen a forecast by what there is of it
now beyond that. So when senders begin to sample more coarsely the band is wider at once, and when
they sample more finely it becomes narrower as the errors do. It must never make a band narrower.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from models.origin_windows import before, recent_length
from models.recent_level import TREND_SHARE
from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray

MEMORY_STEPS = 2.0
"""The memory of a level that follows within minutes, as a half-life."""


def level_noise(
    variance: FloatArray,
    measured: FloatArray,
    expected: FloatArray,
    weights: FloatArray,
    usual: FloatArray,
) -> FloatArray:
    """The standard deviation that sampling gives each member of `recent_levels`.

    `variance`, `measured` (the demand, NaN where there is none) and `expected` have shape (...,
    recent), the result (..., members). Means of independent steps: their variances add up with the
    squared weights. The trend is bounded by its parts' sum, as if they erred together (Minkowski),
    and the median of a day is taken for exact.
    """
    known = np.isfinite(measured)
    wanted = np.where(known, expected, 0.0) @ weights
    found = np.sqrt(np.where(known, variance, 0.0) @ weights**2)
    noise = np.where(wanted > 0, found / np.where(wanted > 0, wanted, 1.0), 0.0)
    trend = (1.0 + TREND_SHARE) * noise[..., 1] + TREND_SHARE * noise[..., 2]
    of_usual = np.where(np.isfinite(usual), 0.0, noise[..., 2])
    return np.concatenate([noise, trend[..., None], of_usual[..., None]], axis=-1)


def recent_noise(batch: SeriesBatch, origins: IntArray) -> FloatArray:
    """The variance that sampling gives the newest steps' mean before each origin, shape (n,
    origins); zero where nothing was sampled."""
    if batch.sampling_variance is None:
        return np.zeros((len(batch.keys), len(origins)))
    length = recent_length(batch.step_s)
    known = np.isfinite(before(batch.values, origins, length))
    variance = before(batch.sampling_variance, origins, length)
    weights = 0.5 ** (np.arange(length)[::-1] / MEMORY_STEPS)
    weight = known @ weights
    sampled = np.where(known & np.isfinite(variance), variance, 0.0) @ weights**2
    return np.where(weight > 0, sampled / np.where(weight > 0, weight, 1.0) ** 2, 0.0)


def with_noise(
    offsets: FloatArray, excess: FloatArray, levels: tuple[float, ...], axis: int
) -> FloatArray:
    """Error quantiles along `axis` with so much variance more, shape of `offsets` without the axis.

    Independent errors: variances add. A quantile's distance from the median stands for its share of
    the standard deviation, as in a normal distribution, which the sum of many sampled requests is.
    """
    score = np.asarray([NormalDist().inv_cdf(level) for level in levels])
    shape = [1] * offsets.ndim
    shape[axis] = len(levels)
    score = score.reshape(shape)
    median = np.take(offsets, [levels.index(0.5)], axis=axis)
    added = np.expand_dims(excess, axis) * score**2
    distance = np.sqrt((offsets - median) ** 2 + added)
    return np.where(added > 0, median + np.sign(score) * distance, offsets)
