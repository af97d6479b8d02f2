"""Finds whose demand leads whose, along the calls between modules.

`models/ensemble_fit.py` and `models/rolling_origins.py` call it; what a link says at an origin is
worked out in `models/upstream_columns.py`. A callee is linked to a caller where the caller's growth
tells the callee's growth `lag` steps later, and tells it better, on steps held back, than both the
callee's last value and the callee's own growth do (Granger, "Investigating Causal Relations by
Econometric Models and Cross-spectral Methods", Econometrica 37, 1969). All growth is that beyond
the mean of the hours around it: a day's wave that two modules share is no lead. It must never look
beyond the end of the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.series import FloatArray, SeriesBatch
from models.step_windows import IntArray

SMOOTH_STEPS = 3
"""The newest value is the mean of three steps: one step of counts is mostly noise."""
WAVE_STEPS = 60
"""What moves more slowly than so many steps to either side is a wave, not a lead."""
LAG_STEPS_MAX = 30
LAGS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24, 27, 30)
"""Every lag while they are short, then some: neighbouring long ones tell the same growth."""
GAIN_MAX = 1.5
"""Demand at a callee does not grow faster than what calls it, but for noise in the caller."""
GAIN_MIN = 0.1
HELD_BACK_SHARE = 0.3
MARGIN = 0.05
"""A link takes at least a twentieth off the error, or it is not worth its place."""
PAIRS_MIN = 300
ORIGINS_MAX = 5000
"""Origins that a link is found by, spread evenly over the history."""
GROWTH_MAX = 2.0
"""Growth beyond e^2 within a lag is a restart or a gap's edge, and tells nothing."""
FLOOR_SHARE = 0.05


class UpstreamLink(NamedTuple):
    """The row `caller` leads the row `callee` by `lag_steps`; growth is passed on times `gain`.

    `skill` is the share of the last value's absolute error that the link took away on held-back
    steps. `floor` is a rate (the caller's) that is added so that growth from nothing is bounded.
    """

    callee: int
    caller: int
    lag_steps: int
    gain: float
    skill: float
    floor: float


def find_links(history: SeriesBatch, pairs: Sequence[tuple[int, int]]) -> tuple[UpstreamLink, ...]:
    """The best accepted link of each callee, at most one each, in the order of the rows.

    `pairs` are the rows (callee, caller) to be tried, see `models/upstream_pairs.py`; each costs
    some milliseconds.
    """
    origins = spread_origins(history.values.shape[1], ORIGINS_MAX)
    if len(origins) < PAIRS_MIN or not pairs:
        return ()
    rows = np.unique(np.asarray(pairs))
    floors = growth_floors(history.values[rows], history.step_s)
    newest = without_wave(trailing_log_means(history.values[rows], floors, SMOOTH_STEPS)[0])
    place = {int(row): number for number, row in enumerate(rows)}
    best: dict[int, UpstreamLink] = {}
    for callee, caller in pairs:
        found = _best_link(newest[place[callee]], newest[place[caller]], origins)
        if found is None:
            continue
        link = UpstreamLink(callee, caller, *found, floor=float(floors[place[caller]]))
        if callee not in best or link.skill > best[callee].skill:
            best[callee] = link
    return tuple(best[callee] for callee in sorted(best))


def spread_origins(steps: int, most: int) -> IntArray:
    """Origins at which both a lag before and a lag after lie within the history."""
    first, last = LAG_STEPS_MAX + SMOOTH_STEPS, steps - LAG_STEPS_MAX
    if last <= first:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.linspace(first, last, min(last - first, most)).astype(np.int64))


def _best_link(
    callee: FloatArray, upstream: FloatArray, origins: IntArray
) -> tuple[int, float, float] | None:
    """Lag, gain and skill of the pair; None unless it beats both bars on the held-back steps.

    The lag is chosen on the older steps alone, where it explains the most of what the callee's own
    growth leaves. Between the two parts a gap of a lag keeps their windows apart.
    """
    cut = int(len(origins) * (1.0 - HELD_BACK_SHARE))
    old = origins[:cut]
    held_back = origins[origins >= old[-1] + 2 * LAG_STEPS_MAX]
    explained = {lag: _explained(callee, upstream, old, lag) for lag in LAGS}
    near = max(explained, key=lambda lag: explained[lag])
    for lag in {max(near - 1, 1), min(near + 1, LAG_STEPS_MAX)} - explained.keys():
        explained[lag] = _explained(callee, upstream, old, lag)
    best_lag = max(explained, key=lambda lag: explained[lag])
    if explained[best_lag] <= 0.0:
        return None
    gain, own = _slopes(_growths(callee, upstream, old, best_lag))
    growth = _growths(callee, upstream, held_back, best_lag)
    if len(growth.coming) < PAIRS_MIN // 3 or not GAIN_MIN <= gain <= GAIN_MAX:
        return None
    error = _error(growth.coming - gain * growth.upstream)
    last_value, own_error = _error(growth.coming), _error(growth.coming - own * growth.own)
    if error > (1.0 - MARGIN) * min(last_value, own_error):
        return None
    return best_lag, gain, 1.0 - error / max(last_value, 1e-12)


