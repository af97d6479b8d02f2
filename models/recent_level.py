"""The recent level of demand, seen with several memories at once.

`models/past_errors.py` asks for it at many past moments, `models/level_model.py` at the newest one;
the two share this code so that errors measured then hold for forecasts made now. It must never fill
a gap: a missing step has no weight.
"""

from __future__ import annotations

import numpy as np

from models.series import FloatArray
from models.step_windows import IntArray

MEMORIES_S = (90.0, 300.0, 1200.0)
"""Time constants of exponentially weighted means: a crowd within minutes, noise over twenty."""
TREND_SHARE = 0.7
"""How much of the distance between a quick and a slow mean is carried on: Brown's linear smoothing
("Statistical Forecasting for Inventory Control", 1959), damped."""
MEMBERS = len(MEMORIES_S) + 2
"""The memories, the trend, and the usual level of the last day."""
RECENT_S = 3600
RECENT_STEPS_MIN = 6
RECENT_STEPS_MAX = 240
HOUR_S = 3600
HOURS_IN_USUAL = 24


def recent_steps(step_s: int) -> int:
    """How many of the newest steps a level looks at: an hour, within bounds."""
    return min(max(round(RECENT_S / step_s), RECENT_STEPS_MIN), RECENT_STEPS_MAX)


def recent_weights(step_s: int) -> FloatArray:
    """Weight of each recent step, oldest first, in each memory; shape (recent, memories)."""
    age_s = step_s * np.arange(recent_steps(step_s))[::-1, None]
    return np.asarray(np.exp(-age_s / np.asarray(MEMORIES_S)))


def recent_levels(
    demand: FloatArray, expected: FloatArray, weights: FloatArray, usual: FloatArray
) -> FloatArray:
    """Demand over what the profile expected, in each member; (..., recent) gives (..., MEMBERS).

    `usual` (...) is the usual level, the member that does not follow a burst.

    A ratio of weighted sums, so a step in which little is expected counts little. NaN where nothing
    was measured.
    """
    measured = np.isfinite(demand)
    found = np.where(measured, demand, 0.0) @ weights
    wanted = np.where(measured, expected, 0.0) @ weights
    level = np.where(wanted > 0, found / np.where(wanted > 0, wanted, 1.0), np.nan)
    trend = level[..., 1] + TREND_SHARE * (level[..., 1] - level[..., 2])
    # A fall carried on must not reach zero within one window.
    trend = np.maximum(trend, 0.5 * level[..., 1])
    usual = np.where(np.isfinite(usual) & np.isfinite(level[..., 2]), usual, level[..., 2])
    return np.concatenate([level, trend[..., None], usual[..., None]], axis=-1)


def usual_levels(
    demand: FloatArray, expected: FloatArray, step_s: int, origins: IntArray
) -> FloatArray:
    """The median level of the 24 hours before each origin, shape (n, origins); NaN where unknown.

    The median of hourly levels, so that neither a burst nor an outage of some hours is usual.
    """
    measured = np.isfinite(demand)
    hour = max(round(HOUR_S / step_s), 1)
    edges = np.maximum(origins[:, None] - hour * np.arange(HOURS_IN_USUAL + 1), 0)
    found = _sums_between(np.where(measured, demand, 0.0), edges)
    wanted = _sums_between(np.where(measured, expected, 0.0), edges)
    hourly = np.sort(np.where(wanted > 0, found / np.where(wanted > 0, wanted, 1.0), np.nan))
    count = np.isfinite(hourly).sum(axis=2, keepdims=True)
    middle = np.take_along_axis(hourly, np.maximum((count - 1) // 2, 0), axis=2)
    return np.asarray(middle[:, :, 0])


def _sums_between(values: FloatArray, edges: IntArray) -> FloatArray:
    """Sums between neighbouring edges (origins, k + 1), newest first; shape (n, origins, k)."""
    total = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))[:, edges]
    return np.asarray(total[:, :, :-1] - total[:, :, 1:])
