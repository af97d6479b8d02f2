"""What the peers with trees see of the past, and how one of them corrects its quantiles.

`trees.py` uses it. Every feature at a step is known once the step is over, and so is every miss
that a quantile is shifted by.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d

from scripts.forecast_peers.past import Past, Window, lagged
from scripts.forecast_peers.request import LEVELS, FloatArray

STEP_LAGS = (0, 1, 2, 3, 4, 5, 7, 9, 11)
PEAK_DAYS, LOAD_DAYS = (1, 2, 7), (1, 7)
SPANS = (3, 12, 36)
"""Steps over which mean, spread and maximum are features; a day is one more."""
LAG_SHARE = 0.6
"""A lag that reaches further back than this share of the series is no feature."""
MISSES = 600
MISSES_MIN = 60


def features(past: Past, window: Window, level: FloatArray | None) -> FloatArray:
    """What is known at each step, shape (steps, features); relative to `level` where there is one.

    Time of day and day of week of the window's end, newest loads, what came a day and a week
    before, and mean, spread and maximum of the load over some spans.
    """
    load, day = past.load, past.day
    end = np.arange(len(load)) + window.reach
    calendar = [
        wave(2 * np.pi * end * harmonic / day)
        for harmonic in (1, 2, 3)
        for wave in (np.sin, np.cos)
    ]
    loads = [lagged(load, steps) for steps in STEP_LAGS]
    for of, days in ((window.peak, PEAK_DAYS), (load, LOAD_DAYS)):
        loads += [lagged(of, k * day) for k in days if (k + 1) * day < LAG_SHARE * len(load)]
    for span in (*SPANS, day):
        loads += _rolling(load, span)
    if level is None:
        return np.column_stack([*calendar, (end // day) % 7, *loads])
    relative = [one / level for one in loads]
    return np.column_stack([*calendar, (end // day) % 7, *relative, np.log(level)])


def _rolling(load: FloatArray, span: int) -> list[FloatArray]:
    """Mean, standard deviation and maximum of the newest `span` steps, fewer at the beginning."""
    centred = load - load[:span].mean()  # keeps the sums of squares small
    count = np.minimum(np.arange(1, len(load) + 1), span)
    mean, square = _rolling_sum(centred, span) / count, _rolling_sum(centred**2, span)
    spread = np.maximum(square - count * mean**2, 0.0) / np.maximum(count - 1, 1)
    # The filter is centred; its origin moves it to end at each step.
    highest = maximum_filter1d(load, span, mode="constant", cval=-np.inf, origin=(span - 1) // 2)
    return [mean + load[:span].mean(), np.sqrt(spread), highest]


def _rolling_sum(values: FloatArray, span: int) -> FloatArray:
    total = np.cumsum(values)
    total[span:] -= total[:-span].copy()
    return total


def recalibrated(
    past: Past, window: Window, quantiles: FloatArray, level: FloatArray
) -> FloatArray:
    """Each quantile shifted by the same quantile of its newest misses, relative to the level."""
    at, origins = level[past.origins][:, None], past.origins
    misses = (window.peak[origins][:, None] - quantiles) / at
    complete = np.searchsorted(origins, origins - window.reach, side="right")
    out = quantiles.copy()
    for row, stop in enumerate(complete.tolist()):
        if stop >= MISSES_MIN:
            recent = misses[max(0, stop - MISSES) : stop]
            shift = [np.quantile(recent[:, k], level_k) for k, level_k in enumerate(LEVELS)]
            out[row] += at[row] * np.array(shift)
    return np.maximum(np.sort(out, axis=1), 0.0)