def _explained(callee: FloatArray, upstream: FloatArray, origins: IntArray, lag: int) -> float:
    """The share of error that the caller's growth takes off what the callee's own leaves."""
    growth = _growths(callee, upstream, origins, lag)
    if len(growth.coming) < PAIRS_MIN:
        return 0.0
    gain, own = _slopes(growth)
    left = _error(growth.coming - own * growth.own)
    return 1.0 - _error(growth.coming - gain * growth.upstream) / max(left, 1e-12)


class _Growths(NamedTuple):
    """Log growth over a lag, before or after an origin; shape (pairs,), all finite."""

    coming: FloatArray
    own: FloatArray
    upstream: FloatArray


def _growths(callee: FloatArray, upstream: FloatArray, origins: IntArray, lag: int) -> _Growths:
    now = at_origins(callee, origins)
    coming = at_origins(callee, origins + lag) - now
    own = now - at_origins(callee, origins - lag)
    led = at_origins(upstream, origins) - at_origins(upstream, origins - lag)
    all_three = np.stack([coming, own, led])
    usable = np.isfinite(all_three).all(axis=0) & (np.abs(all_three) <= GROWTH_MAX).all(axis=0)
    return _Growths(*all_three[:, usable])


def _slopes(growth: _Growths) -> tuple[float, float]:
    """The least-squares slopes through the origin of coming growth on upstream's and on its own."""
    led, own = growth.upstream, growth.own
    return (
        float(growth.coming @ led) / max(float(led @ led), 1e-12),
        float(growth.coming @ own) / max(float(own @ own), 1e-12),
    )


def _error(residual: FloatArray) -> float:
    return float(np.abs(residual).mean())


def growth_floors(values: FloatArray, step_s: int) -> FloatArray:
    """A rate (n,) below which growth is noise: a twentieth of the mean, or a request a step."""
    measured = np.isfinite(values)
    mean = np.where(measured, values, 0.0).sum(axis=1) / np.maximum(measured.sum(axis=1), 1)
    return np.asarray(np.maximum(FLOOR_SHARE * mean, 1.0 / step_s))


def trailing_log_means(
    values: FloatArray, floor: FloatArray, *widths: int
) -> tuple[FloatArray, ...]:
    """Log of the mean of the `widths` steps before each origin, each of shape (n, steps + 1).

    NaN where less than half of them is measured, and before the first whole width.
    """
    rows, steps = values.shape
    measured = np.isfinite(values)
    sums, counts = np.zeros((2, rows, steps + 1))
    np.cumsum(np.where(measured, values, 0.0), axis=1, out=sums[:, 1:])
    np.cumsum(measured, axis=1, out=counts[:, 1:])
    return tuple(_log_mean(sums, counts, floor, width) for width in widths)


def _log_mean(sums: FloatArray, counts: FloatArray, floor: FloatArray, width: int) -> FloatArray:
    log_mean = np.full(sums.shape, np.nan)
    if sums.shape[1] <= width:
        return log_mean
    count = counts[:, width:] - counts[:, :-width]
    mean = (sums[:, width:] - sums[:, :-width]) / np.maximum(count, 1)
    # A running sum leaves a rounding error below zero where demand is zero.
    level = np.maximum(mean, 0.0) + floor[:, None]
    log_mean[:, width:] = np.where(2 * count >= width, np.log(level), np.nan)
    return log_mean


def without_wave(rows: FloatArray) -> FloatArray:
    """Rows (n, m) less the mean of what is known in the `WAVE_STEPS` to either side.

    Of a past that is over, both sides are known; of the newest moment only one would be.
    """
    known = np.isfinite(rows)
    sums, counts = np.zeros((2, len(rows), rows.shape[1] + 1))
    np.cumsum(np.where(known, rows, 0.0), axis=1, out=sums[:, 1:])
    np.cumsum(known, axis=1, out=counts[:, 1:])
    at = np.arange(rows.shape[1])
    first, stop = np.maximum(at - WAVE_STEPS, 0), np.minimum(at + WAVE_STEPS + 1, len(at))
    count = np.maximum(counts[:, stop] - counts[:, first], 1.0)
    return np.asarray(rows - (sums[:, stop] - sums[:, first]) / count)


def at_origins(log_means: FloatArray, origins: IntArray) -> FloatArray:
    """The entries of these origins; NaN before the first."""
    return np.where(origins >= 0, log_means[np.maximum(origins, 0)], np.nan)
