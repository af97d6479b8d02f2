"""Quantiles of past errors that keep their promise when there are few of them.

`models/past_errors.py` and `models/seasonal_naive.py` call it. Method: split conformal prediction
(Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005; Lei et al.,
"Distribution-Free Predictive Inference for Regression", JASA 2018). It must never see an error of
the window it is used for.
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray


def conformal_quantiles(
    errors: FloatArray, levels: tuple[float, ...], effective: FloatArray
) -> FloatArray:
    """Each row's error quantiles, shape (n, len(levels)), never falling with the level.

    `errors` is (n, m) with NaN for none. `effective` (n,) is how many of them count as independent
    (windows overlap). With k = effective, level q takes the ceil((k + 1) q) / k quantile. Where it
    is above one the errors are too few for the level: the largest is carried on as if the tail
    were exponential: heavier than noise, and bounded for any count. A row without errors is NaN.
    """
    ordered = np.sort(errors, axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    size = np.clip(effective, 1.0, np.maximum(count, 1))[:, None]
    level = np.asarray(levels)
    wanted = np.ceil((size + 1.0) * level - 1e-9) / size
    median = _at_share(ordered, count, np.full((len(count), 1), 0.5))
    largest = _at_share(ordered, count, np.ones((len(count), 1)))
    # The largest of k stands near the level k / (k + 1); of fewer than three it says too little.
    farther = np.log(0.5 / (1.0 - level)) / np.log(0.5 * (np.maximum(size, 3.0) + 1.0))
    beyond = np.where(wanted > 1.0, np.maximum(farther - 1.0, 0.0) * (largest - median), 0.0)
    quantiles = _at_share(ordered, count, np.minimum(wanted, 1.0)) + beyond
    return np.asarray(np.maximum.accumulate(quantiles, axis=1))


def _at_share(ordered: FloatArray, count: np.ndarray, share: FloatArray) -> FloatArray:
    """The value that a share of each row's sorted errors does not exceed; NaN in an empty row."""
    if ordered.shape[1] == 0:
        return np.full(share.shape, np.nan)
    rank = np.ceil(share * count[:, None] - 1e-9).astype(np.int64) - 1
    found = np.take_along_axis(ordered, np.clip(rank, 0, ordered.shape[1] - 1), axis=1)
    return np.where(count[:, None] > 0, found, np.nan)


def mean_pinball(
    outcome: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]
) -> FloatArray:
    """Each row's pinball loss, averaged over outcomes (n, m) and levels; NaN outcomes are left out.

    `quantiles` is (n, m, len(levels)). Koenker and Bassett, "Regression Quantiles", 1978.
    """
    over = outcome[:, :, None] - quantiles
    q = np.asarray(levels)
    loss = np.maximum(q * over, (q - 1.0) * over).mean(axis=2)
    count = np.isfinite(loss).sum(axis=1)
    return np.where(count > 0, np.nansum(loss, axis=1) / np.maximum(count, 1), np.inf)
